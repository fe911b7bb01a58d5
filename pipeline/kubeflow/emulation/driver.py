"""EMULATED: the stateless decisions of Kubeflow's API server and driver.

They follow Kubeflow's source; docs/kubeflow-facts.md names the places.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graft.contract.errors import UserError
from graft.pipeline.kubeflow.emulation.step_result import StepResult
from graft.pipeline.kubeflow.emulation.store import LauncherError, StoredArtifact
from graft.storage import hashing

LOGS = "executor-logs"
"""Output that the driver gives each step, for the launcher's log."""


class EmulationError(UserError):
    """This machine can't emulate the pipeline."""


def is_true(condition: str, inputs: Mapping[str, Any]) -> bool:
    """Evaluate a CEL condition over the inputs, as the driver does.

    Raises:
        LauncherError: A key is missing; the driver does not read that as false.
        EmulationError: The package for CEL is not installed.
    """
    try:
        import celpy
    except ImportError as error:
        raise EmulationError(
            "This pipeline has a condition. To evaluate it, run `pip install "
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
    """Return the cache key of a step; its name and environment do not count."""
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
    return hashing.hash_json(parts)


def is_exit_task(task: Mapping[str, Any]) -> bool:
    """Return whether the task runs even after a failure before it."""
    strategy = task.get("triggerPolicy", {}).get("strategy")
    return bool(strategy == "ALL_UPSTREAM_TASKS_COMPLETED")


def seconds_of(duration: str) -> float:
    """Return a proto's Duration, such as "60s", in seconds."""
    return float(duration.removesuffix("s"))


def resolve_parameters(
    task: Mapping[str, Any],
    component: Mapping[str, Any],
    values: Mapping[str, Any],
    *,
    results: Mapping[str, StepResult],
    states: Mapping[str, str],
) -> dict[str, Any]:
    """Return the input parameters of a task.

    Args:
        task: Spec of the task.
        component: Spec of its component.
        values: Input parameters of the DAG that the task belongs to.
        results: Results by step, of the whole run.
        states: States of the DAG's tasks that have ended.

    Raises:
        LauncherError: A value does not exist.
    """
    definitions = component.get("inputDefinitions", {}).get("parameters", {})
    resolved = {}
    for key, source in task.get("inputs", {}).get("parameters", {}).items():
        if "componentInputParameter" in source:
            parent = source["componentInputParameter"]
            if parent not in values:
                raise LauncherError(
                    f"parent DAG does not have input parameter {parent!r}"
                )
            value = values[parent]
        elif "taskOutputParameter" in source:
            output = source["taskOutputParameter"]
            producer = results.get(output["producerTask"])
            if producer is None:
                raise LauncherError(f"unknown producer task {output!r}")
            value = producer.parameters[output["outputParameterKey"]]
        elif "taskFinalStatus" in source:
            producer_name = source["taskFinalStatus"]["producerTask"]
            has_succeeded = states[producer_name] == "SUCCEEDED"
            value = {"state": "COMPLETE" if has_succeeded else "FAILED"}
        else:
            value = source["runtimeValue"]["constant"]
        kind = definitions.get(key, {}).get("parameterType")
        if kind == "STRING" and not isinstance(value, str):
            value = json.dumps(value)
        resolved[key] = value
    return resolved


def resolve_artifacts(
    task: Mapping[str, Any], results: Mapping[str, StepResult]
) -> dict[str, StoredArtifact]:
    """Return the input artifacts of a task by key.

    Raises:
        LauncherError: An artifact does not exist.
    """
    resolved = {}
    for key, source in task.get("inputs", {}).get("artifacts", {}).items():
        output = source["taskOutputArtifact"]
        producer = results.get(output["producerTask"])
        if producer is None or output["outputArtifactKey"] not in producer.artifacts:
            raise LauncherError(f"no artifact for input {key!r}: {output}")
        resolved[key] = producer.artifacts[output["outputArtifactKey"]]
    return resolved


def executor_inputs(
    artifacts: Mapping[str, StoredArtifact],
    parameters: Mapping[str, Any],
    *,
    has_type_field: bool,
) -> dict[str, Any]:
    """Return the `inputs` of an ExecutorInput; an empty part is left out, as by Go.

    Args:
        artifacts: Input artifacts by key.
        parameters: Input parameters by key.
        has_type_field: Whether artifacts have an (empty) type, as in the root DAG.
    """
    inputs: dict[str, Any] = {
        "artifacts": {
            key: {"artifacts": [artifact.as_input(has_type_field=has_type_field)]}
            for key, artifact in artifacts.items()
        },
        "parameterValues": dict(parameters),
    }
    return {key: value for key, value in inputs.items() if value}


def provision_outputs(component: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """Return the `outputs` of an ExecutorInput, with the launcher's own log.

    Args:
        component: Spec of the component.
        folder: URI of the step's folder.
    """
    definitions = component.get("outputDefinitions", {})
    artifacts = {
        key: {
            "artifacts": [
                {
                    "name": key,
                    "uri": f"{folder}/{key}",
                    "type": definition["artifactType"],
                    **copy.deepcopy(_part(definition, "metadata")),
                }
            ]
        }
        for key, definition in definitions.get("artifacts", {}).items()
    }
    artifacts[LOGS] = {
        "artifacts": [
            {
                "name": LOGS,
                "uri": f"{folder}/{LOGS}",
                "type": {"schemaTitle": "system.Artifact"},
            }
        ]
    }
    outputs: dict[str, Any] = {"artifacts": artifacts}
    if definitions.get("parameters"):
        outputs["parameters"] = {
            key: {"outputFile": f"/tmp/kfp/outputs/{key}"}  # noqa: S108
            for key in definitions["parameters"]
        }
    return outputs


def _part(definition: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {key: definition[key]} if key in definition else {}


def substitute_mounts(
    parameters: Mapping[str, Any], mounts: Mapping[str, Path]
) -> dict[str, Any]:
    """Replace mount paths in parameters by the local folders in their place."""
    return {
        key: substitute_in_text(value, mounts) if isinstance(value, str) else value
        for key, value in parameters.items()
    }


def substitute_in_text(text: str, mounts: Mapping[str, Path]) -> str:
    """Replace mount paths in a text, which may be JSON or an argument."""
    for path, folder in mounts.items():
        pattern = re.compile(rf'(?<![\w/.-]){re.escape(path)}(?=$|[/"\\])')
        text = pattern.sub(lambda _, f=folder: str(f), text)  # type: ignore[misc]
    return text
