"""A case of the corpus, its picture, and ways to encode and to decode it."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms, ImageOps

HEIGHT, WIDTH = 24, 40
ORIENTATIONS = range(1, 9)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@dataclass(frozen=True)
class Case:
    """A file with its expected pixels, or the reason of its refusal.

    Attributes:
        name: Format, mode and features.
        encoded: Bytes of the file.
        expected: uint8 (H, W, 3), upright RGB on white; None if it is refused.
        tolerance: Greatest allowed difference of a value.
        refusal: A part of the reason.
    """

    name: str
    encoded: bytes
    expected: np.ndarray | None = None
    tolerance: int = 1
    refusal: str = ""


def draw_picture(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Return RGB whose eight orientations all differ, uint8 (H, W, 3)."""
    y, x = np.mgrid[0:height, 0:width]
    red = 255 * x / width
    green = 255 * y / height
    blue = 128 + 100 * np.sin(x / 7 + y / 5)
    pixels = np.stack([red, green, blue], -1).astype(np.uint8)
    pixels[: height // 4, : width // 4] = (250, 20, 30)
    return pixels


def turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Return the upright form of pixels that have an EXIF orientation."""
    return {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90,
    }[orientation](pixels)


def blend_on_white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., np.newaxis] / 255
    return np.round(pixels * share + 255 * (1 - share)).astype(np.uint8)


def save(image: Image.Image, image_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def decode_with_pillow(encoded: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(encoded)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def make_exif(
    value: int, order: str = "<", kind: int = 3, count: int = 1, entries: int = 3
) -> bytes:
    """Return EXIF data with an orientation among other entries."""
    data = {1: struct.pack("Bxxx", value & 255), 4: struct.pack(order + "I", value)}
    value_bytes = data.get(kind, struct.pack(order + "Hxx", value & 65535))
    others = [
        struct.pack(order + "HHI4s", 0x0100 + i, 3, 1, bytes(4)) for i in range(entries)
    ]
    it = struct.pack(order + "HHI4s", 274, kind, count, value_bytes)
    body = b"".join([*others, it])
    head = b"II*\0" if order == "<" else b"MM\0*"
    head += struct.pack(order + "I", 8) + struct.pack(order + "H", entries + 1)
    return head + body + bytes(4)


def insert(encoded: bytes, position: int, extra: bytes) -> bytes:
    return encoded[:position] + extra + encoded[position:]


def draw_palette(count: int) -> np.ndarray:
    chance = np.random.default_rng(count)
    return chance.integers(0, 256, (count, 3)).astype(np.uint8)
