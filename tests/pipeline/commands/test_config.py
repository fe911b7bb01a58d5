"""`graft config check` says what it could not check."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from graft.pipeline.cli import app


@pytest.mark.parametrize(
    ("data", "is_told"),
    [
        ("photos", False),
        ("photo[s].tfrecord*", True),
        ("[p]hotos", False),
        ("photoz", True),
        ("sklearn:digits", False),
        ("gs://bucket/photos", False),
    ],
)
def test_data_that_are_not_here_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, *, is_told: bool
) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["config", "check", "--data", data])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("The config is fine.")
    assert (f"There is no {data!r} (`data.path`) here." in done.output) == is_told
