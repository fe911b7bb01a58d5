"""PNG files: every colour type and depth, transparency, EXIF, extra chunks, damage."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from itertools import product

import numpy as np
from image_corpus.case import (
    HEIGHT,
    ORIENTATIONS,
    SRGB,
    WIDTH,
    Case,
    blend_on_white,
    draw_palette,
    draw_picture,
    insert,
    make_exif,
    save,
    turn,
)
from PIL import Image


def _chunk(kind: bytes, payload: bytes) -> bytes:
    checksum = zlib.crc32(kind + payload)
    return (
        struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", checksum)
    )


_PNG_START = b"\x89PNG\r\n\x1a\n"
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


def _packed(samples: np.ndarray, depth: int) -> bytes:
    """Return rows of samples, int (H, W, C), as PNG stores them, unfiltered."""
    rows = b""
    for row in samples.reshape(samples.shape[0], -1):
        if depth == 16:
            data = row.astype(">u2").tobytes()
        else:
            bits = np.unpackbits(row.astype(np.uint8)[:, np.newaxis], axis=1)
            data = np.packbits(bits[:, 8 - depth :]).tobytes()
        rows += b"\0" + data
    return rows


def _png(
    samples: np.ndarray,
    colour_type: int,
    depth: int,
    *,
    interlaced: bool = False,
    before: bytes = b"",
    after: bytes = b"",
    idat_bytes: int = 1 << 30,
) -> bytes:
    height, width = samples.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, interlaced)
    if interlaced:
        passes = [samples[y::dy, x::dx] for x, y, dx, dy in _ADAM7]
        raw = b"".join(_packed(each, depth) for each in passes if each.size)
    else:
        raw = _packed(samples, depth)
    stream = zlib.compress(raw)
    pieces = [
        stream[start : start + idat_bytes]
        for start in range(0, len(stream), idat_bytes)
    ]
    pixels = b"".join(_chunk(b"IDAT", each) for each in pieces)
    end = _chunk(b"IEND", b"")
    return _PNG_START + _chunk(b"IHDR", head) + before + pixels + after + end


_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_CHANNELS = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGB_ALPHA: 4}
_DEPTHS = {
    _GREY: (1, 2, 4, 8, 16),
    _RGB: (8, 16),
    _PALETTE: (1, 2, 4, 8),
    _GREY_ALPHA: (8, 16),
    _RGB_ALPHA: (8, 16),
}


def _samples(colour_type: int, depth: int) -> np.ndarray:
    """Return samples over their whole range, int (H, W, C)."""
    picture = draw_picture().astype(np.int64)
    if colour_type in (_GREY, _PALETTE, _GREY_ALPHA):
        picture = picture[..., :1]
    if colour_type in (_GREY_ALPHA, _RGB_ALPHA):
        alpha = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH, 1) % 256
        picture = np.concatenate([picture, alpha], -1)
    scaled = picture * (2**depth - 1) / 255
    low = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH, 1) % 200 if depth > 8 else 0
    return np.minimum(np.round(scaled) + low, 2**depth - 1).astype(np.int64)


def _shown(samples: np.ndarray, colour_type: int, depth: int) -> np.ndarray:
    """Return 8-bit RGB on white for samples without a key colour or palette."""
    values = samples * 255 / (2**depth - 1)
    channels = values.shape[-1]
    colours = values[..., : 3 if channels > 2 else 1]
    colours = np.broadcast_to(colours, (*colours.shape[:2], 3))
    if channels in (2, 4):
        return blend_on_white(colours, values[..., -1])
    return np.round(colours).astype(np.uint8)


def cases() -> Iterator[Case]:
    yield from _modes()
    yield from _with_exif()
    yield from _with_other_chunks()
    yield from _refused()


def _modes() -> Iterator[Case]:
    modes = [(kind, depth) for kind, depths in _DEPTHS.items() for depth in depths]
    for (kind, depth), interlaced in product(modes, (False, True)):
        name = f"PNG, type {kind}, {depth} bits{', interlaced' * interlaced}"
        samples = _samples(kind, depth)
        if kind == _PALETTE:
            colours = draw_palette(2**depth)
            table = _chunk(b"PLTE", colours.tobytes())
            shown = colours[samples[..., 0]]
            alpha = np.array([0, 100, 255, 7], np.uint8)[: 2**depth]
            whole = np.concatenate([alpha, np.full(256, 255, np.uint8)])
            clear = table + _chunk(b"tRNS", alpha.tobytes())
            see_through = blend_on_white(shown, whole[samples[..., 0]])
        else:
            table, shown = b"", _shown(samples, kind, depth)
            key = samples[1, 1]
            clear = _chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))
            is_key = (samples == key).all(-1)
            see_through = np.where(is_key[..., np.newaxis], 255, shown).astype(np.uint8)
        encoded = _png(samples, kind, depth, interlaced=interlaced, before=table)
        yield Case(name, encoded, shown)
        if kind in (_GREY, _RGB, _PALETTE):
            encoded = _png(samples, kind, depth, interlaced=interlaced, before=clear)
            yield Case(f"{name}, tRNS", encoded, see_through)


def _with_exif() -> Iterator[Case]:
    for orientation, is_behind, kind in product(
        ORIENTATIONS, (False, True), (_GREY, _RGB, _RGB_ALPHA)
    ):
        exif = _chunk(b"eXIf", make_exif(orientation, "<>"[orientation % 2]))
        samples = _samples(kind, 8)
        place = {"after" if is_behind else "before": exif}
        yield Case(
            f"PNG, type {kind}, eXIf {orientation} {next(iter(place))} its pixels",
            _png(samples, kind, 8, **place),
            turn(_shown(samples, kind, 8), orientation),
        )


def _with_other_chunks() -> Iterator[Case]:
    samples, shown = _samples(_RGB, 8), _shown(_samples(_RGB, 8), _RGB, 8)
    exif = _chunk(b"eXIf", b"Exif\0\0" + make_exif(6))
    turned = turn(shown, 6)
    gamma = _chunk(b"gAMA", bytes(3) + b"a")
    icc = _chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(SRGB))
    text = b"\nexif\n      10\n" + make_exif(6).hex().encode()
    for name, encoded, expected in (
        ("eXIf with a prefix", _png(samples, _RGB, 8, before=exif), turned),
        ("pixels by 7 bytes", _png(samples, _RGB, 8, idat_bytes=7, after=exif), turned),
        ("pixels by 50 bytes", _png(samples, _RGB, 8, idat_bytes=50), shown),
        (
            "gAMA",
            _png(samples, _RGB, 8, before=gamma),
            shown,
        ),
        ("ICC", _png(samples, _RGB, 8, before=icc), shown),
        ("junk behind it", _png(samples, _RGB, 8) + b"junk" * 9, shown),
        (
            "EXIF as text, which viewers leave",
            _png(
                samples,
                _RGB,
                8,
                before=_chunk(b"tEXt", b"Raw profile type exif\0" + text),
            ),
            shown,
        ),
    ):
        yield Case(f"PNG, {name}", encoded, expected)
    image = Image.fromarray(shown)
    animated = save(image, "PNG", save_all=True, append_images=[image.rotate(180)])
    yield Case("PNG, animated", animated, shown)


def _refused() -> Iterator[Case]:
    samples = _samples(_RGB, 8)
    plain = _png(samples, _RGB, 8)
    apple = insert(plain, 8, _chunk(b"CgBI", bytes(4)))
    yield Case("PNG of Apple", apple, refusal="CgBI")
    yield Case("PNG, cut", plain[: len(plain) * 2 // 3], refusal="damaged PNG")
    yield Case("PNG, head only", plain[:20], refusal="damaged PNG")
    crowd = b"".join(_chunk(b"tEXt", b"a\0" + b"b" * (n % 3)) for n in range(20_000))
    yield Case(
        "PNG, 20,000 chunks", _png(samples, _RGB, 8, before=crowd), refusal="chunks"
    )
