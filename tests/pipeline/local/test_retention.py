"""Old runs lose their files, and nothing that is still needed is removed."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from graft.components.evaluation.verdict import VERDICT_FILE, Verdict
from graft.components.publishing.versions import GRAPH_NAME, MANIFEST_NAME
from graft.contract.errors import UserError
from graft.pipeline.config import METADATA_FILE
from graft.pipeline.local.metadata_store import LocalMetadata
from graft.pipeline.local.retention import (
    Removal,
    RunUnderWayError,
    artifacts_in_use,
    remove_old_runs,
)
from graft.pipeline.local.run_history import list_runs
from graft.pipeline.local.run_marks import mark_run

OUTPUTS = {
    "ImageExampleGen": ("examples",),
    "Trainer": ("model",),
    "Evaluator": ("evaluation", "blessing"),
    "Pusher": ("pushed_model",),
}
FILES = {"judged": "0" * 64}


class Pipeline:
    """A pipeline's folder as runs leave it, without the work of its nodes."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.folder = output / "pipelines" / "cats"
        self.folder.mkdir(parents=True)
        (self.folder / "logs").mkdir()
        connection = mlmd.ConnectionConfig()
        connection.sqlite.filename_uri = str(self.folder / METADATA_FILE)
        connection.sqlite.connection_mode = 3
        self.store = MetadataStore(connection)
        self.artifact_type = self.store.put_artifact_type(
            mlmd.ArtifactType(name="Artifact")
        )
        self.types = {
            name: self.store.put_context_type(mlmd.ContextType(name=name))
            for name in ("pipeline_run", "node")
        }
        self.num_runs = 0
        self.last: dict[str, list[mlmd.Artifact]] = {}

    def run(
        self,
        cached: tuple[str, ...] = (),
        *,
        version: int | None = None,
        failed_at: str | None = None,
    ) -> list[Path]:
        """Add a run; return the folders of the artifacts that it uses."""
        self.num_runs += 1
        used: list[mlmd.Artifact] = []
        for node, keys in OUTPUTS.items():
            state = mlmd.Execution.COMPLETE
            if node in cached and node in self.last:
                state = mlmd.Execution.CACHED
            if node == failed_at:
                state = mlmd.Execution.FAILED
            execution = self._execution(node, state, used)
            if state == mlmd.Execution.COMPLETE:
                self.last[node] = [
                    self._artifact(node, key, execution, version) for key in keys
                ]
            if state == mlmd.Execution.FAILED:
                break
            self._events(execution, self.last[node], mlmd.Event.OUTPUT)
            used += self.last[node]
        time.sleep(0.002)  # MLMD's times are milliseconds
        return [Path(artifact.uri) for artifact in used]

    def _execution(self, node: str, state: int, inputs: list[mlmd.Artifact]) -> int:
        kind = self.store.put_execution_type(mlmd.ExecutionType(name=node))
        number, _, _ = self.store.put_execution(
            mlmd.Execution(type_id=kind, last_known_state=state),
            [],
            [
                mlmd.Context(
                    type_id=self.types["pipeline_run"], name=f"run-{self.num_runs}"
                ),
                mlmd.Context(type_id=self.types["node"], name=f"cats.{node}"),
            ],
            reuse_context_if_already_exist=True,
        )
        self._events(number, inputs, mlmd.Event.INPUT)
        working = self.folder / "artifacts" / node / ".system" / "executor_execution"
        (working / str(number)).mkdir(parents=True)
        return int(number)

    def _artifact(
        self, node: str, key: str, execution: int, version: int | None
    ) -> mlmd.Artifact:
        folder = self.folder / "artifacts" / node / key / str(execution)
        folder.mkdir(parents=True)
        (folder / "data").write_bytes(bytes(1000))
        if key == "evaluation":
            verdict = Verdict(is_blessed=True, rules=(), metrics={"accuracy": 0.9})
            (folder / VERDICT_FILE).write_text(verdict.to_json())
        artifact = mlmd.Artifact(
            type_id=self.artifact_type, uri=str(folder), state=mlmd.Artifact.LIVE
        )
        if key == "pushed_model" and version is not None:
            model = self.output / "serving" / "cats" / str(version)
            properties = artifact.custom_properties
            properties["pushed_version"].string_value = str(version)
            properties["pushed_destination"].string_value = str(model)
            model.mkdir(parents=True)
            (model / GRAPH_NAME).touch()
            (model / MANIFEST_NAME).write_text(json.dumps({"files": FILES}))
        (artifact.id,) = self.store.put_artifacts([artifact])
        return artifact

    def _events(
        self, execution: int, artifacts: list[mlmd.Artifact], kind: int
    ) -> None:
        events = []
        for artifact in artifacts:
            event = mlmd.Event(
                type=kind, execution_id=execution, artifact_id=artifact.id
            )
            event.path.steps.add().key = Path(artifact.uri).parent.name
            events.append(event)
        if events:
            self.store.put_events(events)

    def remove(self, keep_runs: int = 1, **options: object) -> Removal:
        return remove_old_runs(self.folder, keep_runs=keep_runs, **options)  # type: ignore[arg-type]


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    return Pipeline(tmp_path / "output")


