"""The table of runs fits a terminal of 80 columns."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from graft.components.evaluation.verdict import Verdict
from graft.pipeline.cli import app
from graft.pipeline.local import run_history


@pytest.mark.parametrize(
    ("metrics", "cells"),
    [
        ({"accuracy": 0.92, "balanced_accuracy": 0.5}, ["0.9200", "0.5000"]),
        ({"accuracy": 0.92}, ["0.9200"]),
    ],
    ids=["now", "by an older version"],
)
def test_balanced_accuracy_stands_beside_accuracy(
    monkeypatch: pytest.MonkeyPatch, metrics: dict[str, float], cells: list[str]
) -> None:
    class Run(run_history.Run):
        def verdict(self) -> Verdict:
            return Verdict(is_blessed=True, rules=(), metrics=metrics)

    started = datetime(2026, 11, 29, tzinfo=UTC)
    pushed = {"Pusher.pushed_model": {"pushed_version": "1795984884"}}
    run = Run(1, "id", started, 1234.0, "complete", {}, {}, pushed)
    monkeypatch.setattr(run_history, "find_runs", lambda *_: [run])
    monkeypatch.setenv("COLUMNS", "80")
    done = CliRunner().invoke(app, ["runs"])
    assert done.exit_code == 0, done.output
    head, row = done.output.splitlines()
    assert head.split()[4:6] == ["Accuracy", "Balanced"]
    assert row.split()[5:] == [*cells, "passed", "1795984884"]
