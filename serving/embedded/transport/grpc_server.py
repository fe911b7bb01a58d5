"""The gRPC server: it takes calls within its limits, and hands on their messages.

Calls run on grpcio's threads, not on the event loop. The reasons and figures are in
docs/decisions/0011-grpc-on-threads.md.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any, NoReturn

import grpc
from grpc_health.v1 import health, health_pb2

from graft.serving.embedded.contract.status import (
    StatusError,
    exhausted,
    internal,
)
from graft.serving.embedded.options import Options
from graft.serving.embedded.transport.arrivals import Arrivals
from graft.serving.embedded.transport.connections import free_threads, max_connections
from graft.serving.embedded.transport.core import Core
from graft.serving.embedded.transport.grpc_listening import listen
from graft.serving.embedded.transport.grpc_services import (
    MODEL_REQUESTS,
    PREDICTION_REQUESTS,
    ModelService,
    PredictionService,
)
from graft.serving.embedded.transport.messages import CHANNEL_ARGUMENTS, MessageReader

logger = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 2**31 - 1
_LEAST_CALLS = 4
_RESERVED_THREADS = 64
"""For TensorFlow, REST, loading and batches, where threads are limited."""
SILENT_CALLS = 512
"""Most calls whose message has not arrived yet, besides those that are being answered.
Each holds a thread. More calls get RESOURCE_EXHAUSTED."""
MAX_WATCHES = 64
"""Most `Watch` calls of the health service; they may stay open for ever."""
_FEWEST_CONNECTIONS = 4
"""How many connections it takes to use up all calls."""
_IDLE_MS = 600_000
_MESSAGE_ARGUMENT = "grpc.max_receive_message_length"
_LARGEST_MESSAGES = 32
"""How many messages of the largest size may arrive at the same time. They may take half
of the memory of all requests."""
_SMALLEST_LIMIT = 4 * 2**20
"""gRPC's default for the size of a message."""
HEALTH_SERVICES = ("", "ModelService", "PredictionService")


def _abort(context: Any, error: StatusError) -> NoReturn:
    context.abort(error.code, error.short_message)
    raise AssertionError("abort() doesn't return")


class Intake:
    """Takes the requests of calls: waits for the message, counts its memory, parses it.

    Args:
        core: Has the memory of all requests.
        arrivals: Waits for messages.
        max_message_bytes: Largest message.
    """

    def __init__(self, core: Core, arrivals: Arrivals, max_message_bytes: int) -> None:
        self._memory = core.memory
        self._arrivals = arrivals
        self._max_message_bytes = max_message_bytes

    def handlers(
        self, service_name: str, service: Any, requests: Mapping[str, Any]
    ) -> Any:
        """Return gRPC's handler for the methods of a service.

        Args:
            service_name: The service's full name.
            service: Has the methods, with gRPC's names.
            requests: Request type by method.
        """
        return grpc.method_handlers_generic_handler(
            service_name,
            {
                name: self._handler(getattr(service, name), message)
                for name, message in requests.items()
            },
        )

    def watch_handler(self, servicer: Any, message: Any) -> Any:
        """Return gRPC's handler for `Watch` of the health service.

        It sends each change until the client ends the call, and holds no thread.
        """
        reader = MessageReader(message, self._max_message_bytes)
        watches = threading.Semaphore(MAX_WATCHES)

        def watch(messages: Any, context: Any, send: Callable[[Any], None]) -> None:
            data = self._arrivals.read(messages, context)
            try:
                if data is None:
                    raise internal("the call has no message")
                with self._memory.reserve() as memory:
                    request = reader.read(data, memory)
                if not watches.acquire(blocking=False):
                    raise exhausted(f"Too many Watch calls; at most {MAX_WATCHES}")
            except StatusError as error:
                _abort(context, error)
            if not context.add_callback(watches.release):
                watches.release()
                return
            servicer.Watch(request, context, send)

        # As grpcio's own health service does.
        watch.experimental_non_blocking = True  # type: ignore[attr-defined]
        return grpc.stream_stream_rpc_method_handler(
            watch, response_serializer=lambda reply: reply.SerializeToString()
        )

    def _handler(self, method: Callable[[Any, Any], Any], message: Any) -> Any:
        reader = MessageReader(message, self._max_message_bytes)

        # Clients call it with one message. grpcio would wait for the message of a unary
        # call itself, without a limit; the messages of a stream are read here.
        def answer(messages: Any, context: Any) -> Any:
            data = self._arrivals.read(messages, context)
            try:
                if data is None:
                    raise internal("the call has no message")
                with self._memory.reserve() as memory:
                    request = reader.read(data, memory)
                    del data  # The request has a copy.
                    return method(request, context)
            except StatusError as error:
                _abort(context, error)
            except CancelledError:
                _abort(context, StatusError(grpc.StatusCode.CANCELLED, "Cancelled"))
            except Exception:
                logger.exception("A call failed")
                _abort(context, internal("internal error; the server's log has more"))

        return grpc.stream_unary_rpc_method_handler(
            answer, response_serializer=lambda reply: reply.SerializeToString()
        )


