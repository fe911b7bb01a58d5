"""GIF files: palettes, interlacing, transparency, frames on a canvas, damage."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import product

import numpy as np
from image_corpus.case import (
    HEIGHT,
    WIDTH,
    Case,
    decode_with_pillow,
    draw_palette,
    draw_picture,
    save,
)
from PIL import Image


def _gif_codes(indices: np.ndarray, depth: int) -> bytes:
    """Encode pixels as LZW without compression: the table never gets full."""
    clear, bits, width = 1 << depth, [], depth + 1
    for number, index in enumerate(indices.ravel().tolist()):
        if number % max(clear - 2, 1) == 0:
            bits.append(clear)
        bits.append(index)
    bits.append(clear + 1)
    stream = "".join(f"{code:0{width}b}"[::-1] for code in bits)
    stream += "0" * (-len(stream) % 8)
    data = bytes(int(stream[i : i + 8][::-1], 2) for i in range(0, len(stream), 8))
    blocks = [data[i : i + 255] for i in range(0, len(data), 255)]
    return bytes([depth]) + b"".join(bytes([len(b)]) + b for b in blocks) + b"\0"


def _gif(
    indices: np.ndarray,
    colours: np.ndarray,
    *,
    canvas: tuple[int, int],
    offset: tuple[int, int] = (0, 0),
    transparent: int | None = None,
    interlaced: bool = False,
    is_local: bool = False,
    extra: bytes = b"",
) -> bytes:
    """Return a GIF; canvas is (width, height), offset (left, top)."""
    height, width = indices.shape
    depth = max(2, (len(colours) - 1).bit_length())
    flags = 0x80 | ((len(colours) - 1).bit_length() - 1)
    table = colours.tobytes()
    head = b"GIF89a" + struct.pack("<HHBBB", *canvas, 0 if is_local else flags, 1, 0)
    control = b""
    if transparent is not None:
        control = b"!\xf9\x04" + struct.pack("<BHB", 1, 0, transparent) + b"\0"
    descriptor = b"," + struct.pack("<HHHH", *offset, width, height)
    descriptor += bytes([(flags if is_local else 0) | 0x40 * interlaced])
    rows = indices
    if interlaced:
        order = [range(0, height, 8), range(4, height, 8), range(2, height, 4)]
        rows = np.concatenate([indices[each] for each in [*order, range(1, height, 2)]])
    return (
        head
        + (b"" if is_local else table)
        + extra
        + control
        + descriptor
        + (table if is_local else b"")
        + _gif_codes(rows, depth)
        + b";"
    )


def cases() -> Iterator[Case]:
    yield from _frames()
    yield from _others()


def _frames() -> Iterator[Case]:
    for count, interlaced, transparent, is_small, is_local in product(
        (2, 8, 64, 256), (False, True), (False, True), (False, True), (False, True)
    ):
        colours = draw_palette(count)
        indices = draw_picture()[..., 0].astype(int) * count // 256
        canvas, offset = (WIDTH, HEIGHT), (0, 0)
        if is_small:
            canvas, offset = (WIDTH + 9, HEIGHT + 7), (5, 3)
        shown = np.full((canvas[1], canvas[0], 3), 255, np.uint8)
        frame = colours[indices]
        key = int(indices[2, -3])
        if transparent:
            frame = np.where((indices == key)[..., np.newaxis], 255, frame)
        shown[offset[1] :, offset[0] :][:HEIGHT, :WIDTH] = frame
        words = [
            "interlaced" * interlaced,
            "transparent" * transparent,
            "on a larger canvas" * is_small,
            "local palette" * is_local,
        ]
        yield Case(
            f"GIF, {count} colours {' '.join(words)}",
            _gif(
                indices,
                colours,
                canvas=canvas,
                offset=offset,
                transparent=key if transparent else None,
                interlaced=interlaced,
                is_local=is_local,
            ),
            shown,
            0,
        )


def _others() -> Iterator[Case]:
    colours = draw_palette(16)
    indices = draw_picture()[..., 0].astype(int) // 16
    full = {"canvas": (WIDTH, HEIGHT)}
    beyond = np.full((HEIGHT + 4, WIDTH + 6, 3), 255, np.uint8)
    beyond[4:, 6:] = colours[indices]
    encoded = _gif(indices, colours, canvas=(WIDTH, HEIGHT), offset=(6, 4))
    yield Case("GIF, a frame beyond its canvas", encoded, beyond, 0)
    comment = b"!\xfe" + b"\xff" + b"c" * 255 + b"\x03abc\0"
    encoded = _gif(indices, colours, extra=comment * 300, **full)
    yield Case("GIF, many comments", encoded, colours[indices], 0)
    image = Image.fromarray(draw_picture())
    moving = save(image, "GIF", save_all=True, append_images=[image.rotate(180)])
    yield Case("GIF, animated", moving, decode_with_pillow(moving), 0)
    plain = _gif(indices, colours, **full)
    yield Case("GIF, cut", plain[: len(plain) * 2 // 3], refusal="damaged GIF")
    yield Case("GIF, head only", plain[:12], refusal="damaged GIF")
    bare = plain[:10] + b"\0" + plain[11:13] + plain[13 + 48 :]
    yield Case("GIF, no palette", bare, refusal="without a palette")
    huge = _gif(indices, colours, canvas=(60_000, 60_000))
    yield Case("GIF, a huge canvas", huge, refusal="pixels")
