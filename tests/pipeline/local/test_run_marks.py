"""A run that lives, one that ended, and one that was killed are told apart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from graft.pipeline.local.run_history import _state_of_run
from graft.pipeline.local.run_marks import Marks, mark_run, read_marks

RUN = """
import sys
from graft.pipeline.local.run_marks import mark_run
with mark_run(sys.argv[1]) as name_run:
    for node in range(2):
        name_run(sys.argv[2])
    print("marked", flush=True)
    sys.stdin.read()
"""


def start(folder: Path, run_id: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder), run_id],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "marked\n"
    return process


def test_no_run_has_ever_been_here(tmp_path: Path) -> None:
    assert read_marks(tmp_path) == Marks(frozenset(), frozenset())


def test_two_runs_of_which_one_is_killed(tmp_path: Path) -> None:
    one, other = start(tmp_path, "one"), start(tmp_path, "other")
    try:
        assert read_marks(tmp_path) == Marks(frozenset({"one", "other"}), frozenset())
        os.kill(one.pid, signal.SIGKILL)
        one.communicate()
        assert read_marks(tmp_path) == Marks(frozenset({"other"}), frozenset({"one"}))
    finally:
        one.kill()
        other.communicate("")
    assert read_marks(tmp_path) == Marks(frozenset(), frozenset({"one"}))


def test_a_run_that_fails_leaves_no_mark(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), mark_run(str(tmp_path)) as name_run:
        name_run("failed")
        raise RuntimeError
    assert read_marks(tmp_path) == Marks(frozenset(), frozenset())


@pytest.mark.parametrize(
    ("run_id", "states", "state"),
    [
        ("alive", {"COMPLETE", "RUNNING"}, "running"),
        ("alive", set(), "running"),
        ("killed", {"COMPLETE", "RUNNING"}, "interrupted"),
        ("killed", {"COMPLETE"}, "interrupted"),
        ("older", {"COMPLETE", "RUNNING"}, "interrupted"),
        ("older", set(), "interrupted"),
        ("older", {"COMPLETE", "CACHED"}, "complete"),
        ("older", {"COMPLETE", "FAILED"}, "failed"),
    ],
)
def test_states(run_id: str, states: set[str], state: str) -> None:
    marks = Marks(frozenset({"alive"}), frozenset({"killed"}))
    assert _state_of_run(run_id, states, marks) == state