def numbers(removal: Removal) -> list[int]:
    return [run.number for run, _ in removal.runs]


def test_the_last_runs_keep_their_files(pipeline: Pipeline) -> None:
    folders = [pipeline.run() for _ in range(4)]
    removal = pipeline.remove(keep_runs=2)
    assert numbers(removal) == [1, 2]
    assert removal.num_bytes == sum(size for _, size in removal.runs) == 2 * 4000
    for index, paths in enumerate(folders):
        for path in paths:
            is_kept = index >= 2 or path.parent.name == "evaluation"
            assert path.exists() == is_kept, path
    states = {each.uri: each.state for each in pipeline.store.get_artifacts()}
    assert {uri for uri, state in states.items() if state == mlmd.Artifact.DELETED} == {
        str(path) for paths in folders for path in paths if not path.exists()
    }
    assert numbers(pipeline.remove(keep_runs=2)) == []


def test_history_goes_on_listing_removed_runs(pipeline: Pipeline) -> None:
    for _ in range(2):
        pipeline.run()
    pipeline.remove()
    first, second = list_runs(pipeline.folder / METADATA_FILE)
    assert (first.is_removed, second.is_removed) == (True, False)


def test_files_that_a_kept_run_took_from_the_cache_stay(pipeline: Pipeline) -> None:
    pipeline.run()
    used = pipeline.run(cached=("ImageExampleGen", "Trainer"))
    pipeline.remove()
    assert all(path.exists() for path in used)


def test_a_dry_run_removes_nothing(pipeline: Pipeline) -> None:
    folders = [pipeline.run() for _ in range(2)]
    looked = pipeline.remove(only_look=True)
    assert all(path.exists() for paths in folders for path in paths)
    removed = pipeline.remove()
    assert (looked.paths, looked.num_bytes) == (removed.paths, removed.num_bytes)


def test_failed_runs_push_out_no_complete_one(pipeline: Pipeline) -> None:
    complete = pipeline.run()
    for _ in range(3):
        pipeline.run(failed_at="Trainer")
    assert not pipeline.remove().paths
    assert all(path.exists() for path in complete)
    pipeline.run()
    assert numbers(pipeline.remove()) == [1, 2, 3, 4]


def test_young_runs_are_not_removed(pipeline: Pipeline) -> None:
    for _ in range(2):
        pipeline.run()
    assert not pipeline.remove(min_days=1).paths
    assert numbers(pipeline.remove(min_days=0)) == [1]


@pytest.mark.parametrize("is_in_store", [True, False])
def test_a_run_whose_version_is_in_the_store_is_kept(
    pipeline: Pipeline, *, is_in_store: bool
) -> None:
    pipeline.run(version=7)
    pipeline.run()
    if not is_in_store:
        shutil.rmtree(pipeline.output / "serving" / "cats" / "7")
    assert numbers(pipeline.remove()) == ([] if is_in_store else [1])


def test_a_blessed_run_is_kept(pipeline: Pipeline) -> None:
    """`graft bless` leaves no trace in the run: the judged files tell."""
    folders = pipeline.run()
    (evaluation,) = [path for path in folders if path.parent.name == "evaluation"]
    verdict = Verdict(
        is_blessed=False, rules=(), metrics={"accuracy": 0.5}, judged_files=FILES
    )
    (evaluation / VERDICT_FILE).write_text(verdict.to_json())
    pipeline.run(version=7)
    assert not pipeline.remove().paths


