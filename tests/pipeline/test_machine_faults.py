"""A full or read-only disk ends a command with one sentence."""

from __future__ import annotations

import errno
import os
import sys

import pytest

from graft.pipeline import cli
from graft.pipeline.machine_faults import describe_fault


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "No space is left on the disk for '/x/y'"),
        (errno.EDQUOT, "No space is left"),
        (errno.EROFS, "read-only for '/x/y'"),
        (errno.EACCES, "Permission denied for '/x/y'"),
        (errno.EMFILE, "ulimit -n"),
        (errno.EIO, "The disk reports an error for '/x/y'"),
    ],
)
def test_faults_of_the_system(number: int, words: str) -> None:
    error = OSError(number, os.strerror(number), "/x/y")
    assert words in str(describe_fault(error))
    wrapped = RuntimeError("a node failed")
    wrapped.__cause__ = error
    assert describe_fault(wrapped) == describe_fault(error)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Error when executing query: database or disk is full", "No space is left"),
        ("x; No space left on device [Op:SaveV2]", "No space is left"),
        ("attempt to write a readonly database query:  CREATE TABLE", "read-only"),
    ],
)
def test_faults_that_libraries_report_as_text(text: str, words: str) -> None:
    assert words in str(describe_fault(RuntimeError(text)))


def test_other_errors_are_bugs_and_keep_their_trace() -> None:
    assert describe_fault(ValueError("no")) is None
    assert describe_fault(FileNotFoundError(errno.ENOENT, "gone", "x")) is None
    circle = ValueError("a")
    circle.__cause__ = circle
    assert describe_fault(circle) is None


def test_a_command_ends_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise OSError(errno.ENOSPC, "full", "/x/\x1b[2J")

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.setattr(sys, "argv", ["graft"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    shown = capsys.readouterr().err
    assert shown.startswith("graft: No space is left on the disk for '/x/")
    assert shown.count("\n") == 1
    assert "\x1b" not in shown
