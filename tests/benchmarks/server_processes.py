"""The processes that the benchmarks of the embedded server measure."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "benchmark"
"""Name of the served model."""

# The bare model in its own process, called as the server's runner calls it. It reads
# one command per line, and answers with a line of JSON.
_IN_PROCESS = """
import json, sys, time
from concurrent.futures import ThreadPoolExecutor
from graft.serving import tensorflow_runtime
tensorflow_runtime.load_lean()
import numpy as np
from pathlib import Path
from graft.serving.embedded.loading.saved_model import SavedModel
from graft.contract import signature_names
model = SavedModel(Path(sys.argv[1]))
signature = model.signatures[signature_names.IMAGES_SIGNATURE]
feed = signature.inputs[signature_names.IMAGES_INPUT].name
fetches = [info.name for _, info in sorted(signature.outputs.items())]
images = [Path(name).read_bytes() for name in sys.argv[2:]]
def call(size, offset):
    array = np.empty(size, object)
    array[:] = [images[(offset + n) % len(images)] for n in range(size)]
    begin = time.perf_counter()
    model.run({feed: array}, fetches)
    return time.perf_counter() - begin
def single(count):
    return [call(1, n) for n in range(int(count))]
def rate(work):
    begin, cpu = time.perf_counter(), time.process_time()
    count = work()
    cpu = time.process_time() - cpu
    return count / (time.perf_counter() - begin), cpu / count * 1e3
def batch(seconds):
    def work():
        end, count = time.perf_counter() + seconds, 0
        while time.perf_counter() < end:
            call(32, count)
            count += 32
        return count
    return rate(work)
def threads(seconds):
    def client(number):
        end, count = time.perf_counter() + seconds, 0
        while time.perf_counter() < end:
            call(1, number + count)
            count += 1
        return count
    def work():
        with ThreadPoolExecutor(32) as pool:
            return sum(pool.map(client, range(32)))
    return rate(work)
def memory(_):
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(status["VmRSS"].split()[0]) / 1024
for line in sys.stdin:
    name, argument = line.split()
    print(json.dumps(globals()[name](float(argument))), flush=True)
"""


class BareModel:
    """The bare model in a process of its own, which runs commands."""

    def __init__(self, version_path: Path, image_paths: Sequence[Path]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _IN_PROCESS, version_path, *image_paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, command: str, argument: float = 0) -> Any:
        """Run one command there, and return its answer."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the process has no pipes")
        self._process.stdin.write(f"{command} {argument}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=60)


@dataclass(frozen=True, slots=True)
class Server:
    """A server process that is ready."""

    process: subprocess.Popen[bytes]
    port: int
    rest_port: int
    ready_seconds: float

    @property
    def target(self) -> str:
        """`HOST:PORT` of its gRPC."""
        return f"localhost:{self.port}"

    def cpu_seconds(self) -> float:
        """Return the processor time that the process has used, in seconds."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii")
        fields = stat.split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self) -> float:
        """Return the resident memory in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        lines = dict(line.split(":", 1) for line in status.splitlines())
        return int(lines["VmRSS"].split()[0]) / 1024


@contextlib.contextmanager
def serve(base_path: Path, *flags: str) -> Iterator[Server]:
    """Run the embedded server over a model's folder on free ports."""
    port, rest_port = _free_port(), _free_port()
    started = time.perf_counter()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "graft.serving.embedded", "--host=localhost"),
            *(f"--port={port}", f"--rest_api_port={rest_port}"),
            *(f"--model_name={NAME}", f"--model_base_path={base_path}"),
            *("--grpc_max_threads=128", "--file_system_poll_wait_seconds=0.2"),
            *flags,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not _is_open(rest_port):
            if process.poll() is not None:
                raise RuntimeError("the server ended before it was ready")
            time.sleep(0.01)
        yield Server(process, port, rest_port, time.perf_counter() - started)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("localhost", port)) == 0
