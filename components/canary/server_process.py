"""Run a model server in a process of its own.

`tensorflow_model_server` is used if it is on the PATH, otherwise the embedded server.
Both take the same flags. The server listens on a Unix socket in a folder that only this
user can open, so nobody else can reach it.

Both wait if their folder has no version of the model. So the process can start before
the model is there (`early_start.py`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from graft.serving import child_process
from graft_client import PredictionClient
from graft_client.errors import CallError
from graft_client.wire import AVAILABLE

BINARY = "tensorflow_model_server"
MODEL_NAME = "candidate"

_FOLDER_PREFIX = "graft-canary-"
_SOCKET_NAME = "grpc.sock"
_POLL_SECONDS = 0.1
_STOP_SECONDS = 20
_MOST_LOG_LINES = 15
_LONGEST_SOCKET_PATH = 100
"""The system's limit is about 104 bytes."""


class ServerError(Exception):
    """The server did not start, or did not answer in time."""


class ServerProcess:
    """A server of one SavedModel; use it in a `with` statement.

    The statement waits until the model is served. What is missing by then, it does
    itself: start the process, and give it the model.

    Args:
        model_path: The SavedModel; None if `give` will name it.
        start_timeout_seconds: Time to load it.
    """

    def __init__(self, model_path: str | None, start_timeout_seconds: float) -> None:
        self._timeout_seconds = start_timeout_seconds
        self._folder = _folder_for_socket()
        self._log_path = Path(self._folder.name) / "server.log"
        self._base_path = Path(self._folder.name) / MODEL_NAME
        self._base_path.mkdir()
        self._process: subprocess.Popen[bytes] | None = None
        # The kernel ends the process with the thread that starts it. A thread of its
        # own lives as long as this object.
        self._thread = ThreadPoolExecutor(1, "canary-server")
        self._served: Future[None] | None = None
        self.model_path: str | None = None
        self.target = f"unix:{self._folder.name}/{_SOCKET_NAME}"
        self.engine = "embedded"
        self.start_seconds = 0.0
        if model_path is not None:
            self.give(model_path)

    def give(self, model_path: str) -> None:
        """Let the process load a model, now or when it starts."""
        # A server expects a version folder whose name is a number.
        (self._base_path / "1").symlink_to(os.path.abspath(model_path))
        self.model_path = model_path
        self._begin_to_wait()

    def start(self) -> None:
        """Start the process. Without a model it waits for one."""
        binary = shutil.which(BINARY)
        if binary:
            self.engine = BINARY
        start = [binary] if binary else [sys.executable, "-m", "graft.serving.embedded"]
        command = [
            *start,
            "--port=0",
            "--rest_api_port=0",
            f"--grpc_socket_path={self._folder.name}/{_SOCKET_NAME}",
            f"--model_name={MODEL_NAME}",
            f"--model_base_path={self._base_path}",
        ]
        with self._log_path.open("wb") as log:
            self._process = self._thread.submit(
                subprocess.Popen, child_process.command(command), stdout=log, stderr=log
            ).result()
        self._begin_to_wait()

    def _begin_to_wait(self) -> None:
        if self._process is not None and self.model_path is not None:
            self._served = self._thread.submit(self._wait, time.monotonic())

    def __enter__(self) -> ServerProcess:
        try:
            if self._process is None:
                self.start()
            if self._served is None:
                raise ValueError("`give` must name a model first")
            self._served.result()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _wait(self, start: float) -> None:
        """Wait until the model is served, and measure how long it took."""
        deadline = start + self._timeout_seconds
        with PredictionClient(
            self.target, name=MODEL_NAME, deadline_seconds=5, max_attempts=1
        ) as client:
            while time.monotonic() < deadline:
                if not self.is_alive():
                    raise ServerError(f"the server ended at its start:\n{self.log()}")
                try:
                    if AVAILABLE in client.model_status().values():
                        self.start_seconds = time.monotonic() - start
                        return
                except CallError:
                    pass
                time.sleep(_POLL_SECONDS)
        raise ServerError(
            f"the model was not served within {self._timeout_seconds:g} s:\n"
            f"{self.log()}"
        )

    def is_alive(self) -> bool:
        """Return whether the process still runs."""
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        """Return the last lines that the server wrote."""
        text = self._log_path.read_text(errors="replace")
        return "\n".join(text.splitlines()[-_MOST_LOG_LINES:])

    def peak_memory_mb(self) -> float | None:
        """Return the peak memory in 10^6 bytes, or None if it is unknown."""
        if self._process is None:
            return None
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except OSError:
            return None
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
        return None

    def stop(self) -> None:
        """Stop the process, and kill it if it does not stop in time."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._thread.shutdown()
        self._folder.cleanup()


def _folder_for_socket() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix=_FOLDER_PREFIX)
    if len(os.fsencode(f"{folder.name}/{_SOCKET_NAME}")) <= _LONGEST_SOCKET_PATH:
        return folder
    folder.cleanup()
    return tempfile.TemporaryDirectory(prefix=_FOLDER_PREFIX, dir="/tmp")
