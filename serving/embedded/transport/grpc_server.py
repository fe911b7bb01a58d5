"""gRPC: PredictionService, ModelService and health, over one core.

Calls run on grpcio's threads, not on the event loop. The reasons and figures are in
docs/decisions/0011-grpc-on-threads.md.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from graft.serving.embedded.contract.servable import Caller
from graft.serving.embedded.contract.status import (
    StatusError,
    internal,
    invalid,
    permission_denied,
)
from graft.serving.embedded.options import Options
from graft.serving.embedded.transport.core import Core

logger = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 2**31 - 1
SILENT_CALLS = 512
"""Most calls whose message has not arrived yet, besides those that are being answered.
Each holds a thread. More calls get RESOURCE_EXHAUSTED."""
_FOREVER_SECONDS = 1e8
"""A larger remaining time means no deadline: grpcio gives a large number then."""
PREDICTION_REQUESTS = {
    "Predict": predict_pb2.PredictRequest,
    "Classify": classification_pb2.ClassificationRequest,
    "Regress": regression_pb2.RegressionRequest,
    "MultiInference": inference_pb2.MultiInferenceRequest,
    "GetModelMetadata": get_model_metadata_pb2.GetModelMetadataRequest,
}
MODEL_REQUESTS = {
    "GetModelStatus": get_model_status_pb2.GetModelStatusRequest,
    "HandleReloadConfigRequest": model_management_pb2.ReloadConfigRequest,
}
HEALTH_SERVICES = ("", "ModelService", "PredictionService")


def _abort(context: Any, error: StatusError) -> NoReturn:
    context.abort(error.code, error.short_message)
    raise AssertionError("abort() doesn't return")


class Unreadable:
    """A request whose bytes can't be parsed; its call ends with INTERNAL.

    gRPC's C++ servers do the same. grpcio does it as well, but logs a stack trace each
    time.
    """


def _reader(message: Any) -> Callable[[bytes], Any]:
    def read(data: bytes) -> Any:
        try:
            return message.FromString(data)
        except DecodeError:
            return Unreadable()

    return read


def _handlers(service: Any, requests: Mapping[str, Any]) -> Any:
    """Return gRPC's handler for the methods of a service and their request types."""

    def handler(name: str, message: Any) -> Any:
        method = getattr(service, name)

        def answer(request: Any, context: Any) -> Any:
            if isinstance(request, Unreadable):
                _abort(context, internal("the request is no such message"))
            try:
                return method(request, context)
            except StatusError as error:
                _abort(context, error)
            except CancelledError:
                _abort(context, StatusError(grpc.StatusCode.CANCELLED, "Cancelled"))
            except Exception:
                logger.exception("A call failed")
                _abort(context, internal("internal error; the server's log has more"))

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=_reader(message),
            response_serializer=lambda reply: reply.SerializeToString(),
        )

    return grpc.method_handlers_generic_handler(
        f"tensorflow.serving.{type(service).__name__}",
        {name: handler(name, message) for name, message in requests.items()},
    )


