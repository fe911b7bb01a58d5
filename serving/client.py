"""Python clients of a served model, sync and async, on grpcio and the protos alone.

    with PredictionClient("localhost:8500", name="flowers") as client:
        for prediction in client.predict([path.read_bytes() for path in paths]):
            print(prediction.class_name, prediction.score)

Both gather images into requests, keep a bounded number of them in flight, give each a
deadline, and let gRPC retry with backoff when the server is UNAVAILABLE, and then only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import (
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, cast

import grpc

from graft.contract import signature_names
from graft.serving import wire
from graft.serving.errors import CallError, PredictionError
from graft.serving.prediction import Prediction
from graft.serving.protos import serving_pb2 as pb

DEFAULT_PORT = 8500
MAX_ATTEMPTS = 5
"""gRPC makes no more attempts than this, whatever it is told."""

_NO_SIGNATURE = "FAILED_PRECONDITION"
"""What a server says of a signature that the model doesn't have."""

Outcome = Prediction | PredictionError
Dialogue = Generator[
    pb.PredictRequest, "pb.PredictResponse | CallError", "list[Outcome]"
]
Options = list[tuple[str, int | str]]


class _Client:
    """What both clients share: their settings, checked, and how errors are read.

    Args:
        target: `HOST:PORT`, or any gRPC target as `unix:///run/model.sock`.
        name: Name of the model.
        version: Version to ask; the newest unless given.
        label: Version label to ask, as `stable`, instead of a version.
        deadline_seconds: Time that one request may take, retries included.
        batch_size: Most images in a request.
        max_message_bytes: Most bytes in a request.
        concurrency: Most requests in flight.
        max_attempts: Tries of a request that finds the server UNAVAILABLE, 1 to 5.
        credentials: For TLS, from `grpc.ssl_channel_credentials`.

    Raises:
        ValueError: If a number is out of its range.
    """

    def __init__(
        self,
        target: str,
        *,
        name: str,
        version: int | None = None,
        label: str | None = None,
        deadline_seconds: float = 30.0,
        batch_size: int = 32,
        max_message_bytes: int = 32 * 2**20,
        concurrency: int = 4,
        max_attempts: int = 4,
        credentials: Any = None,
    ) -> None:
        if deadline_seconds <= 0:
            raise ValueError(
                "`deadline_seconds` must be greater than 0. "
                f"Received: deadline_seconds={deadline_seconds!r}"
            )
        for key, value in (
            ("batch_size", batch_size),
            ("max_message_bytes", max_message_bytes),
            ("concurrency", concurrency),
        ):
            if value < 1:
                raise ValueError(f"`{key}` must be at least 1. Received: {key}={value}")
        if not 1 <= max_attempts <= MAX_ATTEMPTS:
            raise ValueError(
                f"`max_attempts` must be in [1, {MAX_ATTEMPTS}]. "
                f"Received: max_attempts={max_attempts!r}"
            )
        self._choice = wire.ModelChoice(name=name, version=version, label=label)
        self._deadline_seconds = deadline_seconds
        self._batch_size = batch_size
        self._max_message_bytes = max_message_bytes
        self._concurrency = concurrency
        self._class_names: dict[int, tuple[str, ...]] = {}
        self._asks_for_each = True
        options = wire.channel_options(max_attempts)
        self._channel: Any = self._open(target, credentials, options)
        self._predict_call: Callable[..., Any] = self._channel.unary_unary(
            wire.PREDICT_METHOD,
            request_serializer=pb.PredictRequest.SerializeToString,
            response_deserializer=pb.PredictResponse.FromString,
        )
        self._status_call: Callable[..., Any] = self._channel.unary_unary(
            wire.STATUS_METHOD,
            request_serializer=pb.GetModelStatusRequest.SerializeToString,
            response_deserializer=pb.GetModelStatusResponse.FromString,
        )

    @staticmethod
    def _open(target: str, credentials: Any, options: Options) -> Any:
        raise NotImplementedError

    def _cut(self, images: Iterable[bytes]) -> Iterator[wire.Chunk]:
        return wire.cut_chunks(images, self._batch_size, self._max_message_bytes)

    def _dialogue(self, chunk: wire.Chunk) -> Dialogue:
        """Yield requests, take the reply to each, and return the outcomes of a chunk.

        All images together at first. If that is refused, by the signature that answers
        for each image; if there is none, or the request is too large, half and half.
        """
        reply = yield wire.images_request(self._choice, chunk.images)
        if isinstance(reply, CallError) and self._may_ask_for_each(reply):
            each = yield wire.images_request(
                self._choice, chunk.images, signature_names.EACH_SIGNATURE
            )
            if isinstance(each, CallError) and each.code == _NO_SIGNATURE:
                self._asks_for_each = False
            else:
                reply = each
        if isinstance(reply, CallError):
            if not wire.is_worth_halving(reply.code, reply.message):
                raise reply
            if len(chunk.images) == 1:
                return [PredictionError(chunk.start, reply.code, reply.message)]
            first, second = chunk.halves()
            return [
                *(yield from self._dialogue(first)),
                *(yield from self._dialogue(second)),
            ]
        version = reply.model_spec.version.value
        if version not in self._class_names:
            told = yield wire.names_request(self._choice.name, version)
            # A model without a classify signature tells none.
            self._class_names[version] = (
                () if isinstance(told, CallError) else wire.parse_names(told)
            )
        return wire.parse_outcomes(reply, chunk, self._class_names[version])

    def _may_ask_for_each(self, error: CallError) -> bool:
        return self._asks_for_each and error.code == wire.INVALID_ARGUMENT

    def _status_request(self) -> pb.GetModelStatusRequest:
        return pb.GetModelStatusRequest(model_spec=self._choice.spec())


