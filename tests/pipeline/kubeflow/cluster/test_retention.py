"""Old runs of a cluster are removed; what a run or production may need stays."""

from __future__ import annotations

import json
import os
import random
import time
import uuid
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from graft.components.evaluation.verdict import RuleResult, Verdict
from graft.contract.errors import UserError
from graft.pipeline.kubeflow.cluster import retention
from graft.pipeline.kubeflow.cluster.api import ApiError
from graft.pipeline.kubeflow.cluster.retention import (
    RemovalOnCluster,
    RunsUnderWayError,
    find_pipeline,
    remove_old_runs,
)
from graft.storage import files, hashing

STEPS = ("ImageExampleGen", "Trainer", "Evaluator", "Report")
NOW = "2026-11-28T12:00:00Z"
DAY = 24 * 3600.0


class Cluster:
    """A pipeline root and the runs that the stub of the API knows."""

    def __init__(self, folder: Path, stub: Any, api: Any) -> None:
        self.root = folder / "root"
        self.store = folder / "store" / "flowers"
        self._stub, self._api = stub, api
        self.add_version("served")

    def add_version(self, content: str) -> None:
        version = self.store / str(1000 + len(list(self.store.glob("*"))))
        version.mkdir(parents=True)
        (version / "saved_model.pb").write_text(content)
        manifest = {"files": {"saved_model.pb": content}}
        (version / "graft_manifest.json").write_text(json.dumps(manifest))

    def add_run(
        self,
        steps: Collection[str] = STEPS,
        *,
        state: str | None = "SUCCEEDED",
        days: float = 10,
        model: str = "",
        pipeline: str = "flowers",
    ) -> str:
        """Write a run whose files are `days` old; without state only the files."""
        run_id = str(uuid.uuid4())
        for step in steps:
            folder = self.root / pipeline / run_id / step / str(uuid.uuid4())
            self._write(folder / "executor-logs", "x", days)
            self._write(folder / "out" / "Split-train" / "data", "x" * 99, days)
            if step == "Evaluator":
                rule = RuleResult("floor", "overall", 1.0, 0.5, "pass", "fine")
                judged = {"saved_model.pb": model}
                verdict = Verdict(True, (rule,), {}, judged_files=judged)
                self._write(folder / "blessing/verdict.json", verdict.to_json(), days)
        if state is not None:
            self._stub.runs.insert(
                0, {"run_id": run_id, "state": state, "created_at": NOW}
            )
        return run_id

    def remove(self, **options: Any) -> RemovalOnCluster:
        options = {"keep_runs": 2, **options}
        folders = [str(self.store)]
        return remove_old_runs(
            self._api(), str(self.root), "flowers", folders, **options
        )

    def on_disk(self) -> set[str]:
        return {path.name for path in (self.root / "flowers").iterdir()}

    def known(self) -> set[str]:
        return {run["run_id"] for run in self._stub.runs}

    @staticmethod
    def _write(path: Path, text: str, days: float) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        moment = time.time() - days * DAY
        os.utime(path, (moment, moment))


@pytest.fixture
def cluster(tmp_path: Path, stub: Any, api: Any) -> Cluster:
    return Cluster(tmp_path, stub, api)


def test_the_last_successful_runs_stay_and_the_others_go(cluster: Cluster) -> None:
    old = [cluster.add_run(days=9 - index) for index in range(3)]
    failed = cluster.add_run(("ImageExampleGen",), state="FAILED", days=5)
    kept = [cluster.add_run(days=2), cluster.add_run(days=1)]
    later = cluster.add_run(state="FAILED", days=0.5)
    looked = cluster.remove(only_look=True)
    assert cluster.known() == cluster.on_disk() == {*old, failed, *kept, later}
    removal = cluster.remove()
    assert removal == looked
    assert [run.run_id for run in removal.removed] == [*old, failed]
    assert removal.num_bytes > 3 * 4 * 100
    assert removal.describe().startswith("4 runs (0.0 MiB)")
    assert cluster.known() == cluster.on_disk() == {*kept, later}
    assert not cluster.remove().removed


def test_too_few_successful_runs_keep_all(cluster: Cluster) -> None:
    for index in range(5):
        cluster.add_run(state="FAILED", days=9 - index)
    cluster.add_run(days=1)
    assert not cluster.remove().removed


