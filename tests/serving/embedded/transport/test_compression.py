"""Compressed bytes: read in pieces, whole, damaged and cut off."""

from __future__ import annotations

import gzip
import random
import zlib

import pytest

pytest.importorskip("tensorflow_serving")
from graft.serving.embedded.transport import compression
from graft.serving.embedded.transport.compression import DamagedError, inflate

NOISE = random.Random(1).randbytes(300_000)
BLANKS = b" " * (3 * compression.PIECE_BYTES + 7)


@pytest.mark.parametrize("content", [b"", b"a", NOISE, BLANKS], ids=len)
def test_every_format_is_read(content):
    for data, wbits in (
        (gzip.compress(content), compression.GZIP),
        (zlib.compress(content), compression.ZLIB),
    ):
        pieces = list(inflate(bytearray(data), wbits))
        assert b"".join(pieces) == content
        assert max(map(len, pieces), default=0) <= compression.PIECE_BYTES


def test_several_gzip_members():
    data = gzip.compress(NOISE) + gzip.compress(b"end")
    assert b"".join(inflate(data, compression.GZIP)) == NOISE + b"end"


@pytest.mark.parametrize(
    "data",
    [b"", gzip.compress(NOISE)[:-9], gzip.compress(BLANKS)[:-1], b"\x1f\x8bnonsense"],
    ids=["empty", "cut", "no-checksum", "damaged"],
)
def test_what_is_damaged_or_incomplete(data):
    with pytest.raises(DamagedError):
        list(inflate(data, compression.GZIP))


def test_formats_are_told_by_their_header():
    assert compression.is_gzip(gzip.compress(b"a"))
    for level in range(10):
        assert compression.is_zlib(zlib.compress(b"a", level))
    for other in (b"", b"x", b"\x0a\x03abc", zlib.compress(b"a")[2:]):
        assert not compression.is_gzip(other)
        assert not compression.is_zlib(other)
