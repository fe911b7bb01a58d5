"""`graft gc` tells what it removes, and leaves alone what is in use."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

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
