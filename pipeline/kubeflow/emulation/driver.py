"""EMULATED: what the API server and the driver decide, without any state.

Our reading of Kubeflow's source; docs/kubeflow-facts.md names the places.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from graft.contract.errors import UserError
from graft.pipeline.kubeflow.emulation.store import LauncherError, StoredArtifact


class EmulationError(UserError):
    """This machine can't emulate the pipeline."""


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
