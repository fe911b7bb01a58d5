"""`graft run` names the node that failed, the error and the log."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from graft.pipeline.commands.run import _failure, _new_log

LOG = Path("run.log")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("bad shape\nmore"), "Trainer failed: ValueError: bad shape\n"),
        (AssertionError(), "Trainer failed: AssertionError:\n"),
        (OSError(errno.ENOSPC, "full"), "Trainer failed. No space is left on the disk"),
    ],
)
def test_failed_node_is_named_with_its_error_and_log(error, message):
    text = str(_failure(error, "Trainer", LOG))
    assert text.startswith(message)
    assert "run.log" in text


def test_failure_outside_of_a_node_is_the_runs():
    assert str(_failure(KeyError("x"), None, LOG)).startswith(
        "The run failed: KeyError"
    )


def test_two_runs_of_one_second_have_a_log_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.strftime", lambda form: "20261130-010203")
    names = [_new_log(tmp_path / "logs").name for _ in range(3)]
    assert names == [f"20261130-010203{end}.log" for end in ("", "-2", "-3")]
