"""The checks of a runner before the first step."""

from __future__ import annotations

from pathlib import Path

import pytest

from graft.pipeline.beam_runners import readiness, trial
from graft.pipeline.beam_runners.config import BeamConfig, FlinkConfig
from graft.pipeline.beam_runners.flink_checks import RunnerError
from graft.pipeline.beam_runners.readiness import require_ready


def test_local_runner_is_ready(tmp_path: Path) -> None:
    said: list[str] = []
    require_ready(BeamConfig(), [], {"`output`": str(tmp_path)}, said.append)
    assert said == []


def test_note_on_a_cluster_comes_before_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flink = FlinkConfig(master="localhost:1", job_server_jar="jar")
    config = BeamConfig(runner="flink", flink=flink)
    said: list[str] = []
    monkeypatch.setattr(readiness, "check_flink", lambda _: None)
    monkeypatch.setattr(readiness, "restart_note", lambda _: "Note: no strategy")
    monkeypatch.setattr(trial, "try_runner", lambda *_, **__: said.append("job"))
    require_ready(config, [], {"`output`": str(tmp_path)}, said.append)
    assert said[0] == "Note: no strategy"
    assert said[-1] == "job"


def test_cluster_is_asked_before_any_job(tmp_path: Path) -> None:
    flink = FlinkConfig(master="localhost:1", job_server_jar=str(tmp_path / "jar"))
    config = BeamConfig(runner="flink", flink=flink)
    said: list[str] = []
    with pytest.raises(RunnerError, match=r"`beam\.flink\.master`"):
        require_ready(config, [], {"`output`": str(tmp_path)}, said.append)
    assert said == []
