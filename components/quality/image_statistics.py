"""Statistics of an image, to find poor images and near-copies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from graft.components.quality.signature import signature_of
from graft.trainer.decoding.from_bytes import decode_pixels, read_header

_SHARP_EDGE = 256
# With a smaller contrast, colours of about the same grey level may be hidden in it.
_FLAT_CONTRAST = 8.0
# Decoding keeps at least one and a half times these pixels, that is `_SHARP_EDGE`.
_DECODED_SIZE = (171, 171)
_LEVELS = np.arange(256.0)


@dataclass(frozen=True)
class ImageStatistics:
    """Statistics of one image.

    They are those of its grey levels. If these hardly differ, all but the brightness
    are those of the colour channel that differs most: red on green of the same grey
    level is not blank.

    Attributes:
        signature: See `graft.components.quality.signature.SIGNATURE`.
        brightness: Mean grey level.
        contrast: Standard deviation of grey levels.
        sharpness: Variance of the Laplacian.
        edge: Pixels of the shorter edge.
    """

    signature: np.ndarray
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
    return ImageStatistics(
        signature=signature_of(grey, picture, min(header.height, header.width)),
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