def test_young_runs_stay(cluster: Cluster) -> None:
    oldest, middle, *_ = (cluster.add_run(days=9 - index) for index in range(4))
    removal = cluster.remove(min_days=8.5)
    assert [run.run_id for run in removal.removed] == [oldest]
    assert middle in cluster.on_disk()


def test_a_run_whose_version_is_in_the_store_stays(cluster: Cluster) -> None:
    served = cluster.add_run(days=9, model="served")
    other = cluster.add_run(days=8, model="other")
    for _ in range(2):
        cluster.add_run(days=1)
    removal = cluster.remove()
    assert [run.run_id for run in removal.removed] == [other]
    assert served in cluster.on_disk()


def test_a_run_that_may_have_answered_a_later_one_stays(cluster: Cluster) -> None:
    before = cluster.add_run(days=9)
    answered = cluster.add_run(("Evaluator", "Report"), days=8)
    own = cluster.add_run(days=1)
    # It took the examples and the model from the cache.
    cached = cluster.add_run(("Evaluator", "Report"), days=0.5)
    removal = cluster.remove()
    assert {run.run_id for run in removal.in_use} == {before}
    assert {run.run_id for run in removal.removed} == {answered}
    assert cluster.on_disk() == {before, own, cached}


def test_what_a_run_took_from_the_cache_is_never_removed(
    tmp_path: Path, stub: Any, api: Any
) -> None:
    """Runs take steps from any earlier run that wrote them; all that remain can."""
    for seed in range(30):
        draw = random.Random(seed)
        stub.runs.clear()
        cluster = Cluster(tmp_path / str(seed), stub, api)
        runs: dict[str, set[str]] = {}
        needs: dict[str, set[str]] = {}
        for index in range(8):
            cached = {step for step in STEPS if draw.random() < 0.2}
            cached &= set().union(*runs.values())
            own = set(STEPS) - cached
            state = draw.choice(["SUCCEEDED", "SUCCEEDED", "FAILED"])
            run_id = cluster.add_run(sorted(own), state=state, days=9 - index)
            needs[run_id] = {
                draw.choice([other for other, steps in runs.items() if step in steps])
                for step in cached
            }
            runs[run_id] = own
        cluster.remove()
        left = cluster.on_disk()
        for run_id in left:
            assert needs[run_id] <= left, (seed, needs[run_id] - left)


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "PAUSED", "CANCELING", None])
def test_nothing_is_removed_beside_a_run(
    cluster: Cluster, stub: Any, state: str | None
) -> None:
    for index in range(4):
        cluster.add_run(days=9 - index)
    before = cluster.on_disk()
    # It may have written nothing yet, since its steps come from the cache.
    run = {"run_id": "other", "state": state, "created_at": NOW}
    stub.runs.insert(0, {key: value for key, value in run.items() if value})
    with pytest.raises(RunsUnderWayError, match=r"other is .*'flowers'"):
        cluster.remove()
    assert cluster.on_disk() == before


def test_a_run_of_another_pipeline_does_no_harm(cluster: Cluster) -> None:
    for index in range(4):
        cluster.add_run(days=9 - index)
    cluster.add_run(pipeline="birds", state="RUNNING", days=0)
    assert len(cluster.remove().removed) == 2


