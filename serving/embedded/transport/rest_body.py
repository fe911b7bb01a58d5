"""Read the body of a REST request, decompress it, and count its memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from graft.serving.embedded.contract.json_values import parse_object
from graft.serving.embedded.transport.compression import (
    GZIP,
    PIECE_BYTES,
    RAW_DEFLATE,
    ZLIB,
    DamagedError,
    inflate,
    is_zlib,
)
from graft.serving.embedded.transport.request_memory import Reservation

MAX_BODY_BYTES = 2**28
"""Largest body of a request, before and after decompression."""
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


class BodyTooLargeError(Exception):
    """A body over a limit; its text says which limit."""


async def receive(request: web.BaseRequest, memory: Reservation) -> bytearray:
    """Return the body as it was sent, and reserve its memory while it arrives.

    Raises:
        BodyTooLargeError: If it is larger than `MAX_BODY_BYTES`.
        StatusError: RESOURCE_EXHAUSTED.
    """
    body = bytearray()
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise _too_many_bytes()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise _too_many_bytes()
        memory.grow_to(2 * len(body))
    return body


def is_large(request: web.BaseRequest, body: bytearray) -> bool:
    """Return whether a body may take long to parse."""
    return len(body) > LARGE_BODY_BYTES or bool(_encoding(request))


@contextmanager
def read_document(
    request: web.BaseRequest, body: bytearray, memory: Reservation
) -> Iterator[dict[str, Any]]:
    """Yield the JSON object that a body holds; not on the event loop's thread.

    Only one large object is held at a time. So convert it to a request in the `with`,
    and answer the request after it.

    Raises:
        BodyTooLargeError: If the body has too many bytes or values.
        DamagedError: If it can't be decompressed.
        StatusError: INVALID_ARGUMENT, if it is no JSON object. RESOURCE_EXHAUSTED.
    """
    text = bytearray()
    num_values = 0
    num_sent = len(body)
    for piece in _pieces(_encoding(request), body):
        text += piece
        num_values += len(piece) - len(piece.translate(None, _STRUCTURE))
        if len(text) > MAX_BODY_BYTES:
            raise _too_many_bytes()
        if num_values > MAX_JSON_VALUES:
            raise BodyTooLargeError(
                f"The body has more than {MAX_JSON_VALUES} JSON values. Send it in "
                "parts, or by gRPC"
            )
        memory.grow_to(
            num_sent + _BYTES_PER_BYTE * len(text) + _BYTES_PER_VALUE * num_values
        )
    body.clear()
    if len(text) + num_values <= LARGE_BODY_BYTES:
        yield parse_object(text)
        return
    with _reading:
        yield parse_object(text)


def _encoding(request: web.BaseRequest) -> str:
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    return encoding if encoding in ("gzip", "deflate") else ""


def _pieces(encoding: str, body: bytearray) -> Iterator[bytes]:
    if encoding == "gzip":
        yield from inflate(body, GZIP)
    elif encoding == "deflate":
        # RFC 9110 says zlib; some clients send bare deflate.
        yield from inflate(body, ZLIB if is_zlib(body) else RAW_DEFLATE)
    else:
        for start in range(0, len(body), PIECE_BYTES):
            yield bytes(body[start : start + PIECE_BYTES])


def _too_many_bytes() -> BodyTooLargeError:
    return BodyTooLargeError(f"The body is larger than {MAX_BODY_BYTES} bytes")


__all__ = [
    "BodyTooLargeError",
    "DamagedError",
    "is_large",
    "read_document",
    "receive",
]
