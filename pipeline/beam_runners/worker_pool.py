"""The pool of Beam workers beside a TaskManager of Flink.

    python -m graft.pipeline.beam_runners.worker_pool --port 50000

A TaskManager asks the pool for a worker, once for each Beam job. The worker is a
process that connects to the TaskManager and ends with that connection.

Beam's own pool is not used for three reasons. It starts `python` from the PATH, which
may be another one or none. Nobody reads what its workers print, so one that prints much
waits for ever. And it knows a worker by its number alone. Two TaskManagers on one host
number theirs alike, so each stops the other's worker.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

from graft.serving import child_process

logger = logging.getLogger("graft.worker_pool")

DEFAULT_PORT = 50000
_NUM_THREADS = 16
_SECONDS_TO_END = 10.0
"""How long a worker may take to end by itself when its job has ended."""
_WORKER = (
    "import sys; from apache_beam.runners.worker.sdk_worker import SdkHarness; "
    "SdkHarness(sys.argv[1], worker_id=sys.argv[2]).run()"
)


class WorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Starts workers, as Beam's runners ask for them.

    The kernel ends a worker with the thread that started it. So `run` starts them all
    in one thread, which lives as long as the pool.
    """

    def __init__(self) -> None:
        self._starts: queue.Queue[tuple[list[str], Future[Any]] | None] = queue.Queue()
        self._workers: dict[str, list[subprocess.Popen[bytes]]] = {}
        self._lock = threading.Lock()

    def run(self) -> None:
        """Start workers until `stop` is called. Then end those that still run."""
        while (start := self._starts.get()) is not None:
            words, future = start
            try:
                # What a worker prints goes where the pool's log goes.
                future.set_result(
                    subprocess.Popen(  # noqa: S603 - words of this module
                        child_process.command(words),
                        stdin=subprocess.DEVNULL,
                        stdout=sys.stderr.fileno(),
                    )
                )
            except OSError as error:
                future.set_exception(error)
        with self._lock:
            workers = [each for group in self._workers.values() for each in group]
        for worker in workers:
            worker.kill()
            worker.wait()

    def stop(self) -> None:
        """Make `run` return."""
        self._starts.put(None)

    def StartWorker(self, request: Any, context: Any) -> Any:
        """Start a worker that connects to the address of the request."""
        address, worker_id = request.control_endpoint.url, request.worker_id
        future: Future[subprocess.Popen[bytes]] = Future()
        words = [sys.executable, "-c", _WORKER, address, worker_id]
        self._starts.put((words, future))
        try:
            worker = future.result()
        except OSError as error:
            return beam_fn_api_pb2.StartWorkerResponse(error=str(error))
        with self._lock:
            self._workers.setdefault(worker_id, []).append(worker)
        logger.info("worker %d starts for %s (%s)", worker.pid, address, worker_id)
        threading.Thread(
            target=self._watch, args=(worker, worker_id), daemon=True
        ).start()
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, context: Any) -> Any:
        """Let a worker end, which it does when its TaskManager closes the connection.

        If another worker has the same ID, nobody knows which one is meant.
        """
        with self._lock:
            found = list(self._workers.get(request.worker_id, ()))
        if len(found) == 1:
            threading.Thread(target=_end, args=found, daemon=True).start()
        return beam_fn_api_pb2.StopWorkerResponse()

    def _watch(self, worker: subprocess.Popen[bytes], worker_id: str) -> None:
        """Forget a worker when it ends, and say how it ended."""
        status = worker.wait()
        with self._lock:
            group = self._workers.get(worker_id, [])
            group.remove(worker)
            if not group:
                self._workers.pop(worker_id, None)
        logger.info("worker %d ended with status %d", worker.pid, status)


def _end(worker: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        worker.wait(_SECONDS_TO_END)
        return
    logger.warning("worker %d is stopped: its job has ended", worker.pid)
    worker.kill()


def serve(address: str) -> tuple[WorkerPool, grpc.Server, int]:
    """Start a pool.

    Args:
        address: Host and port to listen on; port 0 for any free one.

    Returns:
        The pool, whose `run` must be called; its server; and the port.
    """
    pool = WorkerPool()
    server = grpc.server(
        ThreadPoolExecutor(_NUM_THREADS),
        options=[
            # Without it, several pools could share a port.
            ("grpc.so_reuseport", 0),
            ("grpc.http2.max_pings_without_data", 0),
            ("grpc.http2.max_ping_strikes", 0),
        ],
    )
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    port = server.add_insecure_port(address)
    server.start()
    return pool, server, port


def main(argv: Sequence[str] | None = None) -> None:
    """Run a pool until SIGTERM or Ctrl+C."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--host", default="localhost", help="Where to listen.")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="Of the pool.")
    options = parser.parse_args(argv)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", force=True
    )
    pool, server, port = serve(f"{options.host}:{options.port}")
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: pool.stop())
    logger.info("workers can be asked for at %s:%d", options.host, port)
    pool.run()
    server.stop(None)


if __name__ == "__main__":
    main()