class PredictionService:
    """`tensorflow.serving.PredictionService`, with gRPC's method names.

    Args:
        core: Answers the requests.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    def Predict(self, request: Any, context: Any) -> Any:
        """Run any signature."""
        return self._core.predict(request, "GRPC", _caller(context))

    def Classify(self, request: Any, context: Any) -> Any:
        """Run a signature of examples to classes and scores."""
        return self._core.classify(request, "GRPC", _caller(context))

    def Regress(self, request: Any, context: Any) -> Any:
        """Run a signature of examples to values."""
        return self._core.regress(request, "GRPC", _caller(context))

    def MultiInference(self, request: Any, context: Any) -> Any:
        """Run several signatures on the same examples."""
        return self._core.multi_inference(request, "GRPC", _caller(context))

    def GetModelMetadata(self, request: Any, context: Any) -> Any:
        """Return the signatures of a version."""
        return self._core.metadata(request)


def _caller(context: Any) -> Caller:
    def when_gone(callback: Callable[[], object]) -> None:
        if not context.add_callback(callback):
            callback()

    seconds = context.time_remaining()
    if seconds is None or seconds > _FOREVER_SECONDS:
        return Caller(when_gone=when_gone)
    return Caller(time.monotonic() + seconds, when_gone)


class ModelService:
    """`tensorflow.serving.ModelService`, with gRPC's method names.

    Args:
        core: Gives the models.
        allows_reload: Whether clients may replace the list of models.
    """

    def __init__(self, core: Core, *, allows_reload: bool) -> None:
        self._core = core
        self._allows_reload = allows_reload

    def GetModelStatus(self, request: Any, context: Any) -> Any:
        """Return the states of a model's versions."""
        return model_status(self._core, request)

    def HandleReloadConfigRequest(self, request: Any, context: Any) -> Any:
        """Replace the list of models."""
        response = model_management_pb2.ReloadConfigResponse()
        try:
            if not self._allows_reload:
                raise permission_denied(
                    "HandleReloadConfigRequest is off. Start the server with "
                    "--enable_reload_config, or let it listen on loopback only."
                )
            if request.config.WhichOneof("config") != "model_config_list":
                raise invalid(
                    "ServerModelConfig type not supported by HandleReloadConfig."
                )
            self._core.manager.configure_from_thread(request.config, _caller(context))
        except StatusError as error:
            logger.error("ReloadConfig failed: %s", error)
            raise
        response.status.error_code = 0
        return response


def model_status(core: Core, request: Any) -> Any:
    """Answer a GetModelStatusRequest; a version label is ignored.

    Raises:
        StatusError: INVALID_ARGUMENT without a model, NOT_FOUND for an unknown one.
    """
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    spec = request.model_spec
    number = spec.version.value if spec.HasField("version") else None
    response = get_model_status_pb2.GetModelStatusResponse()
    for version in core.manager.statuses(spec.name, number):
        entry = response.model_version_status.add(
            version=version.number, state=int(version.state)
        )
        entry.status.error_code = version.error.number if version.error else 0
        entry.status.error_message = version.error.message if version.error else ""
    return response


def max_open_calls(options: Options) -> int:
    """Return how many calls may be open at the same time; each needs a thread."""
    return options.grpc_max_threads + SILENT_CALLS


def build_server(core: Core, options: Options, pool: ThreadPoolExecutor) -> Any:
    """Return a gRPC server that is bound to its port but not started.

    Args:
        core: Answers the requests.
        options: The server's options.
        pool: `max_open_calls(options)` threads.

    Raises:
        StatusError: INVALID_ARGUMENT, if the port is taken or the TLS texts are wrong.
    """
    arguments = [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        # Two servers on one port would share its clients at random.
        ("grpc.so_reuseport", 0),
        *options.grpc_channel_arguments,
    ]
    server = grpc.server(
        pool,
        options=arguments,
        maximum_concurrent_rpcs=max_open_calls(options),
    )
    server.add_generic_rpc_handlers(
        (
            _handlers(PredictionService(core), PREDICTION_REQUESTS),
            _handlers(
                ModelService(core, allows_reload=options.allows_reload), MODEL_REQUESTS
            ),
        )
    )
    if options.enable_grpc_healthcheck_service:
        servicer = health.HealthServicer()
        for service in HEALTH_SERVICES:
            servicer.set(service, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    addresses = []
    if options.port:
        addresses.append(f"{options.host}:{options.port}")
    if options.grpc_socket_path:
        addresses.append(f"unix:{options.grpc_socket_path}")
    try:
        for address in addresses:
            if options.ssl is not None:
                server.add_secure_port(address, _credentials(options.ssl))
            else:
                server.add_insecure_port(address)
    except (RuntimeError, ValueError) as error:
        raise invalid(f"gRPC can't listen on {addresses}: {error}") from error
    return server


def _credentials(ssl: Any) -> Any:
    return grpc.ssl_server_credentials(
        [(ssl.server_key.encode(), ssl.server_cert.encode())],
        root_certificates=ssl.custom_ca.encode() or None,
        require_client_auth=ssl.client_verify,
    )
