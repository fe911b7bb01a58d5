"""The embedded server: load the models, open the ports, and drain at the end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from graft.serving.embedded import logs
from graft.serving.embedded.batching.options import BatchingOptions
from graft.serving.embedded.batching.runner import BatchingRunner
from graft.serving.embedded.batching.scheduler import BatchScheduler
from graft.serving.embedded.contract.servable import Runner
from graft.serving.embedded.contract.status import StatusError
from graft.serving.embedded.flags import UsageError
from graft.serving.embedded.loading import warmup
from graft.serving.embedded.loading.config_problems import ConfigProblems
from graft.serving.embedded.loading.manager import Manager, ManagerOptions
from graft.serving.embedded.loading.model_config import read_config_file, single_model
from graft.serving.embedded.loading.saved_model import SavedModel, session_config
from graft.serving.embedded.loading.servable import DirectRunner, LoadedServable
from graft.serving.embedded.options import (
    Options,
    VersionRequest,
    parse_flags,
    read_batching,
    usage,
    version,
)
from graft.serving.embedded.transport import grpc_server, rest
from graft.serving.embedded.transport.connections import raise_descriptor_limit
from graft.serving.embedded.transport.core import Core
from graft.serving.embedded.transport.metrics import Metrics
from graft.serving.embedded.transport.request_memory import RequestMemory, default_limit

logger = logging.getLogger(__name__)

BATCHING_FILE = "batching_params.pbtxt"
"""File of a version with its own batching parameters."""
DRAIN_SECONDS = 30.0
"""Longest time for requests in flight to end after SIGTERM."""
_FAILED_STATUS = 255
"""Exit status of a server that can't start, as of `tensorflow_model_server`."""
_WARM_UP_THREADS = 2
"""Each warms up one signature at a time: graft's models have requests for two."""
_WARM_UP_NICENESS = 10
"""Of the threads that warm models up while others serve. On Linux a niceness holds for
one thread."""
_SWITCH_SECONDS = 0.001
"""How long a thread may keep Python's lock while another waits for it. Loading a graph
runs much Python code while requests are answered. Python's default is 0.005."""


