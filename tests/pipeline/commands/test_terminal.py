"""On a terminal: no line of a library, and a word about what takes long."""

from __future__ import annotations

import os
import pty
import re
import select
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from graft.pipeline.cli import _COMMANDS

# Of TensorFlow's and absl's C++ code, of Python's warnings and loggers, of Beam.
LIBRARIES = re.compile(
    r"absl|oneDNN|cuda|TF_[A-Z]|tensorflow/|apache_beam|^[IWEF]\d{4} |^WARNING|"
    r"^(INFO|DEBUG|ERROR):|\w+Warning\b|\.(py|cc):\d+",
    re.IGNORECASE | re.MULTILINE,
)
IMAGE = f"registry/graft@sha256:{'0' * 64}"
_SECONDS = 280


def on_terminal(*arguments: object, folder: Path) -> tuple[int, str]:
    """Run `graft` on a pseudo-terminal; return exit status and all that it shows."""
    process, terminal = pty.fork()
    if process == 0:
        try:
            os.chdir(folder)
            # Libraries have their default levels, as in a user's shell.
            os.environ.pop("TF_CPP_MIN_LOG_LEVEL", None)
            words = [sys.executable, "-m", "graft.pipeline.cli", *map(str, arguments)]
            os.execv(words[0], words)
        finally:
            os._exit(99)
    shown = b""
    deadline = time.monotonic() + _SECONDS
    try:
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 1)[0]:
                continue
            try:
                part = os.read(terminal, 65536)
            except OSError:  # the terminal of an ended process
                break
            if not part:
                break
            shown += part
    finally:
        if time.monotonic() >= deadline:
            os.kill(process, 9)
        _, status = os.waitpid(process, 0)
        os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode(errors="replace")


def said_by_libraries(shown: str) -> list[str]:
    return [line for line in shown.splitlines() if LIBRARIES.search(line)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, digit_folder: Path) -> Path:
    """A folder in which `graft run` was run, with what it showed."""
    folder = tmp_path_factory.mktemp("terminal")
    (folder / "photos").symlink_to(digit_folder)
    words = ("run", "--data", "photos", "--set", "model.image_size=64")
    status, shown = on_terminal(*words, folder=folder)
    assert status == 0, shown
    (folder / "run.txt").write_text(shown)
    return folder


COMMANDS: dict[str, tuple[str, ...]] = {
    "tune": ("--data=photos", "--set=model.image_size=64", "--trials=1"),
    "predict": ("photos",),
    "load-test": ("photos", "--server=localhost:1"),
    "report": (),
    "runs": (),
    "diff": ("1", "1"),
    "models": ("--verify",),
    "rollback": ("--reason=none",),
    "bless": (),
    "cache": ("stats",),
    "gc": (),
    "config": ("check", "--data=photos"),
    "presets": ("--measure=mobilenet_v2",),
    "compile": ("--data=/mnt/data/photos", "--image", IMAGE),
    "emulate": ("none.yaml",),
    "submit": ("none.yaml",),
    "schedule": ("list", "--host=nothing"),
    "doctor": (),
}


def test_every_command_is_tried() -> None:
    # `serve` becomes the server, which does not end by itself.
    assert {*COMMANDS, "run", "serve"} == {*_COMMANDS}


@pytest.mark.large
@pytest.mark.timeout(600)
def test_a_run_shows_no_line_of_a_library(folder: Path) -> None:
    """Large: a whole run."""
    shown = (folder / "run.txt").read_text()
    assert said_by_libraries(shown) == []
    assert "Test accuracy" in shown


@pytest.mark.large
@pytest.mark.timeout(600)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_shows_a_line_of_a_library(folder: Path, command: str) -> None:
    """Large: after a whole run; some import TensorFlow."""
    _, shown = on_terminal(command, *COMMANDS[command], folder=folder)
    assert said_by_libraries(shown) == []
    assert "Traceback" not in shown
    assert shown.strip()


@pytest.mark.large
@pytest.mark.timeout(600)
def test_the_server_shows_no_line_of_a_library(folder: Path) -> None:
    """Large: after a whole run. The embedded server has a log, of its own lines."""
    words = ["-m", "graft.pipeline.cli", "serve", "--engine", "embedded"]
    words += ["--model-dir", folder / "graft_output" / "serving"]
    words += ["--port", "0", "--rest-port", "0"]
    words += ["--", f"--grpc_socket_path={folder / 'socket'}"]
    shown = shown_until(words, "Running gRPC ModelServer")
    assert "Running gRPC ModelServer" in shown
    assert "GPUs of TensorFlow: " in shown
    assert said_by_libraries(shown) == []


def shown_until(words: Sequence[object], text: str) -> str:
    """Run Python with words on a pseudo-terminal until it shows a text, and end it.

    Returns:
        What it has shown.
    """
    process, terminal = pty.fork()
    if process == 0:
        try:
            os.environ.pop("TF_CPP_MIN_LOG_LEVEL", None)
            os.execv(sys.executable, [sys.executable, *map(str, words)])
        finally:
            os._exit(99)
    shown = b""
    deadline = time.monotonic() + _SECONDS
    try:
        while text.encode() not in shown and time.monotonic() < deadline:
            if select.select([terminal], [], [], 1)[0]:
                shown += os.read(terminal, 65536)
    except OSError:  # the terminal of an ended process
        pass
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)
        os.close(terminal)
    return shown.decode(errors="replace")


def test_a_measurement_says_what_it_does(digit_folder: Path) -> None:
    """The server takes the connection, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        words = ["-m", "graft.pipeline.cli", "load-test", digit_folder]
        words += ["--model", "x", "--server", address]
        text = f"Sending images to {address}"
        assert text in shown_until(words, text)


def test_a_run_says_that_it_lists_the_images(
    digit_folder: Path, tmp_path: Path
) -> None:
    code = f"""
import sys, time
from graft.components.ingestion import fingerprint
fingerprint.fingerprint = lambda config: time.sleep(600)
sys.argv = ["graft", "run", {str(digit_folder)!r}, "--output", {str(tmp_path)!r}]
from graft.pipeline.cli import main
main()
"""
    text = "Listing the images"
    assert text in shown_until(["-c", code], text)


def test_lines_of_libraries_are_known() -> None:
    lines = [
        "WARNING: All log messages before absl::InitializeLog() is called",
        "I0000 00:00:1796023070.114621   26731 port.cc:153] oneDNN custom operations",
        "2026-11-30 07:00:00.1: I tensorflow/core/util/port.cc:153] ...",
        "/usr/lib/x.py:3: UserWarning: no",
        "WARNING:root:Make sure that locally built Python SDK docker image",
        "INFO:apache_beam.runners:x",
    ]
    assert said_by_libraries("\n".join(lines)) == lines
    assert said_by_libraries("Test accuracy  0.9\nLog  out/logs/1.log") == []