def max_open_calls(options: Options) -> int:
    """Return how many calls may be open at the same time; each needs a thread.

    grpcio's server dies for good if a thread can't be started. So call this before
    anything else takes the threads that a container or a user may have.
    """
    wanted = options.grpc_max_threads + SILENT_CALLS
    free = free_threads()
    if free is None:
        return wanted
    return max(_LEAST_CALLS, min(wanted, free - _RESERVED_THREADS))


def max_message_bytes(options: Options, limit_bytes: int) -> int:
    """Return the size of the largest message that a call may send.

    Args:
        options: The server's options.
        limit_bytes: Most memory for all requests.
    """
    chosen = dict(options.grpc_channel_arguments).get(_MESSAGE_ARGUMENT)
    if isinstance(chosen, int):
        return chosen if chosen >= 0 else MAX_MESSAGE_BYTES
    share = limit_bytes // (2 * _LARGEST_MESSAGES)
    return min(MAX_MESSAGE_BYTES, max(share, _SMALLEST_LIMIT))


class GrpcServer:
    """A gRPC server that is bound to its port.

    Args:
        server: grpcio's server.
        arrivals: Waits for messages.
    """

    def __init__(self, server: Any, arrivals: Arrivals) -> None:
        self._server = server
        self._arrivals = arrivals

    def start(self) -> None:
        """Take calls."""
        self._arrivals.start()
        self._server.start()

    def stop(self, drain_seconds: float) -> None:
        """Refuse new calls, and return when the present ones have ended."""
        self._server.stop(drain_seconds).wait()
        self._arrivals.close()


def build_server(
    core: Core, options: Options, pool: ThreadPoolExecutor, open_calls: int
) -> GrpcServer:
    """Return a gRPC server that is bound to its port but not started.

    Args:
        core: Answers the requests.
        options: The server's options.
        pool: `open_calls` threads.
        open_calls: Most calls that may be open, from `max_open_calls`.

    Raises:
        StatusError: INVALID_ARGUMENT, if the port is taken or the TLS texts are wrong.
    """
    message_bytes = max_message_bytes(options, core.memory.limit_bytes)
    num_waiting = core.memory.limit_bytes // 2 // max(1, message_bytes)
    arrivals = Arrivals(
        timeout_seconds=options.grpc_message_timeout_in_ms / 1000,
        max_waiting=min(max(1, num_waiting), SILENT_CALLS // 2, open_calls // 2),
    )
    intake = Intake(core, arrivals, message_bytes)
    arguments = [
        (_MESSAGE_ARGUMENT, message_bytes),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        # One connection can't take the threads of all. Clients wait with further calls.
        (
            "grpc.max_concurrent_streams",
            max(options.grpc_max_threads, open_calls // _FEWEST_CONNECTIONS),
        ),
        ("grpc.max_allowed_incoming_connections", max_connections()),
        # Connections without calls make room. Clients connect again when they call.
        ("grpc.max_connection_idle_ms", _IDLE_MS),
        *CHANNEL_ARGUMENTS,
        # Two servers on one port would share its clients at random.
        ("grpc.so_reuseport", 0),
        *options.grpc_channel_arguments,
    ]
    server = grpc.server(
        pool,
        options=arguments,
        maximum_concurrent_rpcs=open_calls,
    )
    model_service = ModelService(core, allows_reload=options.allows_reload)
    handlers = [
        intake.handlers(
            "tensorflow.serving.PredictionService",
            PredictionService(
                core, as_content=options.enable_serialization_as_tensor_content
            ),
            PREDICTION_REQUESTS,
        ),
        intake.handlers(
            "tensorflow.serving.ModelService", model_service, MODEL_REQUESTS
        ),
    ]
    if options.enable_grpc_healthcheck_service:
        handlers += _health_handlers(intake)
    server.add_generic_rpc_handlers(tuple(handlers))
    listen(server, options)
    return GrpcServer(server, arrivals)


def _health_handlers(intake: Intake) -> list[Any]:
    servicer = health.HealthServicer()
    for service in HEALTH_SERVICES:
        servicer.set(service, health_pb2.HealthCheckResponse.SERVING)
    request = health_pb2.HealthCheckRequest
    return [
        intake.handlers("grpc.health.v1.Health", servicer, {"Check": request}),
        grpc.method_handlers_generic_handler(
            "grpc.health.v1.Health", {"Watch": intake.watch_handler(servicer, request)}
        ),
    ]
