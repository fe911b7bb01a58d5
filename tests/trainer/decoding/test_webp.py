"""Damage of a WebP image is found, whatever stands behind it in the file."""

from __future__ import annotations

import io

from image_corpus.case import draw_picture
from PIL import Image

from graft.trainer.decoding.from_bytes import decode_pixels


def _is_read(encoded: bytes, *, by_pillow: bool) -> bool:
    try:
        if not by_pillow:
            return decode_pixels(encoded).size > 0
        with Image.open(io.BytesIO(encoded)) as opened:
            opened.load()
    except (OSError, ValueError):
        return False
    return True


def test_bytes_behind_a_damaged_image_are_no_pixels() -> None:
    """libwebp would read on in EXIF data, if pixels need more bytes than there are."""
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[274] = 1
    Image.fromarray(draw_picture()).save(buffer, "WEBP", lossless=True, exif=exif)
    encoded = buffer.getvalue()
    begin, end = encoded.index(b"VP8L") + 8, encoded.index(b"EXIF")
    found = []
    for position in range(begin, end, 3):
        changed = bytearray(encoded)
        changed[position] ^= 0x5A
        if not _is_read(bytes(changed), by_pillow=True):
            found.append(_is_read(bytes(changed), by_pillow=False))
    assert found
    assert not any(found)
