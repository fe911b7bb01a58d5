"""BMP files: headers, depths, directions, channel masks, alpha, damage."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from image_corpus.case import (
    HEIGHT,
    WIDTH,
    Case,
    blend_on_white,
    draw_palette,
    draw_picture,
)


def _bmp(
    rows: Sequence[bytes],
    width: int,
    depth: int,
    *,
    info_bytes: int = 40,
    compression: int = 0,
    masks: Sequence[int] = (),
    colours: np.ndarray | None = None,
    top_down: bool = False,
    num_colours: int = 0,
) -> bytes:
    """Return a BMP of rows from top to bottom."""
    height = len(rows)
    if info_bytes == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, depth)
    else:
        tall = -height if top_down else height
        info = struct.pack(
            "<IiiHHIIiiII",
            *(info_bytes, width, tall, 1, depth, compression, 0, 2835, 2835),
            *(num_colours, 0),
        )
        packed = struct.pack(f"<{len(masks)}I", *masks)
        info = (
            info + packed
            if info_bytes == 40
            else (info + packed).ljust(info_bytes, b"\0")
        )
    table = b""
    if colours is not None:
        end = b"" if info_bytes == 12 else b"\0"
        table = b"".join(bytes(colour[::-1]) + end for colour in colours)
    padded = [row.ljust(-(-len(row) // 4) * 4, b"\0") for row in rows]
    pixels = b"".join(padded if top_down else padded[::-1])
    offset = 14 + len(info) + len(table)
    head = struct.pack("<2sIHHI", b"BM", offset + len(pixels), 0, 0, offset)
    return head + info + table + pixels


# Not a multiple of 4, so that rows are padded.
_WIDTH = WIDTH - 3
_MASKS_OF_16 = {
    "RGB565": (0xF800, 0x07E0, 0x001F),
    "RGB555": (0x7C00, 0x03E0, 0x001F),
    "BGR565": (0x001F, 0x07E0, 0xF800),
    "RGB444": (0x0F00, 0x00F0, 0x000F),
}
_MASKS_OF_32 = {
    "BGRX": (0xFF0000, 0xFF00, 0xFF),
    "RGBX": (0xFF, 0xFF00, 0xFF0000),
    "XBGR": (0xFF000000, 0xFF0000, 0xFF00),
    "10 bits": (0x3FF00000, 0xFFC00, 0x3FF),
}


def _pack_masked(
    channels: np.ndarray, masks: Sequence[int], kind: str
) -> tuple[list[bytes], np.ndarray]:
    """Return rows of packed channels (H, W, C), and the 8-bit values that they hold."""
    numbers = np.zeros(channels.shape[:2], np.uint64)
    held = []
    for index, mask in enumerate(masks):
        step = mask & -mask
        most = mask // step
        values = np.round(channels[..., index].astype(float) * most / 255)
        numbers |= values.astype(np.uint64) * np.uint64(step)
        held.append(np.round(values * 255 / most))
    rows = [row.astype(kind).tobytes() for row in numbers]
    return rows, np.stack(held, -1).astype(np.uint8)


def cases() -> Iterator[Case]:
    picture = draw_picture()[:, :_WIDTH]
    yield from _without_masks(picture)
    yield from _with_masks(picture)
    yield from _refused()


def _without_masks(picture: np.ndarray) -> Iterator[Case]:
    directions = [(False, n) for n in (12, 40, 52, 56, 64, 108, 124)]
    directions += [(True, n) for n in (40, 108, 124)]
    for depth, (top_down, info_bytes) in product((1, 4, 8, 24, 32), directions):
        kind = {"info_bytes": info_bytes, "top_down": top_down}
        name = f"BMP, {depth} bits, header {info_bytes}{', top down' * top_down}"
        if depth >= 24:
            extra = np.full((HEIGHT, _WIDTH, 1), 7, np.uint8)
            stored = picture[..., ::-1]
            if depth == 32:  # The fourth byte is ignored.
                stored = np.concatenate([stored, extra], -1)
            rows = [row.tobytes() for row in stored]
            yield Case(name, _bmp(rows, _WIDTH, depth, **kind), picture, 0)
            continue
        colours = draw_palette(2**depth)
        indices = (picture[..., 0].astype(int) << depth) >> 8
        bits = np.unpackbits(indices.astype(np.uint8)[..., np.newaxis], axis=-1)
        packed = np.packbits(bits[..., 8 - depth :].reshape(HEIGHT, -1), axis=-1)
        rows = [row.tobytes() for row in packed]
        encoded = _bmp(rows, _WIDTH, depth, colours=colours, **kind)
        yield Case(name, encoded, colours[indices], 0)
        if info_bytes != 12 and depth > 1:
            few = colours[:3]
            indices = np.minimum(indices, 2)
            bits = np.unpackbits(indices.astype(np.uint8)[..., np.newaxis], axis=-1)
            packed = np.packbits(bits[..., 8 - depth :].reshape(HEIGHT, -1), axis=-1)
            rows = [row.tobytes() for row in packed]
            encoded = _bmp(rows, _WIDTH, depth, colours=few, num_colours=3, **kind)
            yield Case(f"{name}, 3 colours", encoded, few[indices], 0)


def _with_masks(picture: np.ndarray) -> Iterator[Case]:
    rows, held = _pack_masked(picture, _MASKS_OF_16["RGB555"], "<u2")
    yield Case("BMP, 16 bits", _bmp(rows, _WIDTH, 16), held)
    for depth, table in ((16, _MASKS_OF_16), (32, _MASKS_OF_32)):
        for (name, masks), info_bytes in product(table.items(), (40, 52, 108)):
            rows, held = _pack_masked(picture, masks, f"<u{depth // 8}")
            encoded = _bmp(
                rows, _WIDTH, depth, info_bytes=info_bytes, compression=3, masks=masks
            )
            yield Case(f"BMP, masks {name}, header {info_bytes}", encoded, held)
    alpha = np.arange(HEIGHT * _WIDTH).reshape(HEIGHT, _WIDTH, 1) % 256
    with_alpha = np.concatenate([picture, alpha], -1)
    for masks, info_bytes in product(
        ((0xFF0000, 0xFF00, 0xFF, 0xFF000000), (0xF00, 0xF0, 0xF, 0xF000)),
        (56, 108, 124),
    ):
        depth = 32 if masks[0] > 0xFFFF else 16
        rows, held = _pack_masked(with_alpha, masks, f"<u{depth // 8}")
        encoded = _bmp(
            rows, _WIDTH, depth, info_bytes=info_bytes, compression=3, masks=masks
        )
        expected = blend_on_white(held[..., :3], held[..., 3])
        yield Case(f"BMP, {depth} bits, alpha, header {info_bytes}", encoded, expected)


def _refused() -> Iterator[Case]:
    rows = [bytes(_WIDTH)] * HEIGHT
    for compression, words in (
        (1, "run-length"),
        (2, "run-length"),
        (4, "holds a JPEG"),
        (5, "holds a JPEG"),
        (11, "unknown kind"),
    ):
        encoded = _bmp(
            rows, _WIDTH, 8, compression=compression, colours=draw_palette(256)
        )
        yield Case(f"BMP, compression {compression}", encoded, refusal=words)
    rows = [row.tobytes() for row in np.zeros((HEIGHT, _WIDTH, 4), np.uint8)]
    masks = (0xF0F000, 0xFF, 0xFF000000)
    encoded = _bmp(rows, _WIDTH, 32, compression=3, masks=masks)
    yield Case("BMP, masks with a gap", encoded, refusal="masks")
    encoded = _bmp(rows, _WIDTH, 32)
    yield Case("BMP, cut", encoded[:-40], refusal="damaged BMP")
    huge = encoded[:18] + struct.pack("<ii", 60_000, 60_000) + encoded[26:]
    yield Case("BMP, huge", huge, refusal="BMP")
