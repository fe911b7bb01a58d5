"""What native code writes to standard error is hidden, and Python's lines are shown."""

from __future__ import annotations

import subprocess
import sys

import pytest

from graft.pipeline.local.run_log import only_python_writes_errors

SCRIPT = """
import contextlib, os, sys
from graft.pipeline.local.run_log import only_python_writes_errors
with contextlib.suppress(KeyError):
    with only_python_writes_errors():
        os.write(2, b"native 1\\n")
        print("python 1 \\udce9", file=sys.stderr)
        raise KeyError
os.write(2, b"native 2\\n")
print("python 2", file=sys.stderr)
"""


def test_native_lines_are_hidden_and_no_others() -> None:
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == ["python 1 \\udce9", "native 2", "python 2"]


def test_a_stream_of_a_caller_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    with only_python_writes_errors():
        sys.stderr.write("python\n")
    assert capsys.readouterr().err == "python\n"
