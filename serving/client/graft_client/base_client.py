"""What the blocking and the asyncio client share: settings, channel and protocol."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, cast

import grpc

from graft_client import signature_names, wire
from graft_client.errors import CallError, PredictionError
from graft_client.prediction import Prediction
from graft_client.protos import serving_pb2 as pb

MAX_ATTEMPTS = 5
"""gRPC makes no more attempts than this, whatever the retry policy says."""

_NO_SIGNATURE = "FAILED_PRECONDITION"
"""Status of a request for a signature that the model doesn't have."""

Outcome = Prediction | PredictionError
Exchange = Generator[
    pb.PredictRequest, "pb.PredictResponse | CallError", "list[Outcome]"
]
ChannelOptions = list[tuple[str, int | str]]


class BaseClient:
    """Settings and protocol of both clients; the subclasses do the calls.

    Each setting is an argument of its own: that is the client's public interface.

    Args:
        target: `HOST:PORT`, or any gRPC target, such as `unix:///run/model.sock`.
        name: Name of the model.
        version: Version to use; the newest unless given.
        label: Version label to use, such as `stable`, instead of a version.
        deadline_seconds: Longest time of a request, retries included.
        batch_size: Most images in a request.
        max_message_bytes: Most bytes in a request.
        concurrency: Most requests in flight.
        max_attempts: Attempts for a request while the server is UNAVAILABLE, 1 to 5.
        credentials: For TLS, from `grpc.ssl_channel_credentials`.

    Raises:
        ValueError: If a number is out of range.
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
        _check_settings(
            deadline_seconds,
            max_attempts,
            batch_size=batch_size,
            max_message_bytes=max_message_bytes,
            concurrency=concurrency,
        )
        self._choice = wire.ModelChoice(name=name, version=version, label=label)
        self._deadline_seconds = deadline_seconds
        self._batch_size = batch_size
        self._max_message_bytes = max_message_bytes
        self._concurrency = concurrency
        self._class_names: dict[int, tuple[str, ...]] = {}
        self._has_each_signature = True
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
    def _open(target: str, credentials: Any, options: ChannelOptions) -> Any:
        raise NotImplementedError

    def _chunks(self, images: Iterable[bytes]) -> Iterator[wire.Chunk]:
        return wire.cut_chunks(images, self._batch_size, self._max_message_bytes)

    def _exchange(self, chunk: wire.Chunk) -> Exchange:
        """Yield requests, take the reply to each, and return the outcomes of a chunk.

        The first request has all images. If the server refuses it, the second one uses
        the signature that answers for each image. If the model has no such signature,
        or the request is too large, each half of the images gets requests of its own.
        """
        reply = yield wire.images_request(self._choice, chunk.images)
        if isinstance(reply, CallError) and self._may_use_each_signature(reply):
            each = yield wire.images_request(
                self._choice, chunk.images, signature_names.EACH_SIGNATURE
            )
            if isinstance(each, CallError) and each.code == _NO_SIGNATURE:
                self._has_each_signature = False
            else:
                reply = each
        if isinstance(reply, CallError):
            if not wire.is_worth_halving(reply.code, reply.message):
                raise reply
            if len(chunk.images) == 1:
                return [PredictionError(chunk.start, reply.code, reply.message)]
            first, second = chunk.halves()
            return [
                *(yield from self._exchange(first)),
                *(yield from self._exchange(second)),
            ]
        version = reply.model_spec.version.value
        if version not in self._class_names:
            names = yield wire.names_request(self._choice.name, version)
            # A model without a classify signature gives no class names.
            self._class_names[version] = (
                () if isinstance(names, CallError) else wire.parse_names(names)
            )
        return wire.parse_outcomes(reply, chunk, self._class_names[version])

    def _may_use_each_signature(self, error: CallError) -> bool:
        return self._has_each_signature and error.code == wire.INVALID_ARGUMENT

    def _status_request(self) -> pb.GetModelStatusRequest:
        return pb.GetModelStatusRequest(model_spec=self._choice.spec())


def _check_settings(
    deadline_seconds: float, max_attempts: int, **positive: int
) -> None:
    if deadline_seconds <= 0:
        raise ValueError(
            "`deadline_seconds` must be greater than 0. "
            f"Received: deadline_seconds={deadline_seconds!r}"
        )
    for key, value in positive.items():
        if value < 1:
            raise ValueError(f"`{key}` must be at least 1. Received: {key}={value}")
    if not 1 <= max_attempts <= MAX_ATTEMPTS:
        raise ValueError(
            f"`max_attempts` must be in [1, {MAX_ATTEMPTS}]. "
            f"Received: max_attempts={max_attempts!r}"
        )


def raise_refusal(outcome: Outcome) -> Prediction:
    """Return a prediction; raise the error of a refused image.

    Raises:
        PredictionError: If the model refused the image.
    """
    if isinstance(outcome, PredictionError):
        raise outcome
    return outcome


def to_call_error(error: grpc.RpcError) -> CallError:
    """Return gRPC's error as an error of this package."""
    call = cast(Any, error)
    return CallError(call.code().name, call.details() or "")
