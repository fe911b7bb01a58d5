"""A command's temporary folder goes with it, or with the next command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

BEGIN = """
import os, sys, tempfile
from graft.pipeline.temporary_folder import use_own_temporary_folder
folder = use_own_temporary_folder()
tempfile.mkdtemp()
"""
WAIT = "print(folder, flush=True); sys.stdin.read()"
EXEC = "os.execv(sys.executable, [sys.executable, '-c', sys.argv[1], str(folder)])"
AFTER_EXEC = "import sys; print(sys.argv[1], flush=True); sys.stdin.read()"


def run(temporary: Path, code: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code],
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def start(temporary: Path, code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BEGIN + code, *arguments],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "of others").touch()
    assert str(tmp_path) in run(tmp_path, "print(tempfile.mkdtemp())")
    assert [path.name for path in tmp_path.iterdir()] == ["of others"]


@pytest.mark.parametrize(
    ("code", "arguments"), [(WAIT, ()), (EXEC, (AFTER_EXEC,))], ids=["runs", "exec"]
)
def test_a_living_processes_folder_stays_and_a_killed_ones_goes(
    tmp_path: Path, code: str, arguments: tuple[str, ...]
) -> None:
    process = start(tmp_path, code, *arguments)
    try:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        run(tmp_path)
        assert list(tmp_path.iterdir()) == [folder]
        assert len(list(folder.iterdir())) == 2
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert folder.exists()
    run(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_child_that_ends_removes_nothing(tmp_path: Path) -> None:
    code = """
child = os.fork()
if child == 0:
    sys.exit()
os.waitpid(child, 0)
print(folder.exists())
"""
    assert run(tmp_path, code) == "True\n"


def test_no_temporary_folder_is_no_failure(tmp_path: Path) -> None:
    code = """
use_own_temporary_folder.cache_clear()
tempfile.tempdir = sys.prefix + "/missing"
print(use_own_temporary_folder())
"""
    assert run(tmp_path, code) == "None\n"
