"""REST: the paths, HTTP statuses and JSON of TensorFlow Serving."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from google.protobuf import json_format
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
    regression_pb2,
)

from graft.serving.embedded.contract import inference, json_examples, json_predict
from graft.serving.embedded.contract.json_values import dump, encode
from graft.serving.embedded.contract.servable import Caller
from graft.serving.embedded.contract.status import (
    StatusError,
    deadline_exceeded,
    invalid,
)
from graft.serving.embedded.options import Options
from graft.serving.embedded.transport import rest_body
from graft.serving.embedded.transport.connections import (
    RestListener,
    http_logger,
    max_connections,
)
from graft.serving.embedded.transport.core import Core
from graft.serving.embedded.transport.http_connection import (
    HttpConnection,
    http_server,
    page,
)
from graft.serving.embedded.transport.metrics import CONTENT_TYPE
from graft.serving.embedded.transport.request_memory import Reservation

logger = logging.getLogger(__name__)

_IDLE_SECONDS = 75.0
"""Longest pause between two requests on a connection; a shorter time-out wins."""

_ORIGIN = re.compile("https?://")
_MAX_VERSION_DIGITS = 19
_METHODS = frozenset(("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"))
"""Those that TensorFlow Serving passes on to its handler."""
_CORS_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}

_CHOICE = r"(?:(?:/versions/(?P<version>[0-9]+))|(?:/labels/(?P<label>[^/:]+)))?"
_INFER_PATH = re.compile(
    rf"/v1/models/(?P<model>[^/:]+){_CHOICE}:(?P<verb>classify|regress|predict)",
    re.IGNORECASE,
)
_STATUS_PATH = re.compile(
    rf"/v1/models(?:/(?P<model>[^/:]+))?{_CHOICE}(?P<metadata>/metadata)?",
    re.IGNORECASE,
)

Document = contextlib.AbstractContextManager[dict[str, Any]]


class RestApi:
    """Answers HTTP requests.

    Args:
        core: Answers the requests.
        options: The server's options.
        pool: `options.rest_api_num_threads` threads, which parse bodies and answer.
    """

    def __init__(self, core: Core, options: Options, pool: ThreadPoolExecutor) -> None:
        self._core = core
        self._seconds = options.rest_api_timeout_in_ms / 1000
        self._metrics_path = options.monitoring_path
        self._headers = _CORS_HEADERS if options.rest_api_enable_cors_support else {}
        self._pool = pool
        # Half of the threads stay free for small requests.
        self._large = asyncio.Semaphore(max(1, options.rest_api_num_threads // 2))

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; every failure becomes an HTTP status."""
        target = request.raw_path
        if request.method not in _METHODS:
            return page(501)
        if re.split("[?#]", target, maxsplit=1)[0] == self._metrics_path:
            return self._metrics(target)
        if not target.lower().startswith("/v1/"):
            return page(404)
        response = await self._handle_api(request, target)
        response.headers.update(self._headers)
        return response

    async def _handle_api(self, request: web.BaseRequest, target: str) -> web.Response:
        try:
            if request.method == "OPTIONS":
                return _preflight(request)
            return await self._answer(request, target)
        except ConnectionError:
            # The client has gone, and gets no reply.
            return web.Response(status=499)
        except rest_body.ExpectationError:
            return page(417)
        except Exception as error:
            status, text = _describe(error)
            return _json(status, dump({"error": text}))

    def _metrics(self, target: str) -> web.Response:
        if target != self._metrics_path:
            text = f"Unexpected path: {target}. Should be {self._metrics_path}"
            return web.Response(
                status=400, body=encode(text), content_type="text/plain"
            )
        return web.Response(body=self._core.metrics.render(), content_type=CONTENT_TYPE)

    async def _answer(self, request: web.BaseRequest, path: str) -> web.Response:
        with self._core.memory.reserve() as memory:
            try:
                async with asyncio.timeout(self._seconds):
                    body = await rest_body.receive(request, memory)
            except TimeoutError:
                raise deadline_exceeded("The body didn't arrive in time") from None
            is_large = rest_body.is_large(request, body)
            async with self._large if is_large else contextlib.nullcontext():
                reply = await asyncio.get_running_loop().run_in_executor(
                    self._pool, self._route, request, path, body, memory
                )
        return _json(200, reply)

    def _route(
        self,
        request: web.BaseRequest,
        path: str,
        body: bytearray,
        memory: Reservation,
    ) -> str:
        method = request.method
        inference_match = _INFER_PATH.fullmatch(path)
        if method == "POST" and inference_match:
            verb = inference_match["verb"]
            with self._core.count(_model_name(inference_match), verb, "REST"):
                if not verb.islower():
                    # The path is case-insensitive, the verb is not.
                    raise invalid(f"Malformed request: {method} {path}")
                document = rest_body.read_document(request, body, memory)
                if verb == "predict":
                    return self._predict(inference_match, document)
                return self._examples(verb, inference_match, document)
        status_match = _STATUS_PATH.fullmatch(path)
        if method == "GET" and status_match:
            if not status_match["model"]:
                raise invalid("Missing model name in request.")
            with self._core.count(_model_name(status_match), "", "REST"):
                # In another case it is a request for the status in the binary.
                if status_match["metadata"] == "/metadata":
                    return self._metadata(status_match)
                return self._status(status_match)
        raise invalid(f"Malformed request: {method} {path}")

    def _predict(self, match: re.Match[str], document: Document) -> str:
        with document as values:
            request, is_rows = self._predict_request(match, values)
        response = self._core.predict(request, self._caller())
        return dump(json_predict.predict_reply(response, is_rows=is_rows))

    def _predict_request(
        self, match: re.Match[str], document: dict[str, Any]
    ) -> tuple[Any, bool]:
        """Return the PredictRequest of a document, and whether it is in row form."""
        request = predict_pb2.PredictRequest()
        _fill_spec(match, request.model_spec)
        json_predict.fill_signature(document, request.model_spec)
        name = request.model_spec.signature_name or inference.DEFAULT_SIGNATURE
        with self._core.manager.hold(request.model_spec) as servable:
            signature = servable.signatures.get(name)
            # Keep the version: a swap before the run would mix two versions.
            request.model_spec.version.value = servable.version
        if signature is None:
            raise json_predict.no_signature(name)
        return request, json_predict.fill_predict(document, signature.inputs, request)

    def _examples(self, verb: str, match: re.Match[str], document: Document) -> str:
        is_classify = verb == "classify"
        request: Any = (
            classification_pb2.ClassificationRequest()
            if is_classify
            else regression_pb2.RegressionRequest()
        )
        _fill_spec(match, request.model_spec)
        with document as values:
            json_predict.fill_signature(values, request.model_spec)
            json_examples.fill_examples(values, request.input)
        if is_classify:
            response = self._core.classify(request, self._caller())
            return dump(json_examples.classify_reply(response))
        response = self._core.regress(request, self._caller())
        return dump(json_examples.regress_reply(response))

    def _caller(self) -> Caller:
        return Caller(time.monotonic() + self._seconds)

    def _status(self, match: re.Match[str]) -> str:
        request = get_model_status_pb2.GetModelStatusRequest()
        _fill_spec(match, request.model_spec)
        return _proto_text(self._core.model_status(request))

    def _metadata(self, match: re.Match[str]) -> str:
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            metadata_field=["signature_def"]
        )
        _fill_spec(match, request.model_spec)
        response = self._core.metadata(request)
        with self._core.manager.hold(response.model_spec) as servable:
            signatures = _proto_text(inference.signature_map(servable))
        return (
            f'{{"model_spec": {_proto_text(response.model_spec)},\n'
            f'"metadata": {{"signature_def": {signatures}}}}}'
        )


