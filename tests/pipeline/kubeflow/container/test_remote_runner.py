"""A step whose jobs run on a cluster: what it checks, and when."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from graft.pipeline.beam_runners import readiness, trial
from graft.pipeline.beam_runners.flink_checks import RunnerError
from graft.pipeline.kubeflow.container.executor_input import UriMap
from graft.pipeline.kubeflow.container.remote_runner import run_with_workers

LOCAL_BEAM = ["--direct_running_mode=in_memory"]
"""Here the worker is a thread."""


class Step:
    """A step of a run, with a cluster that is asked and never used."""

    def __init__(self, folder: Path, master: str) -> None:
        self.folder = folder
        self.shared = folder / "shared"
        jar = folder / "job-server.jar"
        jar.touch()
        self.settings = {
            "shared_folder": str(self.shared),
            "paths": {"`data.path`": str(folder)},
            "beam": {
                "runner": "flink",
                "flink": {"master": master, "job_server_jar": str(jar)},
            },
        }

    def run(self, run: str = "run-1", execute: Any = None) -> dict[str, Any]:
        uri = str(self.folder / "minio/bucket/sample" / run / "Gen/1/examples")
        part = {"artifacts": {"examples": {"artifacts": [{"uri": uri}]}}}
        return run_with_workers(
            self.settings,
            "Gen",
            {"inputs": {}, "outputs": part},
            UriMap(str(self.folder)),
            beam_args=LOCAL_BEAM,
            run=execute or (lambda message, scratch: message["outputs"]),
        )


@pytest.fixture
def step(tmp_path: Path, rest: Any) -> Step:
    return Step(tmp_path, rest.address)


def test_executor_works_in_the_shared_folder(step: Step) -> None:
    def execute(message: dict[str, Any], scratch: str) -> dict[str, Any]:
        (artifact,) = message["outputs"]["artifacts"]["examples"]["artifacts"]
        assert Path(artifact["uri"]).is_relative_to(step.shared)
        assert Path(scratch).is_relative_to(step.shared)
        (Path(artifact["uri"]) / "shard").write_text("1")
        return message["outputs"]

    found = step.run(execute=execute)
    (artifact,) = found["artifacts"]["examples"]["artifacts"]
    local = step.folder / "minio/bucket/sample/run-1/Gen/1/examples"
    assert artifact["uri"] == str(local)
    assert (local / "shard").read_text() == "1"


def test_workers_are_tried_once_a_run(
    step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    original = trial.try_runner

    def try_runner(arguments: Any, folders: Any, **others: Any) -> None:
        tried.append(folders)
        original(arguments, folders, **others)

    monkeypatch.setattr(trial, "try_runner", try_runner)
    step.run("run-1")
    step.run("run-1")
    assert len(tried) == 1
    assert tried[0].keys() == {"`shared_folder` of the profile", "`data.path`"}
    assert Path(next(iter(tried[0].values()))).is_relative_to(step.shared)
    step.run("run-2")
    assert len(tried) == 2


def test_workers_elsewhere_are_told_before_the_step(
    step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Elsewhere(trial.TryWorker):
        def __init__(self, work: str, *others: Any) -> None:
            super().__init__(f"{work}-elsewhere", *others)

    monkeypatch.setattr(trial, "TryWorker", Elsewhere)
    words = r"`shared_folder` of the profile must be a folder that the workers read"
    with pytest.raises(RunnerError, match=words):
        step.run(execute=lambda *_: pytest.fail("it ran"))
    # The next attempt tries again.
    with pytest.raises(RunnerError, match=words):
        step.run(execute=lambda *_: pytest.fail("it ran"))
    assert not list((step.shared / "work").iterdir())


def test_step_waits_for_slots_that_other_jobs_have(
    step: Step, rest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    overview = rest.answers["/v1/overview"]
    overview["slots-available"] = 0
    waited = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        overview["slots-available"] = len(waited) - 1

    monkeypatch.setattr(readiness.time, "sleep", sleep)
    step.run()
    assert len(waited) == 2


def test_slots_that_no_wait_gives(step: Step, rest: Any) -> None:
    rest.answers["/v1/overview"] |= {"slots-total": 0, "slots-available": 0}
    with pytest.raises(RunnerError, match=r"`beam\.flink\.parallelism`.* 0 slots"):
        step.run()


def test_terminated_step_leaves_no_work(step: Step) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def execute(message: dict[str, Any], scratch: str) -> dict[str, Any]:
        (Path(scratch) / "half").write_text("1")
        os.kill(os.getpid(), signal.SIGTERM)
        signal.sigtimedwait([], 20)
        raise AssertionError("it runs on")

    with pytest.raises(SystemExit) as found:
        step.run(execute=execute)
    assert found.value.code == 143
    assert not list((step.shared / "work").iterdir())
    assert signal.getsignal(signal.SIGTERM) is before
