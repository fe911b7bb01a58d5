"""`graft runs`: what earlier runs came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graft.contract.errors import UserError
from graft.pipeline.commands import submit

if TYPE_CHECKING:
    from graft.components.evaluation.verdict import Verdict

DEFAULT_OUTPUT = Path("graft_output")
OutputOption = Annotated[
    Path, typer.Option("--output", help="Folder for everything that a run makes.")
]
PipelineOption = Annotated[
    str | None,
    typer.Option("--pipeline", help="Name of the pipeline, if the folder has several."),
]


@dataclass(frozen=True)
class Run:
    """One run of a pipeline, as the metadata store tells it.

    Attributes:
        number: From 1, oldest first.
        run_id: TFX's name of it.
        started: When it began.
        seconds: From the first node's beginning to the last one's end.
        state: `complete`, `failed` or `running`.
        timings: Node to seconds; a node that was answered from the cache has 0.
        artifacts: Node and output key, as `Evaluator.evaluation`, to the artifact's
        URI.
        properties: The same to the artifact's custom properties.
        config: The run's config, empty where the run did not get that far.
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

    def verdict(self) -> Verdict | None:
        """Return the gate's decision; None if the run did not get that far."""
        from graft.components.evaluation.verdict import VERDICT_FILE, Verdict

        uri = self.artifacts.get("Evaluator.evaluation")
        path = None if uri is None else Path(uri) / VERDICT_FILE
        if path is None or not path.is_file():
            return None
        return Verdict.from_json(path.read_text(encoding="utf-8"))


def runs(  # noqa: PLR0917 - options of a command
    output: OutputOption = DEFAULT_OUTPUT,
    pipeline: PipelineOption = None,
    host: submit.HostOption = "",
    namespace: submit.NamespaceOption = "",
    token_file: submit.TokenFileOption = None,
    cookie_file: submit.CookieFileOption = None,
    limit: Annotated[
        int, typer.Option("--limit", help="How many of a cluster's, at most.")
    ] = 20,
) -> None:
    """List the runs of a pipeline here, or with --host those of a cluster."""
    if host:
        submit.runs(host, namespace, token_file, cookie_file, limit)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("Run", "Started", "Seconds", "State", "Accuracy", "Gate", "Version"):
        justify: Any = "right" if title in ("Run", "Seconds", "Accuracy") else "left"
        table.add_column(title, justify=justify, no_wrap=True)
    for run in list_runs(find_metadata(output, pipeline)):
        verdict = run.verdict()
        pushed = run.properties.get("Pusher.pushed_model", {})
        table.add_row(
            str(run.number),
            run.started.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            f"{run.seconds:.0f}",
            run.state,
            "" if verdict is None else f"{verdict.metrics['accuracy']:.4f}",
            "" if verdict is None else "passed" if verdict.is_blessed else "refused",
            str(pushed.get("pushed_version", "")),
        )
    Console(highlight=False, width=None).print(table)


def find_metadata(output: Path, pipeline: str | None) -> Path:
    """Return the metadata store of a pipeline.

    Raises:
        UserError: There is none, or there are several and none was named.
    """
    found = {
        path.parent.name: path
        for path in sorted((output / "pipelines").glob("*/metadata.sqlite"))
    }
    if pipeline is None and len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise UserError(
            f"No pipeline has run with its output in {str(output)!r}. `graft run` runs "
            "one; `--output` names another folder."
        )
    if pipeline not in found:
        given = "" if pipeline is None else f" Received: {pipeline!r}"
        raise UserError(f"`--pipeline` must be one of: {', '.join(found)}.{given}")
    return found[pipeline]


def list_runs(metadata_path: Path) -> list[Run]:
    """Return the runs that a metadata store knows, oldest first."""
    import json

    from ml_metadata.metadata_store import MetadataStore
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    connection = mlmd.ConnectionConfig()
    connection.sqlite.filename_uri = str(metadata_path)
    store = MetadataStore(connection)
    contexts = sorted(store.get_contexts_by_type("pipeline_run"), key=lambda c: c.id)
    state_of = mlmd.Execution.State.Name
    found = []
    for number, context in enumerate(contexts, 1):
        timings: dict[str, float] = {}
        artifacts: dict[str, str] = {}
        properties: dict[str, dict[str, Any]] = {}
        config: dict[str, Any] = {}
        states = set()
        executions = store.get_executions_by_context(context.id)
        for execution in sorted(executions, key=lambda each: each.id):
            node = _node_of(store, execution)
            state = state_of(execution.last_known_state)
            states.add(state)
            began = execution.create_time_since_epoch
            timings[node] = (
                0.0
                if state == "CACHED"
                else (execution.last_update_time_since_epoch - began) / 1e3
            )
            if node == "Report":
                text = execution.custom_properties["config"].string_value
                config = json.loads(text)
            for key, artifact in _outputs(store, execution).items():
                artifacts[f"{node}.{key}"] = artifact.uri
                properties[f"{node}.{key}"] = {
                    name: getattr(value, value.WhichOneof("value"))
                    for name, value in artifact.custom_properties.items()
                }
        begins = [e.create_time_since_epoch for e in executions]
        ends = [e.last_update_time_since_epoch for e in executions]
        first = min(begins, default=context.create_time_since_epoch)
        found.append(
            Run(
                number=number,
                run_id=context.name,
                started=datetime.fromtimestamp(first / 1e3, timezone.utc),
                seconds=(max(ends, default=first) - first) / 1e3,
                state=_overall(states),
                timings=timings,
                artifacts=artifacts,
                properties=properties,
                config=config,
            )
        )
    return found


def choose_run(found: list[Run], name: str | None, default: int = -1) -> Run:
    """Return a run by its number or id; the latest, or `default` from the end.

    Raises:
        UserError: There is no such run.
    """
    if not found or (name is None and len(found) < -default):
        raise UserError("There are not so many runs yet. `graft run` makes one.")
    if name is None:
        return found[default]
    for run in found:
        if name in (str(run.number), run.run_id):
            return run
    raise UserError(
        f"There is no run {name!r}; runs are numbered 1 to {len(found)}. "
        "`graft runs` lists them."
    )


def _node_of(store: Any, execution: Any) -> str:
    for context in store.get_contexts_by_execution(execution.id):
        if store.get_context_types_by_id([context.type_id])[0].name == "node":
            return str(context.name).rpartition(".")[2]
    return str(execution.name)


def _outputs(store: Any, execution: Any) -> dict[str, Any]:
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    keys = {
        event.artifact_id: event.path.steps[0].key
        for event in store.get_events_by_execution_ids([execution.id])
        if event.type == mlmd.Event.OUTPUT and event.path.steps
    }
    return {keys[each.id]: each for each in store.get_artifacts_by_id(list(keys))}


def _overall(states: set[str]) -> str:
    if "FAILED" in states:
        return "failed"
    return "running" if states - {"COMPLETE", "CACHED"} else "complete"
