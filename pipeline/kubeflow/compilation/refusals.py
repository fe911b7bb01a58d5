"""Refuse at compile time what would fail on the cluster, or silently go wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from graft.contract.errors import UserError
from graft.pipeline.kubeflow.compilation.kubernetes_values import (
    refuse_replaced_tokens,
)
from graft.pipeline.kubeflow.container.executor_input import (
    describe_unmounted,
    unmounted_uris,
)

MAX_INPUT_BYTES = 60 * 1024
"""Most bytes of a step's inputs: an argument has them twice; Linux allows 128 KiB."""
STEP_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]*")
RESERVED_NAMES = re.compile(
    r"(.*-driver|iteration-item|entrypoint|root|(system|retry)-.*)"
)
PIPELINE_NAME = re.compile(r"[a-z]([-a-z0-9]{0,43}[a-z0-9])?")
MOVING_TAGS = ("latest", "main", "master", "dev", "nightly", "stable", "edge")
_IMAGE = re.compile(
    r"(?P<name>[a-z0-9]+([._-]+[a-z0-9]+)*(\.[a-z0-9-]+)*(:[0-9]+)?"
    r"(/[a-z0-9]+([._-]+[a-z0-9]+)*)*)"
    r"(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(@sha256:(?P<digest>[0-9a-f]{64}))?"
)


class CompileError(UserError):
    """The pipeline or its profile can't be compiled for Kubeflow."""


def check_image(image: str | None) -> str:
    """Return the image if its name always refers to the same content.

    Raises:
        CompileError: The image is missing or malformed, or its tag can move.
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
        is_lower = _IMAGE.fullmatch(image.lower()) is not None
        reason = "must have no capital letters" if is_lower else "must name an image"
        raise CompileError(f"`image` {reason}. {remedy} Received: {image!r}")
    if match["digest"]:
        return image
    if match["tag"] is None or match["tag"].lower() in MOVING_TAGS:
        raise CompileError(
            "The tag of `image` can move, which would change a run and its cache. "
            f"{remedy} Received: {image!r}"
        )
    return image


def check_names(pipeline_name: str, steps: Mapping[str, Any]) -> None:
    """Refuse names that Argo or Kubernetes refuse.

    Raises:
        CompileError: A name is not allowed.
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
            raise CompileError(f"The step's id {name!r} is reserved by Kubeflow.")


def check_executors(executors: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse executors that the open-source backend does not implement.

    Raises:
        CompileError: An executor is neither a container nor an importer.
    """
    for label, executor in executors.items():
        if not {"container", "importer"} & set(executor):
            kinds = sorted(executor)
            raise CompileError(
                f"{label} is a {', '.join(kinds)}; Kubeflow runs only "
                "containers and importers. Look the baseline up in a component, "
                "not a Resolver."
            )


def check_constants(step: str, constants: Mapping[str, Any]) -> None:
    """Refuse properties that the backend would change or lose, or can't read.

    Args:
        step: Name of the step.
        constants: Its properties.

    Raises:
        CompileError: A property is refused; the message names it.
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
        try:
            refuse_replaced_tokens(where, text)
        except ValueError as error:
            raise CompileError(str(error)) from None
        for path, uri in unmounted_uris(text):
            key = ".".join([where, *map(str, path)])
            raise CompileError(describe_unmounted(key, uri))
    if size > MAX_INPUT_BYTES:
        raise CompileError(
            f"{step} has {size} bytes of properties; at most {MAX_INPUT_BYTES} reach a "
            "container. Put large values into a file."
        )
