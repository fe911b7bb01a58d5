"""The table of runs fits a terminal of 80 columns."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from graft.components.evaluation.verdict import Verdict
from graft.contract.errors import UserError
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


SOUND = Verdict(is_blessed=True, rules=(), metrics={"accuracy": 0.92}).to_json()


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00garbage",
        b"",
        SOUND[: len(SOUND) // 2].encode(),
        b"null",
        b"[1]",
        b"{}",
        b"[" * 200_000,
        b'{"a":' * 100_000,
        SOUND.replace("0.92", '"high"').encode(),
        SOUND.replace('"rules": []', '"rules": [1]').encode(),
        SOUND.replace('"classes": []', '"classes": [{"name": "a"}]').encode(),
        SOUND.replace("true", '"yes"', 1).encode(),
    ],
    ids=[
        "no text",
        "empty",
        "half",
        "null",
        "a list",
        "an empty object",
        "nested lists",
        "nested objects",
        "a metric",
        "a rule",
        "a class",
        "the decision",
    ],
)
def test_a_damaged_verdict_is_named_and_hides_no_other_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes
) -> None:
    started = datetime(2026, 11, 29, tzinfo=UTC)
    runs = []
    for number, text in ((1, content), (2, SOUND.encode())):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "verdict.json").write_bytes(text)
        artifacts = {"Evaluator.evaluation": str(folder)}
        runs.append(
            run_history.Run(
                number, "id", started, 1.0, "complete", {}, artifacts, config={"a": 1}
            )
        )
    monkeypatch.setattr(run_history, "list_runs", lambda _: runs)
    monkeypatch.setattr(run_history, "find_metadata", lambda *_: tmp_path)
    monkeypatch.setenv("COLUMNS", "400")
    done = CliRunner().invoke(app, ["runs"])
    assert done.exit_code == 0, done.output
    _, first, second = done.output.splitlines()
    assert first.endswith(f"damaged: {tmp_path / '1' / 'verdict.json'}")
    assert second.split()[-2:] == ["0.9200", "passed"]
    for command in (["diff"], ["bless", "1"]):
        done = CliRunner().invoke(app, command)
        assert isinstance(done.exception, UserError), done.exception
        assert "1/verdict.json' is damaged. Move its folder away" in str(done.exception)
