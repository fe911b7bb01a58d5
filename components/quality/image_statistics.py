"""What an image looks like, in a few numbers: enough to find poor ones and copies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from graft.trainer.decoding.from_bytes import decode_pixels, read_header

_HASH_EDGE = 8
_SMALL_EDGE = 32
_SHARP_EDGE = 256
# Decoding leaves one and a half times as much at least, which is `_SHARP_EDGE`.
_DECODED_SIZE = (171, 171)
_LEVELS = np.arange(256.0)
# Hashes that differ in fewer bits than there are parts agree in one part at least.
_NUM_PARTS = 8
_MOST_BITS = 7
# A part that so many images share says nothing: it would be every pair of them.
_MOST_IN_BUCKET = 200


@dataclass(frozen=True)
class Look:
    """An image in numbers.

    Attributes:
        small: float32 (32, 32), grey levels in [0, 255].
        bits: bool (64,), the difference hash: is a place brighter than its neighbour.
        brightness: Mean grey level.
        contrast: Standard deviation of grey levels.
        sharpness: Variance of the Laplacian.
        edge: Pixels of the shorter edge.
    """

    small: np.ndarray
    bits: np.ndarray
    brightness: float
    contrast: float
    sharpness: float
    edge: int


def look_at(encoded: bytes) -> Look:
    """Measure an encoded image.

    Raises:
        ValueError: With the reason, if the image is refused.
    """
    header = read_header(encoded)
    # A JPEG is decoded at a fraction of its size, for much less work.
    pixels = decode_pixels(encoded, _DECODED_SIZE)
    size = pixels.shape[1], pixels.shape[0]
    grey = Image.frombuffer("RGB", size, pixels, "raw", "RGB", 0, 1).convert("L")
    if max(grey.size) > _SHARP_EDGE:
        grey.thumbnail((_SHARP_EDGE, _SHARP_EDGE))
    brightness, contrast = _mean_and_deviation(grey)
    size = (_SMALL_EDGE, _SMALL_EDGE)
    small = np.asarray(grey.resize(size, Image.Resampling.BILINEAR), np.float32)
    size = (_HASH_EDGE + 1, _HASH_EDGE)
    coarse = np.asarray(grey.resize(size, Image.Resampling.BILINEAR), np.float32)
    return Look(
        small=small,
        bits=(coarse[:, 1:] > coarse[:, :-1]).ravel(),
        brightness=brightness,
        contrast=contrast,
        sharpness=_sharpness(np.asarray(grey)),
        edge=min(header.height, header.width),
    )


def near_copies(
    looks: Sequence[Look], max_distance: float, min_contrast: float
) -> Iterator[tuple[int, int, float]]:
    """Yield pairs of images that look alike, and how much they differ.

    The hash finds pairs that may be, cheaply; the small images decide.

    Args:
        looks: Of all images.
        max_distance: Mean difference of grey levels below which two are alike.
        min_contrast: Images below it look like one another, and are left out.
    """
    parts: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for index, look in enumerate(looks):
        if look.contrast < min_contrast:
            continue
        packed = np.packbits(look.bits).reshape(_NUM_PARTS, -1)
        for part, value in enumerate(packed):
            parts[part, value.tobytes()].append(index)
    seen: set[tuple[int, int]] = set()
    for bucket in parts.values():
        if len(bucket) < 2 or len(bucket) > _MOST_IN_BUCKET:
            continue
        members = np.array(bucket)
        bits = np.stack([looks[index].bits for index in bucket])
        for row in range(len(members) - 1):
            bits_apart = (bits[row + 1 :] != bits[row]).sum(axis=1)
            for other in members[row + 1 :][bits_apart <= _MOST_BITS]:
                pair = (int(members[row]), int(other))
                if pair in seen:
                    continue
                seen.add(pair)
                first, second = looks[pair[0]].small, looks[pair[1]].small
                distance = float(np.abs(first - second).mean())
                if distance < max_distance:
                    yield (*pair, distance)


def _mean_and_deviation(grey: Image.Image) -> tuple[float, float]:
    """Return both of the grey levels, from how often each level occurs."""
    shares = np.array(grey.histogram()) / (grey.width * grey.height)
    mean = float(shares @ _LEVELS)
    return mean, float(np.sqrt(shares @ (_LEVELS - mean) ** 2))


def _sharpness(levels: np.ndarray) -> float:
    """Return the variance of the discrete Laplacian; 0 for less than 3 pixels.

    Args:
        levels: uint8 (H, W).
    """
    if min(levels.shape) < 3:
        return 0.0
    levels = levels.astype(np.int16)
    middle = levels[1:-1, 1:-1]
    around = levels[:-2, 1:-1] + levels[2:, 1:-1] + levels[1:-1, :-2] + levels[1:-1, 2:]
    laplacian = (around - 4 * middle).astype(np.float32).ravel()
    mean = float(laplacian.mean())
    return float(laplacian @ laplacian / laplacian.size - mean**2)
