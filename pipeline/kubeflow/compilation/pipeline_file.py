"""Read a compiled pipeline and check a run's parameters, as Kubeflow's API does."""

from __future__ import annotations

import math
import os
import posixpath
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from graft.contract.errors import UserError
from graft.pipeline import strict_yaml
from graft.pipeline.kubeflow.compilation.pipeline_spec import producers_of, tasks_of
from graft.pipeline.kubeflow.compilation.runtime_parameters import PARAMETERS
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
BUILT_IN_DATA = ("keras:", "sklearn:")
MAX_NUMBER = 2**53
_FREE_VALUES = ("constant", "defaultValue", "metadata")
"""Fields whose value may be any JSON, null too."""
STEP_ARGUMENT = "--graft_step"
"""Argument of each container that graft compiled."""

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
        # A null in place of a whole entry of a map is refused here.
        _check_outer_protos(spec, platform)
        spec, platform = _without_nulls(spec), _without_nulls(platform)
        check_documents(spec, platform)
    except ValueError as error:
        raise PipelineFileError(
            f"Kubeflow would refuse {str(path)!r}: {error}"
        ) from error
    configs = kubernetes_configs(platform)
    _check_is_whole(path, spec, configs)
    return spec, configs


def read_run_settings(path: Path) -> dict[str, Any]:
    """Return the Kubernetes settings of a run as a whole; may be empty.

    Raises:
        PipelineFileError: The file can't be read.
    """
    platform = _without_nulls(_read_documents(path)[1])
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
            no executor, or a reference to what does not exist.
    """
    from kfp.kubernetes import kubernetes_executor_config_pb2
    from kfp.pipeline_spec import pipeline_spec_pb2

    # Each is checked before something is read from it.
    _check_outer_protos(spec, platform)
    deployment = spec.get("deploymentSpec", {})
    _check_proto(deployment, pipeline_spec_pb2.PipelineDeploymentConfig())
    configs = kubernetes_configs(platform)
    for config in configs.values():
        _check_proto(config, kubernetes_executor_config_pb2.KubernetesExecutorConfig())
    executors = set(deployment.get("executors", {}))
    unknown = sorted(set(configs) - executors)
    if unknown:
        raise ValueError(f"Kubernetes settings of unknown executors {unknown}")
    if "root" not in spec:
        raise ValueError("it has no `root`")
    if not spec.get("pipelineInfo", {}).get("name"):
        raise ValueError("it has no `pipelineInfo.name`")
    components = spec.get("components", {})
    for name, component in {"root": spec["root"], **components}.items():
        _check_component(name, component, components, executors)
    for task in tasks_of(spec):
        strangers = sorted(producers_of(task.spec) - set(task.dag))
        if strangers:
            raise ValueError(f"unknown producer task {strangers} of {task.name!r}")


def _check_outer_protos(spec: Mapping[str, Any], platform: Mapping[str, Any]) -> None:
    from kfp.pipeline_spec import pipeline_spec_pb2

    _check_proto(spec, pipeline_spec_pb2.PipelineSpec())
    _check_proto(platform, pipeline_spec_pb2.PlatformSpec())


def _check_proto(message: Mapping[str, Any], proto: Any) -> None:
    from google.protobuf import json_format

    try:
        json_format.ParseDict(message, proto)
    except (json_format.ParseError, AttributeError, TypeError) as error:
        # A key that is a number, or a date as value, is a TypeError.
        raise ValueError(str(error)) from error


def _check_component(
    name: str,
    component: Mapping[str, Any],
    components: Mapping[str, Any],
    executors: Collection[str],
) -> None:
    """Check what a component runs: an executor, or the tasks of a DAG.

    Raises:
        ValueError: It runs nothing, or something that is not in the file.
    """
    if "dag" not in component:
        label = component.get("executorLabel")
        if name == "root" or label is None:
            needed = "`dag`" if name == "root" else "`executorLabel` or `dag`"
            raise ValueError(f"the component {name!r} has no {needed}")
        if label not in executors:
            raise ValueError(f"unknown executor {label!r} of the component {name!r}")
        return
    tasks = component["dag"].get("tasks")
    if tasks is None:
        raise ValueError(f"the DAG of {name!r} has no tasks")
    for task_name, task in tasks.items():
        reference = task.get("componentRef", {}).get("name")
        if not reference:
            raise ValueError(f"the task {task_name!r} has no `componentRef.name`")
        if reference not in components:
            raise ValueError(f"unknown component {reference!r} of {task_name!r}")


def _read_documents(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the two documents of a compiled file, unchecked."""
    try:
        text = path.read_text(encoding="utf-8")
        documents = strict_yaml.parse_generated(text)
    except OSError as error:
        raise PipelineFileError(
            f"{str(path)!r} can't be read: {error.strerror}"
        ) from error
    except UnicodeDecodeError as error:
        raise PipelineFileError(f"{str(path)!r} is not UTF-8: {error}") from error
    except yaml.YAMLError as error:
        raise PipelineFileError(f"{str(path)!r} is not YAML: {error}") from error
    if len(text.encode()) > MAX_BYTES:
        raise PipelineFileError(f"{str(path)!r} is larger than Kubeflow's 32 MiB.")
    if not documents or not isinstance(documents[0], dict):
        raise PipelineFileError(
            f"{str(path)!r} contains no pipeline. `graft compile` writes one."
        )
    platform = documents[1] if len(documents) > 1 else None
    if not isinstance(platform, dict | None):
        raise PipelineFileError(
            f"The second document of {str(path)!r} must hold keys and values. "
            f"Received: {str(platform)[:100]!r}"
        )
    return documents[0], platform or {}