def test_a_model_store_that_can_not_be_read_stops_it(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graft.components.publishing import versions

    folders = [pipeline.run(version=number) for number in (1, 2)]

    def fail(folder: str) -> list[object]:
        raise PermissionError(13, "Permission denied", folder)

    monkeypatch.setattr(versions, "list_versions", fail)
    with pytest.raises(UserError, match=r"Nothing was removed.*serving/cats"):
        pipeline.remove()
    assert all(path.exists() for paths in folders for path in paths)


def test_nothing_is_removed_beside_a_run(pipeline: Pipeline) -> None:
    folders = [pipeline.run() for _ in range(2)]
    with artifacts_in_use(pipeline.folder):
        with artifacts_in_use(pipeline.folder):
            pass  # two runs at once do not wait for each other
        with pytest.raises(RunUnderWayError, match="'cats'"):
            pipeline.remove()
    assert all(path.exists() for paths in folders for path in paths)
    assert numbers(pipeline.remove()) == [1]


def test_a_marked_run_is_kept(pipeline: Pipeline) -> None:
    first = pipeline.run(failed_at="Pusher")
    pipeline.run()
    with mark_run(str(pipeline.folder)) as name_run:
        name_run("run-1")
        pipeline.remove()
    assert all(path.exists() for path in first)


def test_folders_of_unknown_executions_are_left_alone(pipeline: Pipeline) -> None:
    pipeline.run()
    stray = pipeline.folder / "artifacts" / "Trainer" / "model" / "999"
    stray.mkdir()
    removal = pipeline.remove()
    assert removal.num_unknown == 1
    assert stray.exists()


def test_a_linked_folder_of_another_disk_is_left_alone(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    pipeline.run()
    pipeline.run()
    other = tmp_path / "other"
    (model,) = (pipeline.folder / "artifacts" / "Trainer" / "model").glob("2")
    model.rename(other)
    model.symlink_to(other)
    pipeline.remove()
    assert (other / "data").exists()


def test_logs_go_with_their_runs(pipeline: Pipeline) -> None:
    logs = []
    for hour in (1, 2, 3):
        pipeline.run()
        log = pipeline.folder / "logs" / f"20200101-0{hour}0000.log"
        log.touch()
        os.utime(log, (hour, hour))
        logs.append(log)
    now = time.strftime("%Y%m%d-%H%M%S", time.localtime(time.time() - 3600))
    current = pipeline.folder / "logs" / f"{now}.log"
    current.touch()
    pipeline.remove()
    assert [log.exists() for log in logs] == [False, False, False]
    assert current.exists()


def _remove_slowly(folder: Path, num_removed: int) -> None:
    """Remove old runs; die after some folders."""
    remove_tree = shutil.rmtree
    calls = iter(range(num_removed))

    def remove_or_die(path: Path) -> None:
        if next(calls, None) is None:
            os._exit(9)
        remove_tree(path)

    shutil.rmtree = remove_or_die  # type: ignore[assignment]
    remove_old_runs(folder, keep_runs=1)


@pytest.mark.parametrize("num_removed", [0, 1, 4])
def test_a_killed_removal_is_finished_by_the_next(
    pipeline: Pipeline, num_removed: int
) -> None:
    folders = [pipeline.run() for _ in range(3)]
    process = multiprocessing.get_context("fork").Process(
        target=_remove_slowly, args=(pipeline.folder, num_removed)
    )
    process.start()
    process.join()
    assert process.exitcode == 9
    # No run takes a half removed artifact: TFX's cache reads the state.
    gone = [path for paths in folders for path in paths if not path.exists()]
    states = {each.uri: each.state for each in pipeline.store.get_artifacts()}
    assert all(states[str(path)] == mlmd.Artifact.DELETED for path in gone)
    pipeline.remove()
    left = {
        path
        for paths in folders[:2]
        for path in paths
        if path.exists() and path.parent.name != "evaluation"
    }
    assert left == set()
    assert all(path.exists() for path in folders[2])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), keep_runs=st.integers(1, 4))
def test_what_kept_runs_use_always_stays(
    tmp_path_factory: pytest.TempPathFactory, seed: int, keep_runs: int
) -> None:
    """Random runs, with caches, failures and pushes, and removals between them."""
    chance = random.Random(seed)
    pipeline = Pipeline(tmp_path_factory.mktemp("games") / "output")
    used: list[list[Path]] = []
    for version in range(1, chance.randint(2, 7)):
        nodes = [node for node in OUTPUTS if chance.random() < 0.4]
        used.append(
            pipeline.run(
                tuple(nodes),
                version=version if chance.random() < 0.3 else None,
                failed_at=chance.choice([*OUTPUTS]) if chance.random() < 0.2 else None,
            )
        )
        if chance.random() < 0.3:
            pipeline.remove(keep_runs)
        # TFX's cache answers with nothing that was removed.
        pipeline.last = {
            node: artifacts
            for node, artifacts in pipeline.last.items()
            if all(Path(artifact.uri).exists() for artifact in artifacts)
        }
    pipeline.remove(keep_runs)
    runs = list_runs(pipeline.folder / METADATA_FILE)
    complete = [run.number for run in runs if run.state == "complete"]
    first = complete[-keep_runs] if len(complete) >= keep_runs else 1
    for run, paths in zip(runs, used, strict=True):
        is_pushed = "pushed_version" in str(run.properties)
        if run.number >= first or is_pushed:
            assert all(path.exists() for path in paths), run
    uris = LocalMetadata(pipeline.folder / METADATA_FILE)
    kept = [run for run in runs if run.number >= first or "pushed" in str(run)]
    needed = set().union(*(uris.uris_of(run.executions) for run in kept))
    on_disk = {str(path) for path in pipeline.folder.glob("artifacts/*/[a-z]*/*")}
    assert {path for path in on_disk if "evaluation" not in path} <= needed
