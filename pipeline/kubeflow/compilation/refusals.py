"""What is refused at compile time, because it would fail, or pass unseen, later."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from graft.contract.errors import UserError
from graft.pipeline.kubeflow import nested_json

MAX_INPUT_BYTES = 60 * 1024
"""Inputs of one step; Linux takes 128 KiB in an argument, which holds them twice."""
STEP_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]*")
RESERVED_NAMES = re.compile(
    r"(.*-driver|iteration-item|entrypoint|root|(system|retry)-.*)"
)
PIPELINE_NAME = re.compile(r"[a-z]([-a-z0-9]{0,43}[a-z0-9])?")
MOVING_TAGS = ("latest", "main", "master", "dev", "nightly", "stable", "edge")
UNMOUNTED_SCHEMES = ("minio://", "s3://")
_IMAGE = re.compile(
    r"(?P<name>[a-z0-9]+([._-]+[a-z0-9]+)*(\.[a-z0-9-]+)*(:[0-9]+)?"
    r"(/[a-z0-9]+([._-]+[a-z0-9]+)*)*)"
    r"(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(@sha256:(?P<digest>[0-9a-f]{64}))?"
)


class CompileError(UserError):
    """The pipeline can't be compiled for Kubeflow as it is."""


def check_image(image: str | None) -> str:
    """Return the image if it always means the same bytes.

    Raises:
        CompileError: There is none, it is malformed, or its tag moves.
    """
    remedy = (
        "Name it by digest (registry/graft@sha256:...) or by a tag that never moves."
    )
    if not image:
        raise CompileError(
            f"No image. {remedy} Use --image, or `image` in the profile."
        )
    match = _IMAGE.fullmatch(image)
    if match is None:
        raise CompileError(
            f"`image` is no name of an image. {remedy} Received: {image!r}"
        )
    if match["digest"]:
        return image
    if match["tag"] is None or match["tag"].lower() in MOVING_TAGS:
        raise CompileError(
            "`image` may change under a run and under Kubeflow's cache. "
            f"{remedy} Received: {image!r}"
        )
    return image


def check_names(pipeline_name: str, steps: Mapping[str, Any]) -> None:
    """Refuse names that Argo or Kubernetes refuse.

    Raises:
        CompileError: With the name and what is allowed.
    """
    if not PIPELINE_NAME.fullmatch(pipeline_name):
        raise CompileError(
            "`name` must be lower-case letters, digits and hyphens, begin with a "
            f"letter and be at most 45 long. Received: {pipeline_name!r}"
        )
    for name in steps:
        if not STEP_NAME.fullmatch(name) or len(name) > 120:
            raise CompileError(
                "A step's id must be letters, digits and hyphens and begin with a "
                f"letter; Argo refuses others. Received: {name!r}"
            )
        if RESERVED_NAMES.fullmatch(name):
            raise CompileError(
                f"The step's id {name!r} is one of Kubeflow's own names."
            )


def check_executors(executors: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse executors that the open-source backend does not implement.

    Raises:
        CompileError: Naming the executor.
    """
    for label, executor in executors.items():
        if not {"container", "importer"} & set(executor):
            kinds = sorted(executor)
            raise CompileError(
                f"{label} is a {', '.join(kinds)}; Kubeflow runs containers and "
                "importers alone. Look the baseline up in a component, not a Resolver."
            )


def check_constants(step: str, constants: Mapping[str, Any]) -> None:
    """Refuse values that the backend would change, lose or not reach.

    Args:
        step: Name of the step.
        constants: Its properties.

    Raises:
        CompileError: Naming the step, the property and the value.
    """
    size = 0
    for name, value in constants.items():
        text = value if isinstance(value, str) else str(value)
        size += len(text.encode())
        where = f"{step}.{name}"
        if '"__class__"' in text and "RuntimeParameter" in text:
            raise CompileError(
                f"{where} holds a RuntimeParameter inside another value; Kubeflow "
                "can't fill it. Use a parameter of compilation/runtime_parameters.py."
            )
        if "_wheels" in text or re.match(r".+@/|.+@[a-z]+://", text):
            raise CompileError(
                f"{where} names code by a file; containers have it installed. Use a "
                f"dotted path (run_fn, preprocessing_fn). Received: {text[:200]!r}"
            )
        for token in ("{{", "$("):
            if token in text:
                raise CompileError(
                    f"{where} holds {token!r}, which Kubeflow or Kubernetes would "
                    "replace. Write it in another way."
                )
        for path, uri in unreachable_uris(text):
            key = ".".join([where, *map(str, path)])
            raise CompileError(
                f"`{key}` is a path, which no one downloads for the step: mount a "
                f"volume and name the path in it. Received: {uri!r}"
            )
    if size > MAX_INPUT_BYTES:
        raise CompileError(
            f"{step} has {size} bytes of properties; at most {MAX_INPUT_BYTES} reach a "
            "container. Put large values into a file."
        )


def unreachable_uris(text: str) -> Iterator[tuple[tuple[nested_json.Key, ...], str]]:
    """Yield path and URI of each value that only Kubeflow's launcher could read."""
    for path, value in nested_json.texts(text):
        if value.startswith(UNMOUNTED_SCHEMES):
            yield path, value