def _without_nulls(value: Any) -> Any:
    """Return a message without fields that are null, which Kubeflow reads as absent."""
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: item if key in _FREE_VALUES else _without_nulls(item)
        for key, item in value.items()
        if item is not None or key in _FREE_VALUES
    }


def _check_is_whole(
    path: Path, spec: Mapping[str, Any], configs: Mapping[str, Any]
) -> None:
    """Refuse a file of graft that was cut, and that is still YAML.

    Raises:
        PipelineFileError: An executor lacks its settings, or the last line its end.
    """
    executors = spec.get("deploymentSpec", {}).get("executors", {})
    made = [
        label
        for label, executor in executors.items()
        if STEP_ARGUMENT in executor.get("container", {}).get("args", ())
    ]
    lacking = sorted(set(made) - set(configs))
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        has_end = file.read() == b"\n"
    if made and (lacking or not has_end):
        what = f"no Kubernetes settings of {lacking}" if lacking else "no last line end"
        raise PipelineFileError(
            f"{str(path)!r} is not complete: it has {what}. Copy it again, or run "
            "`graft compile` again."
        )


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
        PipelineFileError: A parameter is unknown, missing, of another type, or a
            number that the run would refuse.
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
        kind = definition.get("parameterType")
        if kind not in _TYPES:
            raise PipelineFileError(
                f"`{name}` must be of one of the types {sorted(_TYPES)}. Received: "
                f"{kind!r}"
            )
        if not isinstance(value, _TYPES[kind]) or (
            isinstance(value, bool) and kind != "BOOLEAN"
        ):
            raise PipelineFileError(f"`{name}` must be a {kind}. Received: {value!r}")
        for _, uri in unmounted_uris(value):
            raise PipelineFileError(describe_unmounted(name, uri))
        if name in given and isinstance(value, int | float):
            _check_number(name, value)
        values[name] = value
    return values


def _check_number(name: str, value: float) -> None:
    # Kubeflow stores a number as a double, which rounds larger integers.
    if not math.isfinite(value) or abs(value) > MAX_NUMBER:
        raise PipelineFileError(
            f"`{name}` must be a number, at most {MAX_NUMBER}. Received: {value!r}"
        )
    for parameter in PARAMETERS:
        allowed = parameter.describe_refusal(value) if parameter.name == name else ""
        if allowed:
            raise PipelineFileError(f"`{name}` must be {allowed}. Received: {value!r}")


def mount_paths(configs: Mapping[str, Any]) -> list[str]:
    """Return where the steps have mounts, from the Kubernetes settings by executor."""
    mounts = [
        item for config in configs.values() for item in config.get("pvcMount", ())
    ]
    return sorted({item.get("mountPath", "") for item in mounts})


def check_mounts(given: Collection[str], configs: Mapping[str, Any]) -> None:
    """Refuse mounts that a compiled file does not have.

    Args:
        given: Mount paths, or folders in them.
        configs: Kubernetes settings by executor; empty: the mounts are unknown.

    Raises:
        PipelineFileError: A mount is not in the file; the message names it.
    """
    folders = mount_paths(configs)
    for path in given:
        if configs and not any(lies_in(path, folder) for folder in folders):
            raise PipelineFileError(
                f"`--mount` and `emulated_mounts` must name one of the mounts "
                f"{folders} of the compiled file, or a folder in one. Received: "
                f"{path!r}"
            )


def check_run_paths(given: Mapping[str, Any], configs: Mapping[str, Any]) -> None:
    """Refuse paths of a run that the containers can't reach.

    Args:
        given: Values for the pipeline's parameters.
        configs: Kubernetes settings by executor; empty: the mounts are unknown.

    Raises:
        PipelineFileError: A path is outside of the mounts; the message names it.
    """
    mounts = [
        item for config in configs.values() for item in config.get("pvcMount", ())
    ]
    folders = sorted({item.get("mountPath", "") for item in mounts})
    for parameter in PARAMETERS:
        path = given.get(parameter.name)
        if not configs or not parameter.is_path or not isinstance(path, str):
            continue
        if path.startswith((*BUILT_IN_DATA, "gs://")):
            continue
        if not any(lies_in(path, folder) for folder in folders):
            raise PipelineFileError(
                f"`{parameter.name}` must lie in one of the mounts {folders} of the "
                f"compiled file, or on gs://. Received: {path!r}"
            )


def lies_in(path: str, folder: str) -> bool:
    """Return whether a path is a folder or lies in it."""
    path = posixpath.normpath(path)
    return path == folder or path.startswith(folder.rstrip("/") + "/")
