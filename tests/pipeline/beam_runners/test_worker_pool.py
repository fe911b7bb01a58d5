"""The pool starts workers of this environment, and leaves none behind."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apache_beam as beam
import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.transforms.environments import ExternalEnvironment

from graft.pipeline.beam_runners.worker_pool import WorkerPool, serve

NOBODY = "localhost:1"
"""An address without a TaskManager: a worker tries to connect for a while."""


@contextlib.contextmanager
def running_pool() -> Iterator[tuple[WorkerPool, str]]:
    pool, server, port = serve("localhost:0")
    thread = threading.Thread(target=pool.run)
    thread.start()
    try:
        yield pool, f"localhost:{port}"
    finally:
        pool.stop()
        thread.join()
        server.stop(None)


@contextlib.contextmanager
def stub_of(
    address: str,
) -> Iterator[beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub]:
    with grpc.insecure_channel(address) as channel:
        yield beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)


def start(address: str, worker_id: str) -> None:
    request = beam_fn_api_pb2.StartWorkerRequest(worker_id=worker_id)
    request.control_endpoint.url = NOBODY
    with stub_of(address) as stub:
        assert stub.StartWorker(request).error == ""


def stop(address: str, worker_id: str) -> None:
    request = beam_fn_api_pb2.StopWorkerRequest(worker_id=worker_id)
    with stub_of(address) as stub:
        stub.StopWorker(request)


def processes(pool: WorkerPool) -> list[subprocess.Popen[bytes]]:
    return [each for group in pool._workers.values() for each in group]


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _note_process(number: int, path: Path) -> None:
    # More than a pipe holds that nobody reads.
    sys.stdout.write(" " * 200_000)
    path.write_text(f"{os.getpid()} {sys.executable}")


def test_beam_job_runs_in_a_worker_that_then_ends(tmp_path: Path) -> None:
    note = tmp_path / "note"
    with running_pool() as (pool, address):
        runner = FnApiRunner(default_environment=ExternalEnvironment(address))
        with beam.Pipeline(runner=runner) as pipeline:
            _ = pipeline | beam.Create([1]) | beam.Map(_note_process, note)
        process_id, executable = note.read_text().split(" ", 1)
        assert int(process_id) != os.getpid()
        assert executable == sys.executable
        wait_for(lambda: not processes(pool))


def test_pool_ends_its_workers() -> None:
    with running_pool() as (pool, address):
        start(address, "1-1")
        (worker,) = processes(pool)
        assert worker.poll() is None
    assert worker.poll() is not None


def test_killed_pool_leaves_no_worker() -> None:
    module = "graft.pipeline.beam_runners.worker_pool"
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    pool = subprocess.Popen([sys.executable, "-m", module, f"--port={port}"])
    try:
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            grpc.channel_ready_future(channel).result(60)
        start(f"localhost:{port}", "1-1")
        children = f"/proc/{pool.pid}/task/{pool.pid}/children"
        (worker,) = Path(children).read_text().split()
        pool.kill()
        pool.wait()
        wait_for(lambda: not os.path.exists(f"/proc/{worker}"))
    finally:
        pool.kill()
        pool.wait()


def test_of_two_workers_with_one_name_none_is_stopped() -> None:
    """Two TaskManagers on one host number their workers alike."""
    with running_pool() as (pool, address):
        start(address, "1-1")
        start(address, "1-1")
        stop(address, "1-1")
        time.sleep(0.5)
        assert [worker.poll() for worker in processes(pool)] == [None, None]


def test_worker_that_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graft.pipeline.beam_runners.worker_pool._SECONDS_TO_END", 0.2)
    with running_pool() as (pool, address):
        start(address, "2-1")
        stop(address, "2-1")
        wait_for(lambda: not processes(pool))
