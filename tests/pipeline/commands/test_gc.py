"""`graft gc` tells what it removes, and leaves alone what is in use."""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from graft.contract.errors import UserError
from graft.pipeline.cli import app
from graft.pipeline.config import METADATA_FILE
from graft.pipeline.local import retention
from graft.pipeline.local.retention import Removal, RunUnderWayError
from graft.pipeline.local.run_history import Run


@pytest.fixture
def output(tmp_path: Path) -> Path:
    for name in ("cats", "dogs"):
        (tmp_path / "pipelines" / name).mkdir(parents=True)
        (tmp_path / "pipelines" / name / METADATA_FILE).touch()
    return tmp_path


@pytest.mark.parametrize("words", [[], ["--dry-run"]])
def test_runs_and_sizes_are_told(
    output: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    asked = {}
    run = Run(3, "id", datetime(2026, 11, 29, tzinfo=UTC), 1.0, "failed", {}, {})

    def remove(folder: Path, **options: object) -> Removal:
        if folder.name == "cats":
            raise RunUnderWayError("A command uses the artifacts of pipeline 'cats'.")
        asked.update(options)
        return Removal(((run, 5 << 20),), (folder,), 6 << 20, 1)

    monkeypatch.setattr(retention, "remove_old_runs", remove)
    options = ["--keep-runs", "2", "--older-than", "1.5", *words]
    done = CliRunner().invoke(app, ["gc", "--output", str(output), *options])
    assert done.exit_code == 1  # cats were left alone
    assert asked == {"keep_runs": 2, "min_days": 1.5, "only_look": bool(words)}
    verb = "would remove" if words else "removed"
    assert f"dogs: {verb} the files of 1 run (6.0 MiB)" in done.stdout
    assert "run 3, 2026-11-29" in done.stdout
    assert "failed: 5.0 MiB" in done.stdout
    assert "left alone: 1 folder that is of no run" in done.stdout
    assert "'cats'" in done.stderr


def test_only_a_known_pipeline(output: Path) -> None:
    words = ["gc", "--output", str(output), "--pipeline", "birds"]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, UserError)
    assert "must be one of: cats, dogs. Received: 'birds'" in str(done.exception)


def test_old_runs_of_a_cluster(
    tmp_path: Path, stub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, store = tmp_path / "root", tmp_path / "store" / "1000"
    store.mkdir(parents=True)
    (store / "saved_model.pb").touch()
    ids = [str(uuid.UUID(int=number)) for number in range(3)]
    for number, run_id in enumerate(ids):
        path = root / "flowers" / run_id / "Trainer" / "a" / "model" / "saved_model.pb"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x" * 2**20)
        os.utime(path, (number * 1e6, number * 1e6))
        stub.runs.insert(0, {"run_id": run_id, "state": "SUCCEEDED"})
    (root / "flowers" / "notes.txt").touch()
    words = ["gc", "--root", str(root), "--host", stub.host, "--keep-runs", "1"]
    with_store = [*words, "--model-dir", str(store.parent)]
    looked = CliRunner().invoke(app, [*with_store, "--dry-run"])
    assert looked.exit_code == 0, looked.output
    assert "flowers: would remove 2 runs (2.0 MiB)" in looked.stdout
    assert f"run {ids[1]}, 1970-01-12" in looked.stdout
    assert "SUCCEEDED: 1.0 MiB" in looked.stdout
    assert "left alone: 1 file that is of no run" in looked.stdout
    done = CliRunner().invoke(app, with_store)
    assert "flowers: removed 2 runs (2.0 MiB)" in done.stdout
    assert [run["run_id"] for run in stub.runs] == ids[2:]
    assert "nothing to remove" in CliRunner().invoke(app, with_store).stdout
    stub.runs.insert(0, {"run_id": "other", "state": "RUNNING"})
    busy = CliRunner().invoke(app, with_store)
    assert busy.exit_code == 1
    assert "other is RUNNING" in busy.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--root", "."], "`--root` needs `--model-dir`"),
        (["--model-dir", "."], "name its `--root`"),
    ],
)
def test_a_root_and_a_model_store_belong_together(
    words: list[str], message: str
) -> None:
    done = CliRunner().invoke(app, ["gc", *words])
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)