class PredictionClient(_Client):
    """A client that waits for its answers; the arguments are those of `_Client`."""

    @staticmethod
    def _open(target: str, credentials: Any, options: Options) -> Any:
        if credentials is None:
            return grpc.insecure_channel(target, options=options)
        return grpc.secure_channel(target, credentials, options=options)

    def __init__(self, target: str, **settings: Any) -> None:
        super().__init__(target, **settings)
        self._pool = ThreadPoolExecutor(self._concurrency, "prediction-client")

    def predict(self, images: Iterable[bytes]) -> list[Prediction]:
        """Classify encoded images.

        Raises:
            PredictionError: At the first image that the model refuses.
            CallError: If the call itself fails: no server, no model, no time.
        """
        return [_raise_refused(outcome) for outcome in self.predict_each(images)]

    def predict_each(self, images: Iterable[bytes]) -> Iterator[Outcome]:
        """Classify encoded images; a refused one yields its error in its place.

        `images` is read only as far ahead as requests are in flight, so that it may be
        a generator over a folder that doesn't fit into memory.

        Raises:
            CallError: If the call itself fails: no server, no model, no time.
        """
        pending: deque[Future[list[Outcome]]] = deque()
        try:
            for chunk in self._cut(images):
                pending.append(self._pool.submit(self._predict_chunk, chunk))
                if len(pending) > self._concurrency:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()

    def model_status(self) -> Mapping[int, int]:
        """Return the state number of each version that the server knows.

        Raises:
            CallError: If the server can't be reached, or has no such model.
        """
        response = self._call(self._status_call, self._status_request())
        return {s.version: s.state for s in response.model_version_status}

    def _predict_chunk(self, chunk: wire.Chunk) -> list[Outcome]:
        dialogue = self._dialogue(chunk)
        reply: Any = None
        while True:
            try:
                request = dialogue.send(reply)
            except StopIteration as end:
                return cast("list[Outcome]", end.value)
            try:
                reply = self._call(self._predict_call, request)
            except CallError as error:
                reply = error

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        try:
            return method(request, timeout=self._deadline_seconds)
        except grpc.RpcError as error:
            raise _call_error(error) from error

    def close(self) -> None:
        """Close the connection; requests in flight fail."""
        self._channel.close()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> PredictionClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncPredictionClient(_Client):
    """A client for asyncio; the arguments are those of `_Client`."""

    @staticmethod
    def _open(target: str, credentials: Any, options: Options) -> Any:
        if credentials is None:
            return grpc.aio.insecure_channel(target, options=options)
        return grpc.aio.secure_channel(target, credentials, options=options)

    async def predict(self, images: Iterable[bytes]) -> list[Prediction]:
        """Classify encoded images.

        Raises:
            PredictionError: At the first image that the model refuses.
            CallError: If the call itself fails: no server, no model, no time.
        """
        return [_raise_refused(each) async for each in self.predict_each(images)]

    async def predict_each(self, images: Iterable[bytes]) -> AsyncIterator[Outcome]:
        """Classify encoded images; a refused one yields its error in its place.

        Raises:
            CallError: If the call itself fails: no server, no model, no time.
        """
        pending: deque[asyncio.Task[list[Outcome]]] = deque()
        try:
            for chunk in self._cut(images):
                pending.append(asyncio.ensure_future(self._predict_chunk(chunk)))
                if len(pending) >= self._concurrency:
                    for outcome in await pending.popleft():
                        yield outcome
            while pending:
                for outcome in await pending.popleft():
                    yield outcome
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def model_status(self) -> Mapping[int, int]:
        """Return the state number of each version that the server knows.

        Raises:
            CallError: If the server can't be reached, or has no such model.
        """
        response = await self._call(self._status_call, self._status_request())
        return {s.version: s.state for s in response.model_version_status}

    async def _predict_chunk(self, chunk: wire.Chunk) -> list[Outcome]:
        dialogue = self._dialogue(chunk)
        reply: Any = None
        while True:
            try:
                request = dialogue.send(reply)
            except StopIteration as end:
                return cast("list[Outcome]", end.value)
            try:
                reply = await self._call(self._predict_call, request)
            except CallError as error:
                reply = error

    async def _call(self, method: Callable[..., Any], request: Any) -> Any:
        try:
            return await method(request, timeout=self._deadline_seconds)
        except grpc.RpcError as error:
            raise _call_error(error) from error

    async def close(self) -> None:
        """Close the connection; requests in flight fail."""
        await self._channel.close()

    async def __aenter__(self) -> AsyncPredictionClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


def _raise_refused(outcome: Outcome) -> Prediction:
    if isinstance(outcome, PredictionError):
        raise outcome
    return outcome


def _call_error(error: grpc.RpcError) -> CallError:
    call = cast(Any, error)
    return CallError(call.code().name, call.details() or "")
