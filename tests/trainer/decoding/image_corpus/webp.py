"""WebP files: lossy and lossless, alpha, EXIF, animation, damage."""

from __future__ import annotations

import io
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
    draw_picture,
    make_exif,
    save,
    turn,
)
from PIL import Image

TOLERANCE = 3


def cases() -> Iterator[Case]:
    yield from _with_exif()
    yield from _others()


def _with_exif() -> Iterator[Case]:
    picture = draw_picture()
    alpha = (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 256).astype(np.uint8)
    for orientation, lossless, has_alpha in product(
        (*ORIENTATIONS, 0), (True, False), (False, True)
    ):
        image = Image.fromarray(picture)
        if has_alpha:
            image.putalpha(Image.fromarray(alpha))
        options = {"exif": make_exif(orientation)} if orientation else {}
        if orientation % 2:
            options = {"exif": b"Exif\0\0" + make_exif(orientation, ">")}
        encoded = save(
            image, "WEBP", lossless=lossless, exact=True, quality=95, **options
        )
        with Image.open(io.BytesIO(encoded)) as opened:
            shown = np.asarray(opened.convert("RGBA"))
        expected = shown[..., :3]
        if has_alpha:
            expected = blend_on_white(shown[..., :3], shown[..., 3])
        yield Case(
            f"WebP, EXIF {orientation}{' lossless' * lossless}{' alpha' * has_alpha}",
            encoded,
            turn(expected, max(orientation, 1)),
            TOLERANCE,
        )


def _others() -> Iterator[Case]:
    picture = draw_picture()
    image = Image.fromarray(picture)
    encoded = save(image, "WEBP", lossless=True, icc_profile=SRGB)
    yield Case("WebP, ICC", encoded, picture)
    for lossless, mode in product((True, False), ("RGB", "RGBA")):
        frame = image.convert(mode)
        encoded = save(
            frame,
            "WEBP",
            save_all=True,
            append_images=[frame.rotate(180)],
            lossless=lossless,
        )
        yield Case(
            f"WebP, animated {mode}{' lossless' * lossless}",
            encoded,
            refusal="an animated WebP; save its first frame",
        )
    plain = save(image, "WEBP")
    yield Case("WebP, cut", plain[: len(plain) * 2 // 3], refusal="damaged WebP")
    for lossless in (True, False):
        exif = {"exif": make_exif(1), "lossless": lossless}
        encoded = bytearray(save(image, "WEBP", **exif))
        yield Case(
            f"WebP, EXIF cut{' lossless' * lossless}",
            bytes(encoded[:-3]),
            refusal="damaged WebP",
        )
    yield Case("WebP, head only", plain[:16], refusal="damaged WebP")
