"""Statistics of an image, to find poor images and near-copies.

ImageHash was considered: it has the difference hash, which is three lines here, but no
search for pairs and none of the other statistics.
"""

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
# With a smaller contrast, colours of about the same grey level may be hidden in it.
_FLAT_CONTRAST = 8.0
# Decoding keeps at least one and a half times these pixels, that is `_SHARP_EDGE`.
_DECODED_SIZE = (171, 171)
_LEVELS = np.arange(256.0)
# Two hashes that differ in fewer bits than there are parts share at least one part.
_NUM_PARTS = 8
_MOST_BITS = 7
# Skip larger buckets: every pair in them would be a candidate.
_MOST_IN_BUCKET = 200


@dataclass(frozen=True)
class ImageStatistics:
    """Statistics of one image.

    They are those of its grey levels. If these hardly differ, all but the brightness
    are those of the colour channel that differs most: red on green of the same grey
    level is not blank.

    Attributes:
        small: float32 (32, 32), grey levels in [0, 255].
        bits: bool (64,), the difference hash: whether a pixel is brighter than its left
            neighbour.
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


def measure_image(encoded: bytes) -> ImageStatistics:
    """Return the statistics of an encoded image.

    Raises:
        ValueError: The image is refused; the message says why.
    """
    header = read_header(encoded)
    # A JPEG is decoded at a fraction of its size, which is much faster.
    pixels = decode_pixels(encoded, _DECODED_SIZE)
    size = pixels.shape[1], pixels.shape[0]
    picture = Image.frombuffer("RGB", size, pixels, "raw", "RGB", 0, 1)
    grey = _thumbnail(picture.convert("L"))
    brightness, contrast = _mean_and_deviation(grey)
    if contrast < _FLAT_CONTRAST:
        for channel in map(_thumbnail, picture.split()):
            _, of_channel = _mean_and_deviation(channel)
            if of_channel > contrast:
                grey, contrast = channel, of_channel
    size = (_SMALL_EDGE, _SMALL_EDGE)
    small = np.asarray(grey.resize(size, Image.Resampling.BILINEAR), np.float32)
    size = (_HASH_EDGE + 1, _HASH_EDGE)
    coarse = np.asarray(grey.resize(size, Image.Resampling.BILINEAR), np.float32)
    return ImageStatistics(
        small=small,
        bits=(coarse[:, 1:] > coarse[:, :-1]).ravel(),
        brightness=brightness,
        contrast=contrast,
        sharpness=_sharpness(np.asarray(grey)),
        edge=min(header.height, header.width),
    )


def _thumbnail(levels: Image.Image) -> Image.Image:
    """Return an image of one channel, its longer edge at 256 pixels at most."""
    if max(levels.size) > _SHARP_EDGE:
        levels.thumbnail((_SHARP_EDGE, _SHARP_EDGE))
    return levels


def near_copies(
    images: Sequence[ImageStatistics], max_distance: float, min_contrast: float
) -> Iterator[tuple[int, int, float]]:
    """Yield near-copies: the indices of two images, and their distance.

    The hash selects candidate pairs. The mean difference of the small images decides.

    Args:
        images: Statistics of all images.
        max_distance: Near-copies have a smaller mean difference of grey levels.
        min_contrast: Images of a lower contrast are ignored, since they all look alike.
    """
    parts: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        if image.contrast < min_contrast:
            continue
        packed = np.packbits(image.bits).reshape(_NUM_PARTS, -1)
        for part, value in enumerate(packed):
            parts[part, value.tobytes()].append(index)
    seen: set[tuple[int, int]] = set()
    for bucket in parts.values():
        if len(bucket) < 2 or len(bucket) > _MOST_IN_BUCKET:
            continue
        members = np.array(bucket)
        bits = np.stack([images[index].bits for index in bucket])
        for row in range(len(members) - 1):
            bits_apart = (bits[row + 1 :] != bits[row]).sum(axis=1)
            for other in members[row + 1 :][bits_apart <= _MOST_BITS]:
                pair = (int(members[row]), int(other))
                if pair in seen:
                    continue
                seen.add(pair)
                first, second = images[pair[0]].small, images[pair[1]].small
                distance = float(np.abs(first - second).mean())
                if distance < max_distance:
                    yield (*pair, distance)


def _mean_and_deviation(grey: Image.Image) -> tuple[float, float]:
    """Return mean and standard deviation of the grey levels, from their histogram."""
    shares = np.array(grey.histogram()) / (grey.width * grey.height)
    mean = float(shares @ _LEVELS)
    return mean, float(np.sqrt(shares @ (_LEVELS - mean) ** 2))


def _sharpness(levels: np.ndarray) -> float:
    """Return the variance of the Laplacian, or 0 for an edge below 3 pixels.

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
