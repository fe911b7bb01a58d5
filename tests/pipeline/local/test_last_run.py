"""The last run of an output folder, also of one that earlier versions wrote."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from graft.pipeline.config import METADATA_FILE, PIPELINES_FOLDER
from graft.pipeline.local.last_run import last_run_of, last_runs, remember_run


def _pipeline(output: Path, name: str) -> Path:
    folder = output / PIPELINES_FOLDER / name
    (folder / "logs").mkdir(parents=True)
    (folder / METADATA_FILE).touch()
    return folder


def test_latest_run_comes_first(tmp_path: Path) -> None:
    for name in ("b", "c", "a"):
        remember_run(str(_pipeline(tmp_path, name)), model=f"{name}!", data="x")
    assert [run.pipeline for run in last_runs(tmp_path)] == ["a", "c", "b"]
    assert last_runs(tmp_path)[0].model == "a!"
    assert last_runs(tmp_path / "nowhere") == []


@pytest.mark.parametrize("text", [None, "", "[]", '{"started": "x"}'])
def test_without_a_sound_file_the_log_tells(tmp_path: Path, text: str | None) -> None:
    new, old = _pipeline(tmp_path, "new"), _pipeline(tmp_path, "old")
    for folder, seconds in ((new, 200), (old, 100)):
        log = folder / "logs" / "1.log"
        log.touch()
        os.utime(log, (seconds, seconds))
        if text is not None:
            (folder / "last_run.json").write_text(text)
    assert [run.pipeline for run in last_runs(tmp_path)] == ["new", "old"]
    assert last_runs(tmp_path)[0].model == ""


def test_a_pipeline_that_only_failed_has_not_ended(tmp_path: Path) -> None:
    new = tmp_path / PIPELINES_FOLDER / "new"
    new.mkdir(parents=True)
    before = last_run_of(new)
    assert not before.has_ended
    remember_run(str(new), model="m", data="x", has_ended=before.has_ended)
    (new / METADATA_FILE).touch()
    assert not last_run_of(new).has_ended
    remember_run(str(new), model="m", data="x", words=["my.yaml"])
    ended = last_run_of(new)
    assert ended.has_ended
    # What a later attempt says while it runs is not what was run.
    remember_run(str(new), model="m", data="x", words=ended.words)
    assert last_run_of(new).words == ("my.yaml",)
    # Earlier versions wrote no such value.
    assert last_run_of(_pipeline(tmp_path, "old")).has_ended
