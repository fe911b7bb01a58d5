"""The quick look at EXIF data agrees with the graph of the exported model."""

from __future__ import annotations

import io
import struct

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from graft.trainer.decoding import from_bytes
from graft.trainer.decoding.from_bytes import decode_pixels, read_header

_XMP = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>"


def _exif(
    *entries: tuple[int, int, int, int], order: str = "<", directory: int = 8
) -> bytes:
    """Return EXIF data; an entry is a tag, a type, a count and a value."""
    start = {"<": b"II*\0", ">": b"MM\0*"}[order]
    packed = b"".join(struct.pack(f"{order}HHIHxx", *entry) for entry in entries)
    return (
        b"Exif\0\0"
        + start
        + struct.pack(f"{order}I", directory)
        + bytes(max(0, directory - 8))
        + struct.pack(f"{order}H", len(entries))
        + packed
        + bytes(4)
    )


def _jpeg(*segments: bytes) -> bytes:
    """Return a JPEG file of 24 x 16 pixels with APP1 segments."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((24, 16)).convert("RGB").save(buffer, "JPEG")
    encoded = buffer.getvalue()
    parts = (b"\xff\xe1" + struct.pack(">H", len(s) + 2) + s for s in segments)
    return encoded[:2] + b"".join(parts) + encoded[2:]


def _by_graph(encoded: bytes) -> tuple[bytes, list[int]]:
    refusal, layout, _ = from_bytes._inspect(tf.constant(encoded))
    return refusal.numpy(), layout.numpy().tolist()


_MODEL = (271, 2, 6, 100)


@pytest.mark.parametrize(
    "segments",
    [
        [_exif(_MODEL)],
        [_exif((274, 3, 1, 1))],
        [_exif(_MODEL, (274, 3, 1, 1), order=">")],
        [_exif((274, 3, 1, 1), directory=30)],
        [_XMP],
        [_XMP, _exif((274, 3, 1, 1)), _XMP],
        [b""],
        [_exif()],
    ],
)
def test_upright_photographs_need_no_graph(segments: list[bytes]) -> None:
    encoded = _jpeg(*segments)
    common = from_bytes._read_common_header(encoded)
    assert common is not None
    assert _by_graph(encoded) == (b"", [16, 24, 1])
    assert (common.header.height, common.header.width) == (16, 24)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_turned_photographs_are_turned(orientation: int) -> None:
    encoded = _jpeg(_exif(_MODEL, (274, 3, 1, orientation)))
    header = read_header(encoded)
    size = (24, 16) if orientation >= 5 else (16, 24)
    assert (header.height, header.width) == size
    assert decode_pixels(encoded).shape == (*size, 3)


_ENTRIES = st.tuples(
    st.sampled_from([271, 274, 274, 306]),
    st.sampled_from([1, 2, 3, 3, 3, 4, 8, 9]),
    st.sampled_from([0, 1, 1, 1, 2, 70000]),
    st.integers(0, 9),
)
_DATA = st.builds(
    lambda entries, order, directory: _exif(*entries, order=order, directory=directory),
    st.lists(_ENTRIES, max_size=4),
    st.sampled_from("<>"),
    st.sampled_from([8, 8, 9, 20, 0]),
)
_CHANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=2)


@settings(deadline=None)
@given(st.lists(_DATA, max_size=2), _CHANGES, st.integers(0, 12))
def test_what_the_quick_look_takes_is_upright_by_the_graph(
    data: list[bytes], changes: list[tuple[int, int]], cut: int
) -> None:
    segments = []
    for each in data:
        changed = bytearray(each[: len(each) - cut])
        for position, value in changes:
            if position < len(changed):
                changed[position] = value
        segments.append(bytes(changed))
    encoded = _jpeg(*segments)
    if from_bytes._read_common_header(encoded) is not None:
        assert _by_graph(encoded) == (b"", [16, 24, 1])