def test_a_run_that_begins_during_the_removal_stops_it(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(4):
        cluster.add_run(days=9 - index)
    before = cluster.on_disk()
    forget = retention._forget

    def begin(*arguments: Any) -> None:
        forget(*arguments)
        cluster.add_run(("Report",), state="RUNNING", days=0)

    monkeypatch.setattr(retention, "_forget", begin)
    with pytest.raises(RunsUnderWayError):
        cluster.remove()
    assert before <= cluster.on_disk()


@pytest.mark.parametrize("calls", range(4))
def test_a_killed_removal_is_finished_by_the_next(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    """It is killed before the first, the second and so on of its four changes."""
    old = {cluster.add_run(days=9), cluster.add_run(days=8)}
    kept = {cluster.add_run(days=2), cluster.add_run(days=1)}
    left = [calls]

    def killable(action: Callable[..., Any]) -> Callable[..., Any]:
        def act(*arguments: Any) -> Any:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return action(*arguments)

        return act

    forget = retention._forget
    with monkeypatch.context() as context:
        one = killable(lambda api, run: forget(api, [run]))
        context.setattr(
            retention, "_forget", lambda api, runs: [one(api, run) for run in runs]
        )
        context.setattr(retention.files, "remove_folder", killable(files.remove_folder))
        with pytest.raises(KeyboardInterrupt):
            cluster.remove()
    assert kept <= cluster.known()
    removal = cluster.remove()
    assert {run.run_id for run in removal.removed} <= old
    assert cluster.known() == cluster.on_disk() == kept


def test_runs_that_the_cluster_refuses_to_delete_keep_their_files(
    cluster: Cluster, stub: Any
) -> None:
    for index in range(4):
        cluster.add_run(days=9 - index)
    before = cluster.on_disk()
    stub.faults = [None, 403]
    with pytest.raises(ApiError):
        cluster.remove()
    assert cluster.on_disk() == before


@pytest.mark.parametrize("kind", ["missing", "empty", "damaged"])
def test_nothing_is_removed_without_the_model_store(
    cluster: Cluster, kind: str
) -> None:
    for index in range(4):
        cluster.add_run(days=9 - index)
    (version,) = cluster.store.iterdir()
    match kind:
        case "missing":
            cluster.store.rename(cluster.store.with_name("other"))
        case "empty":
            (version / "saved_model.pb").unlink()
        case "damaged":
            (version / "graft_manifest.json").write_text("{")
    with pytest.raises(UserError, match="Nothing was removed"):
        cluster.remove()
    assert len(cluster.on_disk()) == len(cluster.known()) == 4


def test_strange_files_are_counted_and_left_alone(cluster: Cluster) -> None:
    for index in range(4):
        cluster.add_run(days=9 - index)
    strange = cluster.root / "flowers" / "notes" / "a" / "b" / "c.txt"
    strange.parent.mkdir(parents=True)
    strange.write_text("mine")
    assert cluster.remove().num_unknown == 1
    assert strange.read_text() == "mine"


def test_a_root_in_a_bucket(api: Any, stub: Any, memory_folder: str, tmp_path: Path):
    store = Cluster(tmp_path, stub, api).store
    ids = [str(uuid.uuid4()) for _ in range(4)]
    for run_id in ids:
        path = f"{memory_folder}/flowers/{run_id}/Trainer/{uuid.uuid4()}/model/a.pb"
        files.make_parent(path)
        local = tmp_path / "a.pb"
        local.write_bytes(b"x" * 2**20)
        files.upload(str(local), path)
        time.sleep(0.01)
        stub.runs.insert(0, {"run_id": run_id, "state": "SUCCEEDED", "created_at": NOW})
    assert find_pipeline(memory_folder, None) == "flowers"
    removal = remove_old_runs(
        api(), memory_folder, "flowers", [str(store)], keep_runs=1
    )
    assert [run.run_id for run in removal.removed] == ids[:3]
    assert removal.describe() == "3 runs (3.0 MiB)"
    (left,) = files.files_below(f"{memory_folder}/flowers")
    assert ids[3] in left


@pytest.mark.parametrize(
    ("root", "name", "message"),
    [
        ("missing", None, "which has none"),
        ("root", "cats", "must be one of: birds, flowers. Received: 'cats'"),
        ("root", None, "must be one of: birds, flowers. Received: None"),
        ("minio://bucket/v2", None, "AWS_ENDPOINT_URL"),
    ],
)
def test_which_pipeline_is_told(
    cluster: Cluster, tmp_path: Path, root: str, name: str | None, message: str
) -> None:
    cluster.add_run()
    cluster.add_run(pipeline="birds")
    path = root if "://" in root else str(tmp_path / root)
    with pytest.raises(UserError, match=message):
        find_pipeline(path, name)
    assert find_pipeline(str(cluster.root), "birds") == "birds"


def test_the_hash_of_a_version_is_that_of_the_judged_files(cluster: Cluster) -> None:
    """Else no run would ever be recognised as that of a version."""
    from graft.components.publishing.versions import list_versions

    (version,) = list_versions(str(cluster.store))
    assert version.files_hash == hashing.hash_json({"saved_model.pb": "served"})
