"""The canary's server starts early if the canary will run, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from graft.components.canary.early_start import EarlyServer
from graft.pipeline.local.early_canary import EarlyCanary

COMPLETE, CACHED = mlmd.Execution.COMPLETE, mlmd.Execution.CACHED
FAILED, RUNNING = mlmd.Execution.FAILED, mlmd.Execution.RUNNING


class RecordedServer(EarlyServer):
    """Notes what it is told."""

    def __init__(self) -> None:
        super().__init__(1)
        self.told: list[str] = []

    def start(self) -> None:
        self.told.append("start")

    def give(self, model_path: str) -> None:
        self.told.append(model_path)


def write_run(path: Path, run: str, **states: mlmd.Execution.State) -> None:
    """Write the executions of a run; each node has one output, a model."""
    connection = mlmd.ConnectionConfig()
    connection.sqlite.filename_uri = str(path)
    connection.sqlite.connection_mode = 3
    store = MetadataStore(connection)
    artifact_type = store.put_artifact_type(mlmd.ArtifactType(name="Model"))
    types = {
        name: store.put_context_type(mlmd.ContextType(name=name))
        for name in ("pipeline_run", "node")
    }
    for node, state in states.items():
        event = mlmd.Event(type=mlmd.Event.OUTPUT)
        event.path.steps.add().key = "model"
        kind = store.put_execution_type(mlmd.ExecutionType(name=node))
        store.put_execution(
            mlmd.Execution(type_id=kind, last_known_state=state),
            [(mlmd.Artifact(type_id=artifact_type, uri=f"/{run}/{node}"), event)],
            [
                mlmd.Context(type_id=types["pipeline_run"], name=run),
                mlmd.Context(type_id=types["node"], name=f"p.{node}"),
            ],
            reuse_context_if_already_exist=True,
        )


@pytest.mark.parametrize(
    ("states", "node", "told"),
    [
        ({"Transform": COMPLETE}, "Trainer", ["start"]),
        ({"Transform": COMPLETE}, "DataQuality", []),
        ({"Transform": CACHED}, "Trainer", []),
        ({"Transform": RUNNING}, "Trainer", []),
        ({"Transform": FAILED}, "Trainer", []),
        ({}, "Trainer", []),
        ({"Trainer": COMPLETE}, "Evaluator", ["/run/Trainer/Format-Serving"]),
        (
            {"Trainer": CACHED, "ServedModel": COMPLETE},
            "Evaluator",
            ["/run/Trainer/Format-Serving"],
        ),
        ({"Trainer": CACHED, "ServedModel": CACHED}, "Evaluator", []),
        ({"ServedModel": COMPLETE}, "Evaluator", []),
        ({"Trainer": COMPLETE}, "Canary", []),
    ],
)
def test_when_it_starts(
    states: dict[str, mlmd.Execution.State],
    node: str,
    told: list[str],
    tmp_path: Path,
) -> None:
    path = tmp_path / "metadata.sqlite"
    write_run(path, "other", Transform=COMPLETE, Trainer=COMPLETE)
    write_run(path, "run", **states)
    server = RecordedServer()
    EarlyCanary(server, str(path)).before(node, "run")
    assert server.told == told