def _describe(error: Exception) -> tuple[int, str]:
    """Return the HTTP status and the text for a failure."""
    if isinstance(error, StatusError):
        return error.http_status, error.message
    if isinstance(error, web.RequestPayloadError):
        return 400, "The body can't be read"
    logger.error("A REST request failed", exc_info=error)
    return 500, "internal error; the server's log has more"


def _preflight(request: web.BaseRequest) -> web.Response:
    """Answer a browser that asks whether it may send a request."""
    has_origin = _ORIGIN.search(request.headers.get("Origin", ""))
    return web.Response(status=200 if has_origin else 400)


def _model_name(match: re.Match[str]) -> str:
    return unquote(match["model"], errors="replace")


def _fill_spec(match: re.Match[str], spec: Any) -> None:
    spec.name = _model_name(match)
    if match["version"]:
        digits = match["version"].lstrip("0") or "0"
        if len(digits) > _MAX_VERSION_DIGITS or (number := int(digits)) >= 2**63:
            raise invalid(f"Failed to convert version: {match['version']} to numeric.")
        spec.version.value = number
    if match["label"]:
        spec.version_label = unquote(match["label"], errors="replace")


def _proto_text(message: Any) -> str:
    text: str = json_format.MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    return text


def _json(status: int, text: str) -> web.Response:
    # The type has no parameters: clients compare it as it is.
    return web.Response(
        status=status,
        body=encode(text),
        headers={"Content-Type": "application/json"},
    )


async def start_site(
    core: Core, options: Options, pool: ThreadPoolExecutor
) -> RestSite:
    """Listen on the REST port, and return the site to stop at the end.

    Args:
        core: Answers the requests.
        options: The server's options.
        pool: `options.rest_api_num_threads` threads.

    Raises:
        StatusError: INVALID_ARGUMENT, if the port is taken.
    """
    api = RestApi(core, options, pool)

    server = http_server(api.handle)
    runner = web.ServerRunner(server)
    await runner.setup()
    listener = RestListener(
        server,
        functools.partial(
            HttpConnection,
            server,
            logger=http_logger(),
            # It also ends a client that sends one byte at a time.
            keepalive_timeout=min(_IDLE_SECONDS, options.rest_api_timeout_in_ms / 1000),
        ),
        max_connections(),
    )
    try:
        # The binary takes REST by IPv6, too.
        host = None if options.host == "0.0.0.0" else options.host  # noqa: S104
        await listener.start(host, options.rest_api_port)
    except OSError as error:
        await runner.cleanup()
        raise invalid(f"REST can't listen: {error}") from error
    return RestSite(runner, listener)


class RestSite:
    """The REST server, while it listens.

    Args:
        runner: Ends the connections.
        listener: Accepts them.
    """

    def __init__(self, runner: web.ServerRunner, listener: RestListener) -> None:
        self._runner = runner
        self._listener = listener

    async def stop(self) -> None:
        """Accept no more connections, and return when the present requests ended."""
        self._listener.close()
        await self._runner.cleanup()
