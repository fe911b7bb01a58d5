"""Read a compiled `PipelineSpec` as a dict: its tasks, constants and types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml


@dataclass(frozen=True)
class Task:
    """A task that runs a container or an importer, not a sub-DAG.

    Attributes:
        name: Name of the task, which is the name of the step.
        spec: Its `PipelineTaskSpec`; changes to it change the pipeline.
        dag: Tasks of the DAG that it belongs to, by name.
    """

    name: str
    spec: dict[str, Any]
    dag: dict[str, Any]

    @property
    def component(self) -> str:
        """Name of the component that the task runs."""
        return str(self.spec["componentRef"]["name"])

    @property
    def constants(self) -> dict[str, Any]:
        """The parameters of the task that have a constant value."""
        parameters = self.spec.get("inputs", {}).get("parameters", {})
        return {
            name: value["runtimeValue"]["constant"]
            for name, value in parameters.items()
            if "constant" in value.get("runtimeValue", {})
        }


def tasks_of(spec: Mapping[str, Any]) -> Iterator[Task]:
    """Yield the tasks of a pipeline and of its sub-DAGs."""
    dags = {"root": spec["root"]}
    dags |= {name: c for name, c in spec.get("components", {}).items() if "dag" in c}
    for component in dags.values():
        tasks = component["dag"]["tasks"]
        for name, task in tasks.items():
            if task["componentRef"]["name"] not in dags:
                yield Task(name, task, tasks)


def producers_of(task: Mapping[str, Any]) -> set[str]:
    """Return the tasks of which a task takes artifacts or values, or waits for."""
    needs = set(task.get("dependentTasks", ()))
    inputs = task.get("inputs", {})
    for source in inputs.get("artifacts", {}).values():
        if "taskOutputArtifact" in source:
            needs.add(source["taskOutputArtifact"].get("producerTask", ""))
    for source in inputs.get("parameters", {}).values():
        if "taskOutputParameter" in source:
            needs.add(source["taskOutputParameter"].get("producerTask", ""))
    return needs


def title_of(artifact_type: Mapping[str, Any]) -> str:
    """Return the title of an `ArtifactTypeSchema`."""
    if "schemaTitle" in artifact_type:
        return str(artifact_type["schemaTitle"])
    schema = yaml.safe_load(artifact_type.get("instanceSchema") or "") or {}
    return str(schema.get("title", ""))
