"""Find and describe earlier local runs, from the metadata store of their pipeline."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graft.contract.counts import agree, counted
from graft.contract.errors import UserError
from graft.pipeline.config import METADATA_FILE, PIPELINES_FOLDER
from graft.pipeline.local.last_run import last_runs
from graft.pipeline.local.run_marks import Marks, read_marks
from graft.storage.path_hints import hint_about

if TYPE_CHECKING:
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    from graft.components.evaluation.verdict import Verdict
    from graft.pipeline.local.metadata_store import LocalMetadata


@dataclass(frozen=True)
class Run:
    """One run of a pipeline.

    Attributes:
        number: Position among the runs of the pipeline, from 1, oldest first.
        run_id: TFX's id of the run.
        started: When the first node began.
        seconds: From the first node's start to the last node's end.
        state: `complete`, `failed`, `running`, or `interrupted` if its process was
            killed.
        timings: Node to seconds; 0 for a node that was answered from the cache.
        artifacts: Node and output key, such as `Evaluator.evaluation`, to the
            artifact's URI.
        properties: Node and output key to the artifact's custom properties.
        config: The run's config; empty if the run did not reach the report.
        failure: Why the run failed, in a word or two; "" if it did not, or if only its
            log tells.
        executions: IDs of its executions in the metadata store.
        is_removed: Whether files of it were removed (`graft gc`).
    """

    number: int
    run_id: str
    started: datetime
    seconds: float
    state: str
    timings: dict[str, float]
    artifacts: dict[str, str]
    properties: dict[str, dict[str, Any]] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    failure: str = ""
    executions: tuple[int, ...] = ()
    is_removed: bool = False

    def verdict(self) -> Verdict | None:
        """Return the gate's decision, or None if the run did not reach the gate.

        Raises:
            DamagedFileError: The file of the decision is damaged.
        """
        from graft.components.evaluation.verdict import VERDICT_FILE, load_verdict

        uri = self.artifacts.get("Evaluator.evaluation")
        path = None if uri is None else os.path.join(uri, VERDICT_FILE)
        if path is None or not os.path.lexists(path):
            return None
        return load_verdict(path)


def find_run(output: Path, pipeline: str | None, name: str | None) -> Run:
    """Return one run of a pipeline.

    Args:
        output: Output folder of the runs.
        pipeline: Name of the pipeline; None: that of the last run.
        name: Number or id of the run; None: the latest.

    Raises:
        UserError: There is no such pipeline or run.
    """
    return choose_run(find_runs(output, pipeline), name)


def find_runs(output: Path, pipeline: str | None) -> list[Run]:
    """Return all runs of a pipeline, oldest first.

    Args:
        output: Output folder of the runs.
        pipeline: Name of the pipeline; None: that of the last run.

    Raises:
        UserError: There is no such pipeline.
    """
    return list_runs(find_metadata(output, pipeline))


def find_metadata(output: Path, pipeline: str | None) -> Path:
    """Return the path of a pipeline's metadata store.

    Args:
        output: Output folder of the runs.
        pipeline: Name of the pipeline; None: that of the last run. If there are others,
            the user is told which it is.

    Raises:
        UserError: There is no such pipeline.
    """
    stores = find_all_metadata(output, pipeline)
    if len(stores) > 1:
        name, *others = [path.parent.name for path in stores]
        sys.stderr.write(
            f"graft: pipeline `{name}`, that of the last run. Others: "
            f"{', '.join(others)} (--pipeline)\n"
        )
    return stores[0]


def find_all_metadata(output: Path, pipeline: str | None) -> list[Path]:
    """Return the paths of the metadata stores in an output folder, last run first.

    Args:
        output: Output folder of the runs.
        pipeline: Name of one pipeline; None: all.

    Raises:
        UserError: There is no such pipeline.
    """
    names = [run.pipeline for run in last_runs(output)]
    if not names:
        raise UserError(
            f"No pipeline has run with its output in {str(output)!r}. "
            + (
                hint_about(str(output))
                or "`graft run` runs one; `--output` names another folder."
            )
        )
    if pipeline not in (None, *names):
        raise UserError(
            f"`--pipeline` must be one of: {', '.join(sorted(names))}. "
            f"Received: {pipeline!r}"
        )
    chosen = names if pipeline is None else [pipeline]
    return [output / PIPELINES_FOLDER / name / METADATA_FILE for name in chosen]


def list_runs(metadata_path: Path) -> list[Run]:
    """Return the runs in a metadata store, oldest first."""
    from graft.pipeline.local.metadata_store import LocalMetadata

    metadata = LocalMetadata(metadata_path)
    marks = read_marks(metadata_path.parent)
    return [
        _describe_run(metadata, context, number, marks)
        for number, context in enumerate(metadata.pipeline_runs(), 1)
    ]


def choose_run(runs: list[Run], name: str | None, default: int = -1) -> Run:
    """Return a run by its number or id.

    Args:
        runs: Runs, oldest first.
        name: Number or id; None takes the run at index `default`.
        default: Index from the end of `runs`.

    Raises:
        UserError: There is no such run.
    """
    if not runs or (name is None and len(runs) < -default):
        raise UserError(
            f"This needs {counted(-default if name is None else 1, 'run')}, and there "
            f"{agree(len(runs), 'is', 'are')} {len(runs)}. `graft run` makes one."
        )
    if name is None:
        return runs[default]
    for run in runs:
        if name in (str(run.number), run.run_id):
            return run
    raise UserError(
        f"There is no run {name!r}; runs are numbered 1 to {len(runs)}. "
        "`graft runs` lists them."
    )


def _describe_run(
    metadata: LocalMetadata, context: mlmd.Context, number: int, marks: Marks
) -> Run:
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    timings: dict[str, float] = {}
    artifacts: dict[str, str] = {}
    properties: dict[str, dict[str, Any]] = {}
    config: dict[str, Any] = {}
    states = set()
    is_removed = False
    executions = metadata.executions_of(context)
    for execution in executions:
        node = metadata.node_of(execution)
        state = mlmd.Execution.State.Name(execution.last_known_state)
        states.add(state)
        timings[node] = 0.0 if state == "CACHED" else _seconds_of(execution)
        if node == "Report":
            config = json.loads(execution.custom_properties["config"].string_value)
        for key, artifact in metadata.outputs_of(execution).items():
            artifacts[f"{node}.{key}"] = artifact.uri
            is_removed |= artifact.state == mlmd.Artifact.DELETED
            properties[f"{node}.{key}"] = {
                name: getattr(value, value.WhichOneof("value"))
                for name, value in artifact.custom_properties.items()
            }
    starts = [each.create_time_since_epoch for each in executions]
    ends = [each.last_update_time_since_epoch for each in executions]
    start = min(starts, default=context.create_time_since_epoch)
    return Run(
        number=number,
        run_id=context.name,
        started=datetime.fromtimestamp(start / 1e3, UTC),
        seconds=(max(ends, default=start) - start) / 1e3,
        state=_state_of_run(context.name, states, marks),
        timings=timings,
        artifacts=artifacts,
        properties=properties,
        config=config,
        failure=next(filter(None, map(metadata.failure_of, executions)), ""),
        executions=tuple(execution.id for execution in executions),
        is_removed=is_removed,
    )


def _seconds_of(execution: mlmd.Execution) -> float:
    milliseconds: int = (
        execution.last_update_time_since_epoch - execution.create_time_since_epoch
    )
    return milliseconds / 1e3


def _state_of_run(run_id: str, states_of_nodes: set[str], marks: Marks) -> str:
    if run_id in marks.alive:
        return "running"
    if "FAILED" in states_of_nodes:
        return "failed"
    has_all = bool(states_of_nodes) and states_of_nodes <= {"COMPLETE", "CACHED"}
    # A run that was killed between two nodes has complete nodes only.
    return "complete" if has_all and run_id not in marks.killed else "interrupted"
