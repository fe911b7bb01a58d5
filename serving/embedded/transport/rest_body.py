"""Read the body of a REST request, decompress it, and count its memory."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from aiohttp import HttpVersion11, web

from graft.serving.embedded.contract.json_errors import NumberTooBigError
from graft.serving.embedded.contract.json_values import number_error, parse_object
from graft.serving.embedded.contract.status import StatusError
from graft.serving.embedded.transport.compression import (
    GZIP,
    PIECE_BYTES,
    DamagedError,
    inflate,
    is_gzip,
)
from graft.serving.embedded.transport.request_memory import Reservation

MAX_BODY_BYTES = 2**28
"""Largest body of a request."""
MAX_UNPACKED_BYTES = 100 * 2**20
"""Largest body after decompression; TensorFlow Serving has the same limit."""
MAX_JSON_VALUES = 2**23
"""Most values in a body. Python's parser holds Python's lock, for which all requests
wait."""
LARGE_BODY_BYTES = 2**20
_BYTES_PER_BYTE = 8
_BYTES_PER_VALUE = 256
"""Memory of a request for each byte of its body, and for each value in it.
docs/decisions/0070-request-limits.md has the measurements."""
_STRUCTURE = b",:[{"
"""Each value of a document has one of these before it, the first one apart."""

_reading = threading.Lock()
"""One large body is read at a time. Its parser keeps Python's lock until it is done;
with several of them the event loop would seldom get it."""


class BodyTooLargeError(StatusError):
    """A body over a limit.

    Args:
        message: Which limit.
    """

    def __init__(self, message: str) -> None:
        super().__init__(grpc.StatusCode.RESOURCE_EXHAUSTED, message)

    @property
    def http_status(self) -> int:
        """The HTTP status for a body that is too large."""
        return 413


class ExpectationError(Exception):
    """A client expects something other than `100-continue`."""


async def receive(request: web.BaseRequest, memory: Reservation) -> bytearray:
    """Return the body as it was sent, and reserve its memory while it arrives.

    A client that waits for it is told to go on.

    Raises:
        BodyTooLargeError: If it is larger than `MAX_BODY_BYTES`.
        ExpectationError: If the client expects something else first.
        StatusError: RESOURCE_EXHAUSTED.
    """
    body = bytearray()
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise _too_many_bytes()
    await _answer_expectation(request)
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise _too_many_bytes()
        memory.grow_to(2 * len(body))
    return body


async def _answer_expectation(request: web.BaseRequest) -> None:
    expectation = request.headers.get("Expect")
    if (
        expectation is None
        or request.version < HttpVersion11
        or not request.body_exists
    ):
        return
    if expectation.lower() != "100-continue":
        raise ExpectationError(expectation)
    # A client that did not wait needs no answer.
    if not request.content.total_bytes:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # The line is no part of the reply, whose headers are still to come.
        request.writer.output_size = 0


def is_large(request: web.BaseRequest, body: bytearray) -> bool:
    """Return whether a body may take long to parse."""
    return len(body) > LARGE_BODY_BYTES or _is_compressed(request)


@contextmanager
def read_document(
    request: web.BaseRequest, body: bytearray, memory: Reservation
) -> Iterator[dict[str, Any]]:
    """Yield the JSON object that a body holds; not on the event loop's thread.

    Only one large object is held at a time. So convert it to a request in the `with`,
    and answer the request after it.

    Raises:
        BodyTooLargeError: If the body has too many bytes or values.
        StatusError: INVALID_ARGUMENT, if it is no JSON object. RESOURCE_EXHAUSTED.
    """
    text = bytearray()
    num_values = 0
    num_sent = len(body)
    for piece in _unpacked(body) if _is_compressed(request) else _pieces(body):
        if piece is None:
            text.clear()
            break
        text += piece
        num_values += len(piece) - len(piece.translate(None, _STRUCTURE))
        if num_values > MAX_JSON_VALUES:
            raise BodyTooLargeError(
                f"The body has more than {MAX_JSON_VALUES} JSON values. Send it in "
                "parts, or by gRPC"
            )
        memory.grow_to(
            num_sent + _BYTES_PER_BYTE * len(text) + _BYTES_PER_VALUE * num_values
        )
    body.clear()
    is_small = len(text) + num_values <= LARGE_BODY_BYTES
    try:
        with contextlib.nullcontext() if is_small else _reading:
            yield parse_object(text)
    except NumberTooBigError as error:
        raise number_error(text, error) from error


def _is_compressed(request: web.BaseRequest) -> bool:
    """Return whether a body is gzip. TensorFlow Serving reads no other encoding."""
    return "gzip" in request.headers.get("Content-Encoding", "")


def _unpacked(body: bytearray) -> Iterator[bytes | None]:
    """Yield what a gzip body holds, and None at the end if it can't be read.

    TensorFlow Serving reads one member, whose length is in the last four bytes. What it
    can't read is an empty document to it.
    """
    declared = int.from_bytes(body[-4:], "little")
    num_bytes = 0
    if not is_gzip(body) or declared > MAX_UNPACKED_BYTES:
        yield None
        return
    try:
        for piece in inflate(body, GZIP):
            num_bytes += len(piece)
            if num_bytes > declared:
                break
            yield piece
    except DamagedError:
        num_bytes = -1
    if num_bytes != declared:
        yield None


def _pieces(body: bytearray) -> Iterator[bytes]:
    for start in range(0, len(body), PIECE_BYTES):
        yield bytes(body[start : start + PIECE_BYTES])


def _too_many_bytes() -> BodyTooLargeError:
    return BodyTooLargeError(f"The body is larger than {MAX_BODY_BYTES} bytes")
