"""Read a compiled pipeline and check a run's parameters, as Kubeflow's API does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from graft.contract.errors import UserError
from graft.pipeline import strict_yaml
from graft.pipeline.kubeflow.compilation.pipeline_spec import producers_of, tasks_of
from graft.pipeline.kubeflow.container.executor_input import (
    describe_unmounted,
    unmounted_uris,
)

MAX_BYTES = 32 * 2**20
"""Kubeflow's size limit of an uploaded file."""
_TYPES: dict[str, tuple[type, ...]] = {
    "STRING": (str,),
    "NUMBER_INTEGER": (int,),
    "NUMBER_DOUBLE": (int, float),
    "BOOLEAN": (bool,),
    "LIST": (list,),
    "STRUCT": (dict,),
}


SERVICE_ACCOUNT_ANNOTATION = "graft.dev/service-account"
"""Annotation with the profile's service account, for whoever starts a run.

The file has no field for the account."""


class PipelineFileError(UserError):
    """Kubeflow would refuse the file or a parameter."""


def read_pipeline_file(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the `PipelineSpec` and the Kubernetes settings by executor.

    Raises:
        PipelineFileError: Kubeflow would refuse the file, at the upload or when a run
            is created.
    """
    spec, platform = _read_documents(path)
    if spec.get("schemaVersion") != "2.1.0":
        raise PipelineFileError(
            f"`schemaVersion` must be 2.1.0. Received: {spec.get('schemaVersion')!r}"
        )
    try:
        check_documents(spec, platform)
    except ValueError as error:
        raise PipelineFileError(
            f"Kubeflow would refuse {str(path)!r}: {error}"
        ) from error
    return spec, kubernetes_configs(platform)


def read_run_settings(path: Path) -> dict[str, Any]:
    """Return the Kubernetes settings of a run as a whole; may be empty.

    Raises:
        PipelineFileError: The file can't be read.
    """
    _, platform = _read_documents(path)
    kubernetes = platform.get("platforms", {}).get("kubernetes", {})
    settings: dict[str, Any] = kubernetes.get("pipelineConfig", {})
    return settings


def check_documents(spec: Mapping[str, Any], platform: Mapping[str, Any]) -> None:
    """Check both documents as strictly as the API server, when a run is created.

    Args:
        spec: The `PipelineSpec`.
        platform: The `PlatformSpec`; may be empty.

    Raises:
        ValueError: A key that a proto does not have, no root, Kubernetes settings of
            no executor, or an input from a task that does not exist.
    """
    from google.protobuf import json_format
    from kfp.kubernetes import kubernetes_executor_config_pb2
    from kfp.pipeline_spec import pipeline_spec_pb2

    configs = kubernetes_configs(platform)
    deployment = spec.get("deploymentSpec", {})
    parsed = (
        (spec, pipeline_spec_pb2.PipelineSpec()),
        (deployment, pipeline_spec_pb2.PipelineDeploymentConfig()),
        (platform, pipeline_spec_pb2.PlatformSpec()),
        *(
            (config, kubernetes_executor_config_pb2.KubernetesExecutorConfig())
            for config in configs.values()
        ),
    )
    for message, proto in parsed:
        try:
            json_format.ParseDict(message, proto)
        except json_format.ParseError as error:
            raise ValueError(str(error)) from error
    unknown = sorted(set(configs) - set(deployment.get("executors", {})))
    if unknown:
        raise ValueError(f"Kubernetes settings of unknown executors {unknown}")
    if "root" not in spec:
        raise ValueError("it has no `root`")
    for task in tasks_of(spec):
        strangers = sorted(producers_of(task.spec) - set(task.dag))
        if strangers:
            raise ValueError(f"unknown producer task {strangers} of {task.name!r}")


def _read_documents(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the two documents of a compiled file, unchecked."""
    try:
        text = path.read_text(encoding="utf-8")
        documents = strict_yaml.parse_generated(text)
    except OSError as error:
        raise PipelineFileError(
            f"{str(path)!r} can't be read: {error.strerror}"
        ) from error
    except yaml.YAMLError as error:
        raise PipelineFileError(f"{str(path)!r} is not YAML: {error}") from error
    if len(text.encode()) > MAX_BYTES:
        raise PipelineFileError(f"{str(path)!r} is larger than Kubeflow's 32 MiB.")
    if not documents or not isinstance(documents[0], dict):
        raise PipelineFileError(
            f"{str(path)!r} contains no pipeline. `graft compile` writes one."
        )
    platform = documents[1] if len(documents) > 1 else {}
    return documents[0], platform


def kubernetes_configs(platform: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Kubernetes settings of a `PlatformSpec`, by executor."""
    kubernetes = platform.get("platforms", {}).get("kubernetes", {})
    configs: dict[str, Any] = kubernetes.get("deploymentSpec", {}).get("executors", {})
    return configs


def service_account_of(configs: Mapping[str, Any]) -> str | None:
    """Return the profile's service account; None: the backend's default.

    Args:
        configs: Kubernetes settings by executor, as `read_pipeline_file` returns them.
    """
    for config in configs.values():
        annotations = config.get("podMetadata", {}).get("annotations", {})
        if SERVICE_ACCOUNT_ANNOTATION in annotations:
            return str(annotations[SERVICE_ACCOUNT_ANNOTATION])
    return None


def check_parameters(
    spec: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the values of all parameters, defaults included.

    Raises:
        PipelineFileError: A parameter is unknown, missing, or of another type.
    """
    defined = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    values = {}
    for name in given:
        if name not in defined:
            raise PipelineFileError(
                f"The pipeline has no parameter {name!r}. Allowed: {sorted(defined)}"
            )
    for name, definition in defined.items():
        if name in given:
            value = given[name]
        elif "defaultValue" in definition:
            value = definition["defaultValue"]
        else:
            raise PipelineFileError(f"The parameter {name!r} needs a value.")
        kind = definition["parameterType"]
        if not isinstance(value, _TYPES[kind]) or (
            isinstance(value, bool) and kind != "BOOLEAN"
        ):
            raise PipelineFileError(f"`{name}` must be a {kind}. Received: {value!r}")
        for _, uri in unmounted_uris(value):
            raise PipelineFileError(describe_unmounted(name, uri))
        values[name] = value
    return values