class EmbeddedServer:
    """Serves models over gRPC and REST in this process.

    Args:
        options: What the flags say.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        # Threads come when they are needed.
        self._open_calls = grpc_server.max_open_calls(options)
        self._grpc_pool = ThreadPoolExecutor(self._open_calls, "grpc")
        self._rest_pool = ThreadPoolExecutor(options.rest_api_num_threads, "rest")
        self._load_pool = ThreadPoolExecutor(1, "load")
        self._warm_up_pool = ThreadPoolExecutor(_WARM_UP_THREADS, "warm-up")
        self._batches = (
            BatchScheduler(options.batching.num_batch_threads)
            if options.batching
            else None
        )
        self.manager = Manager(
            self._load,
            ManagerOptions(
                max_num_load_retries=options.max_num_load_retries,
                load_retry_interval_seconds=options.load_retry_interval_micros / 1e6,
                allows_labels_for_unavailable=(
                    options.allow_version_labels_for_unavailable_models
                ),
            ),
        )
        self._core = Core(
            self.manager,
            Metrics(),
            options.grpc_max_threads,
            RequestMemory(options.max_request_memory_bytes or default_limit()),
        )
        self._pollers: list[asyncio.Task[None]] = []
        self._grpc: Any = None
        self._rest: Any = None

    async def start(self) -> None:
        """Load every configured model, then open the ports.

        Raises:
            StatusError: If a model can't be loaded, or a port is taken.
        """
        options = self._options
        interval = options.file_system_poll_wait_seconds
        configured = asyncio.ensure_future(self.manager.configure(self._read_config()))
        if interval > 0:
            self._poll(self.manager.poll_forever(interval))
        await configured
        if options.model_config_file and options.model_config_file_poll_wait_seconds:
            self._poll(self._poll_config(options.model_config_file_poll_wait_seconds))
        if options.port or options.grpc_socket_path:
            self._grpc = grpc_server.build_server(
                self._core, options, self._grpc_pool, self._open_calls
            )
            self._grpc.start()
            logger.info(
                "Running gRPC ModelServer at %s:%d ...", options.host, options.port
            )
        if options.rest_api_port and options.rest_api_port == options.port:
            logger.error(
                "server_options.http_port cannot be same as grpc_port. Please use a "
                "different port for HTTP/REST API. Skipped exporting HTTP/REST API."
            )
        elif options.rest_api_port:
            self._rest = await rest.start_site(self._core, options, self._rest_pool)
            logger.info(
                "Exporting HTTP/REST API at:%s:%d ...",
                options.host,
                options.rest_api_port,
            )

    def _poll(self, work: Any) -> None:
        self._pollers.append(asyncio.ensure_future(work))

    def _read_config(self) -> Any:
        options = self._options
        if options.model_config_file is not None:
            return read_config_file(options.model_config_file)
        if options.model_base_path is None:
            raise ValueError("`model_base_path` or `model_config_file` must be given")
        return single_model(options.model_name, options.model_base_path)

    async def _poll_config(self, interval_seconds: float) -> None:
        problems = ConfigProblems()
        while True:
            await asyncio.sleep(interval_seconds)
            try:
                await self.manager.configure(self._read_config())
            except StatusError as error:
                problems.report(error)
            else:
                problems.report(None)

    async def _load(self, name: str, number: int, path: Path) -> LoadedServable:
        loop = asyncio.get_running_loop()
        options = self._options
        config = session_config(
            options.intra_op_parallelism,
            options.inter_op_parallelism,
            options.session_config,
        )
        model = await loop.run_in_executor(
            self._load_pool, SavedModel, path, options.saved_model_tags, config
        )
        # The warm-up threads also compute: TensorFlow prepares a graph in its first
        # run, which would occupy the threads that all models share.
        runner = DirectRunner(model, on_this_thread=True)
        servable = LoadedServable(name, number, model, runner)
        try:
            if options.enable_model_warmup:
                count = await self._warm_up(servable, path)
                logger.info("%d warm-up requests for %s %d", count, name, number)
        except BaseException:
            servable.close()
            raise
        servable.runner = self._runner(model, path)
        return servable

    async def _warm_up(self, servable: LoadedServable, path: Path) -> int:
        """Replay the warm-up requests of a version, and return their number.

        Raises:
            StatusError: If a record is damaged, or a request fails.
        """
        loop = asyncio.get_running_loop()
        is_serving = self._grpc is not None or self._rest is not None

        def send(requests: warmup.Requests) -> None:
            if is_serving:
                _yield_to_requests()
            warmup.send(servable, path, requests)

        groups = await loop.run_in_executor(
            self._warm_up_pool, warmup.groups_of_requests, path
        )
        jobs = [
            loop.run_in_executor(self._warm_up_pool, send, group) for group in groups
        ]
        # None may run on when the version is closed because another one failed.
        results = await asyncio.gather(*jobs, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return sum(len(group) for group in groups)

    def _runner(self, model: SavedModel, path: Path) -> Runner:
        parameters = self._batching_of(path)
        if self._batches is None or parameters is None:
            return DirectRunner(model)
        return BatchingRunner(
            model,
            self._batches,
            parameters,
            on_this_thread=self._options.intra_op_parallelism == 1,
        )

    def _batching_of(self, path: Path) -> BatchingOptions | None:
        """Return the batching parameters of a version; None: each request runs alone.

        Raises:
            StatusError: INVALID_ARGUMENT, if the version's own file is wrong.
        """
        options = self._options
        if options.batching is None or not options.enable_per_model_batching_parameters:
            return options.batching
        own = path / BATCHING_FILE
        return read_batching(own) if own.is_file() else None

    async def stop(self, drain_seconds: float = DRAIN_SECONDS) -> None:
        """Refuse new requests, let the present ones end, and free the models."""
        for poller in self._pollers:
            poller.cancel()
        await asyncio.gather(*self._pollers, return_exceptions=True)
        if self._grpc is not None:
            await asyncio.to_thread(self._grpc.stop, drain_seconds)
        if self._rest is not None:
            await self._rest.stop()
        await self.manager.close()
        if self._batches is not None:
            await asyncio.to_thread(self._batches.close)
        for pool in (
            self._grpc_pool,
            self._rest_pool,
            self._load_pool,
            self._warm_up_pool,
        ):
            # Don't block the loop: work on these threads may need it to end.
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)


def _yield_to_requests() -> None:
    """Lower the priority of this thread: preparing a graph may wait for requests.

    Don't use it on the thread that loads. TensorFlow reads a graph in one call that
    holds Python's lock, for which all requests wait. With a low priority they would
    wait longer.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _WARM_UP_NICENESS)


async def serve(options: Options) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    Raises:
        StatusError: If the server can't start.
    """
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    server = EmbeddedServer(options)
    starting = asyncio.ensure_future(server.start())
    stopping = asyncio.ensure_future(stopped.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await stopping
        logger.info("Stopping: no new requests, the present ones are answered")
    finally:
        for task in (starting, stopping):
            task.cancel()
        await asyncio.gather(starting, stopping, return_exceptions=True)
        await server.stop()


def main(arguments: Sequence[str] | None = None, *, gpus: Sequence[str] = ()) -> int:
    """Run the server of a command line, and return the process' exit status.

    Args:
        arguments: The flags; None: those of this process.
        gpus: Names of the GPUs, for the log.
    """
    logs.configure(os.environ.get("GRAFT_LOG_LEVEL", "INFO"))
    raise_descriptor_limit()
    sys.setswitchinterval(_SWITCH_SECONDS)
    # Imported objects stay for ever. Exempt them from garbage collection, for which all
    # threads wait.
    gc.freeze()
    try:
        options, unknown = parse_flags(sys.argv[1:] if arguments is None else arguments)
        for argument in unknown:
            logger.warning("Unknown argument, ignored: %s", argument)
        logger.info("GPUs of TensorFlow: %s", ", ".join(gpus) or "none")
        asyncio.run(serve(options))
    except VersionRequest:
        sys.stdout.write(version())
    except UsageError as error:
        sys.stderr.write(f"{error}\n{usage()}")
        return _FAILED_STATUS
    except StatusError as error:
        sys.stderr.write(f"Failed to start server. Error: {error}\n")
        return _FAILED_STATUS
    return 0
