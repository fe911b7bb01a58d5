"""EMULATED: what the API server and the driver decide, without any state.

Our reading of Kubeflow's source; docs/kubeflow-facts.md names the places.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pipeline.kubeflow.emulated_store import LauncherError, StoredArtifact
from trainer.errors import UserError

_TYPES: dict[str, tuple[type, ...]] = {
    "STRING": (str,),
    "NUMBER_INTEGER": (int,),
    "NUMBER_DOUBLE": (int, float),
    "BOOLEAN": (bool,),
    "LIST": (list,),
    "STRUCT": (dict,),
}


class EmulationError(UserError):
    """The file or a parameter would be refused by the backend."""


def read_pipeline_file(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read both documents as the API server does.

    Raises:
        EmulationError: It would be refused at upload.
    """
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise EmulationError(
            f"{str(path)!r} can't be read: {error.strerror}"
        ) from error
    except yaml.YAMLError as error:
        raise EmulationError(f"{str(path)!r} is no YAML: {error}") from error
    if not documents or not isinstance(documents[0], dict):
        raise EmulationError(
            f"{str(path)!r} holds no pipeline; graft compile makes one."
        )
    spec = documents[0]
    try:
        json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    except json_format.ParseError as error:
        raise EmulationError(f"{str(path)!r} is no PipelineSpec: {error}") from error
    if spec.get("schemaVersion") != "2.1.0":
        raise EmulationError(
            f"`schemaVersion` must be 2.1.0. Received: {spec.get('schemaVersion')!r}"
        )
    platform = documents[1] if len(documents) > 1 else {}
    configs = platform.get("platforms", {}).get("kubernetes", {})
    return spec, configs.get("deploymentSpec", {}).get("executors", {})


def check_parameters(
    spec: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all parameters with their defaults.

    Raises:
        EmulationError: An unknown one, a missing one, or one of another type.
    """
    defined = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    values = {}
    for name in given:
        if name not in defined:
            raise EmulationError(
                f"The pipeline has no parameter {name!r}. Allowed: {sorted(defined)}"
            )
    for name, definition in defined.items():
        if name in given:
            value = given[name]
        elif "defaultValue" in definition:
            value = definition["defaultValue"]
        else:
            raise EmulationError(f"The parameter {name!r} needs a value.")
        kind = definition["parameterType"]
        if not isinstance(value, _TYPES[kind]) or (
            isinstance(value, bool) and kind != "BOOLEAN"
        ):
            raise EmulationError(f"`{name}` must be a {kind}. Received: {value!r}")
        values[name] = value
    return values


def is_true(condition: str, inputs: Mapping[str, Any]) -> bool:
    """Evaluate a CEL condition over the inputs, as the driver does.

    Raises:
        LauncherError: A key is missing, which is no false.
        EmulationError: The package for CEL is not installed.
    """
    try:
        import celpy
    except ImportError as error:
        raise EmulationError(
            "This pipeline has a condition; evaluating it needs `pip install "
            "cel-python`."
        ) from error

    environment = celpy.Environment()
    program = environment.program(environment.compile(condition))
    try:
        return bool(program.evaluate({"inputs": celpy.json_to_cel(dict(inputs))}))
    except celpy.CELEvalError as error:
        raise LauncherError(f"condition {condition!r}: {error}") from error


def cache_key(
    pipeline: str,
    component: Mapping[str, Any],
    container: Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    inputs: Mapping[str, StoredArtifact],
    parameters: Mapping[str, Any],
) -> str:
    """Return the cache key; step's name and environment are not in it."""
    claims = sorted(
        mount["pvcNameParameter"]["runtimeValue"]["constant"]
        for mount in config.get("pvcMount", ())
    )
    parts = {
        "pipeline": pipeline,
        "inputs": {key: item.number for key, item in inputs.items()},
        "parameters": dict(parameters),
        "outputs": component.get("outputDefinitions", {}),
        "command": [*container.get("command", ()), *container.get("args", ())],
        "image": container["image"],
        "claims": claims,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def dependencies_of(task: Mapping[str, Any], tasks: Mapping[str, Any]) -> set[str]:
    """Return the tasks that must end before this one begins.

    Raises:
        EmulationError: A producer does not exist.
    """
    needs = set(task.get("dependentTasks", ()))
    inputs = task.get("inputs", {})
    for source in inputs.get("artifacts", {}).values():
        needs.add(source["taskOutputArtifact"]["producerTask"])
    for source in inputs.get("parameters", {}).values():
        if "taskOutputParameter" in source:
            needs.add(source["taskOutputParameter"]["producerTask"])
    strangers: Sequence[str] = sorted(needs - set(tasks))
    if strangers:
        raise EmulationError(f"unknown producer task {strangers}")
    return needs


def is_exit_task(task: Mapping[str, Any]) -> bool:
    """Say whether the task runs in spite of failures before it."""
    strategy = task.get("triggerPolicy", {}).get("strategy")
    return bool(strategy == "ALL_UPSTREAM_TASKS_COMPLETED")


def seconds_of(duration: str) -> float:
    """Return the seconds of a proto's Duration, such as "60s"."""
    return float(duration.removesuffix("s"))
