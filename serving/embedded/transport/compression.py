"""Decompress bodies and messages in pieces, so that a limit applies while they grow."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

GZIP = 31
ZLIB = 15
"""zlib's `wbits` of the formats."""
PIECE_BYTES = 2**20
_INPUT_BYTES = 2**16
_ZLIB_METHOD = 8
_ZLIB_MULTIPLE = 31
"""Low four bits of a zlib header, and a divisor of its two bytes (RFC 1950)."""


class DamagedError(ValueError):
    """Compressed bytes that can't be decompressed."""


def inflate(data: bytes | bytearray, wbits: int) -> Iterator[bytes]:
    """Yield what compressed bytes hold, in pieces of at most `PIECE_BYTES`.

    zlib releases Python's lock meanwhile.

    Raises:
        DamagedError: If the bytes are damaged or incomplete.
    """
    decompressor = zlib.decompressobj(wbits)
    try:
        # Short inputs: zlib copies what it leaves of one.
        for start in range(0, len(data), _INPUT_BYTES):
            rest = bytes(data[start : start + _INPUT_BYTES])
            while rest:
                if decompressor.eof:
                    if wbits != GZIP:
                        return
                    decompressor = zlib.decompressobj(wbits)  # The next gzip member.
                if piece := decompressor.decompress(rest, PIECE_BYTES):
                    yield piece
                if decompressor.eof:
                    rest = decompressor.unused_data
                else:
                    rest = decompressor.unconsumed_tail
        while not decompressor.eof:
            if not (piece := decompressor.decompress(b"", PIECE_BYTES)):
                raise DamagedError("The compressed data is incomplete")
            yield piece
    except zlib.error as error:
        raise DamagedError(str(error)) from error


def is_zlib(data: bytes | bytearray) -> bool:
    """Return whether bytes begin with a zlib header."""
    return (
        len(data) >= 2
        and data[0] & 15 == _ZLIB_METHOD
        and int.from_bytes(data[:2], "big") % _ZLIB_MULTIPLE == 0
    )


def is_gzip(data: bytes | bytearray) -> bool:
    """Return whether bytes begin with a gzip header."""
    return data[:2] == b"\x1f\x8b"
