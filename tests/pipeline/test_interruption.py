"""Ctrl-C ends a long command at once, with a message and exit status 130."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from graft.pipeline.cli import _STOPPED_AT_ONCE
from graft.pipeline.interruption import CONTINUES

_AT_ONCE_SECONDS = 3
NATIVE = """
import hashlib
from graft.pipeline.interruption import stop_at_once
stop_at_once()
print("began", flush=True)
hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
"""
"""Native code for minutes, which no signal interrupts."""


def _start(words: Sequence[object], cwd: Path | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        # A parent that ignores SIGINT, as a shell's background job, hands that on.
        ["env", "--default-signal=INT", sys.executable, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        start_new_session=True,
    )


def _stop(process: subprocess.Popen[str], *, whole_group: bool = False) -> str:
    """Send Ctrl-C, and return standard error; the process must end at once."""
    send = os.killpg if whole_group else os.kill
    try:
        send(process.pid, signal.SIGINT)
        sent = time.monotonic()
        _, said = process.communicate(timeout=30)
        assert time.monotonic() - sent < _AT_ONCE_SECONDS
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    return said


def _wait_for(is_there: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not is_there():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_native_code_does_not_delay_it() -> None:
    process = _start(["-c", NATIVE])
    assert process.stdout is not None
    assert process.stdout.readline() == "began\n"
    assert _stop(process) == f"graft: {CONTINUES}\n"


def test_a_background_job_goes_on_ignoring_it() -> None:
    code = f"import signal; signal.signal(2, signal.SIG_IGN)\n{NATIVE}"
    process = _start(["-c", code.replace("2**31 - 1", "2**20")])
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_the_message_reaches_standard_error_though_it_is_redirected() -> None:
    code = NATIVE.replace(
        "print(", "import os; os.dup2(os.open('/dev/null', os.O_WRONLY), 2)\nprint("
    )
    process = _start(["-c", code])
    assert process.stdout is not None
    process.stdout.readline()
    assert _stop(process) == f"graft: {CONTINUES}\n"


@pytest.mark.parametrize("moment", ["Loading TFX", "BottleneckFeatures"])
def test_run(tmp_path: Path, digit_folder: Path, moment: str, run_graft) -> None:
    words = ("run", "--data", digit_folder, "--output", tmp_path / "out")
    words = (*words, "--set", "model.image_size=64")
    process = _start(["-m", "graft.pipeline.cli", *words])

    def is_there() -> bool:
        logs = list(tmp_path.glob("out/pipelines/*/logs/*.log"))
        if moment == "Loading TFX":
            return bool(logs)
        return any(f"node {moment} is running" in log.read_text() for log in logs)

    _wait_for(is_there, process)
    said = _stop(process, whole_group=moment != "Loading TFX")
    assert said.endswith(f"graft: {CONTINUES}\n")
    assert "mistake" not in said
    if moment != "Loading TFX":
        assert "interrupted" in run_graft("runs", "--output", tmp_path / "out").stdout


def test_load_test(digit_folder: Path) -> None:
    """The server takes the connection, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        words = ("load-test", digit_folder, "--server", address, "--model", "x")
        process = _start(["-m", "graft.pipeline.cli", *words])
        connection, _ = server.accept()
        with connection:
            said = _stop(process)
    assert "nothing is kept of this measurement" in said


@pytest.mark.parametrize("command", sorted(_STOPPED_AT_ONCE))
def test_every_long_command_while_it_is_imported(command: str, tmp_path: Path) -> None:
    code = f"""
import os, signal, sys, time
class StopAtImport:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("graft.pipeline.commands."):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(30)
sys.meta_path.insert(0, StopAtImport())
sys.argv = ["graft", {command!r}, "nowhere"]
from graft.pipeline.entry import main
main()
"""
    process = _start(["-c", code], cwd=tmp_path)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said == f"graft: {_STOPPED_AT_ONCE[command]}\n"
