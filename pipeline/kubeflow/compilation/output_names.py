"""Keep the launcher from downloading one output of a step for another.

Up to 2.16.1 it takes all objects whose key begins with an artifact's URI. The folder
`.../model_run` begins like `.../model`. So no output may be the beginning of another.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from graft.pipeline.kubeflow.compilation import refusals
from graft.pipeline.kubeflow.compilation.pipeline_spec import Task

NAMES: Mapping[str, str] = {"model_run": "training_run"}
"""Output of a TFX component to its name on Kubeflow."""


def rename_outputs(
    spec: dict[str, Any], tasks: Mapping[str, Task]
) -> dict[str, dict[str, str]]:
    """Give outputs their names on Kubeflow, and refuse what remains.

    Args:
        spec: The pipeline, which is changed.
        tasks: Its tasks by name.

    Returns:
        Component to the names of its outputs: on Kubeflow, and in TFX. The entry point
        of the step translates them.

    Raises:
        CompileError: The name of an output is the beginning of another one's.
    """
    renamed: dict[str, dict[str, str]] = {}
    for name, component in spec["components"].items():
        outputs = component.get("outputDefinitions", {}).get("artifacts", {})
        for old, new in NAMES.items():
            if any(old != key and old.startswith(key) for key in outputs):
                if old in outputs:
                    outputs[new] = outputs.pop(old)
                    renamed.setdefault(name, {})[new] = old
        _refuse_beginnings(name, outputs)
    for task in tasks.values():
        for source in task.spec.get("inputs", {}).get("artifacts", {}).values():
            output = source["taskOutputArtifact"]
            producer = task.dag.get(output["producerTask"])
            if producer is None:
                continue
            names = renamed.get(producer["componentRef"]["name"], {})
            for new, old in names.items():
                if output["outputArtifactKey"] == old:
                    output["outputArtifactKey"] = new
    return renamed


def _refuse_beginnings(component: str, outputs: Iterable[str]) -> None:
    names = sorted(outputs)
    for first, second in itertools.pairwise(names):
        if second.startswith(first):
            raise refusals.CompileError(
                f"Output {first!r} of {component} is the beginning of its output "
                f"{second!r}: Kubeflow could download one for the other. Rename one."
            )
