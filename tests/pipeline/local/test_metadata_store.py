"""The output of one run, also where another run is in the same store."""

from __future__ import annotations

from pathlib import Path

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from graft.pipeline.local.metadata_store import LocalMetadata


def test_each_run_has_its_own_output(tmp_path: Path) -> None:
    path = tmp_path / "metadata.sqlite"
    connection = mlmd.ConnectionConfig()
    connection.sqlite.filename_uri = str(path)
    connection.sqlite.connection_mode = 3
    store = MetadataStore(connection)
    artifact_type = store.put_artifact_type(mlmd.ArtifactType(name="Examples"))
    execution_type = store.put_execution_type(mlmd.ExecutionType(name="Trainer"))
    types = {
        name: store.put_context_type(mlmd.ContextType(name=name))
        for name in ("pipeline_run", "node")
    }
    for run in ("first", "second"):
        event = mlmd.Event(type=mlmd.Event.OUTPUT)
        event.path.steps.add().key = "model"
        store.put_execution(
            mlmd.Execution(
                type_id=execution_type, last_known_state=mlmd.Execution.COMPLETE
            ),
            [(mlmd.Artifact(type_id=artifact_type, uri=run), event)],
            [
                mlmd.Context(type_id=types["pipeline_run"], name=run),
                mlmd.Context(type_id=types["node"], name="p.Trainer"),
            ],
            reuse_context_if_already_exist=True,
        )
    metadata = LocalMetadata(path)
    for run in ("first", "second"):
        found = metadata.output_of_run(run, "Trainer", "model")
        assert found is not None
        assert found.uri == run
    assert metadata.output_of_run("first", "Pusher", "model") is None
    assert metadata.output_of_run("third", "Trainer", "model") is None


def test_the_reason_of_a_failure_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "metadata.sqlite"
    connection = mlmd.ConnectionConfig()
    connection.sqlite.filename_uri = str(path)
    connection.sqlite.connection_mode = 3
    store = MetadataStore(connection)
    run_type = store.put_context_type(mlmd.ContextType(name="pipeline_run"))
    node_type = store.put_execution_type(mlmd.ExecutionType(name="Pusher"))
    for run in ("first", "second"):
        for state in (mlmd.Execution.COMPLETE, mlmd.Execution.FAILED):
            store.put_execution(
                mlmd.Execution(type_id=node_type, last_known_state=state),
                [],
                [mlmd.Context(type_id=run_type, name=run)],
                reuse_context_if_already_exist=True,
            )
    LocalMetadata(path).note_failure("second", "production changed")
    metadata = LocalMetadata(path)
    told = [
        [metadata.failure_of(each) for each in metadata.executions_of(run)]
        for run in metadata.pipeline_runs()
    ]
    assert told == [["", ""], ["", "production changed"]]
