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


@pytest.mark.parametrize(
    ("pushed", "failure", "cell"),
    [
        ({}, "production changed", ["production", "changed"]),
        ({"pushed": 0, "not_pushed_reason": "the canary"}, "", ["not", "pushed"]),
        ({"pushed": 0, "twin_version": 1795984884}, "", ["same", "as", "1795984884"]),
    ],
    ids=["production changed", "the canary refused", "another run pushed it"],
)
def test_a_run_without_a_version_says_why(
    monkeypatch: pytest.MonkeyPatch,
    pushed: dict[str, object],
    failure: str,
    cell: list[str],
) -> None:
    class Run(run_history.Run):
        def verdict(self) -> Verdict:
            return Verdict(
                is_blessed=True,
                rules=(),
                metrics={"accuracy": 0.92, "balanced_accuracy": 0.5},
            )

    started = datetime(2026, 11, 29, tzinfo=UTC)
    outputs = {"Pusher.pushed_model": pushed} if pushed else {}
    run = Run(1, "id", started, 1234.0, "complete", {}, {}, outputs, failure=failure)
    monkeypatch.setattr(run_history, "find_runs", lambda *_: [run])
    monkeypatch.setenv("COLUMNS", "80")
    done = CliRunner().invoke(app, ["runs"])
    assert done.exit_code == 0, done.output
    _, *rows = done.output.splitlines()
    # The cell takes several lines: no word of it is cut.
    words = " ".join(rows).split()
    assert words[words.index("passed") + 1 :] == cell
