"""Check that training and serving can decode an image."""

from __future__ import annotations

from typing import NamedTuple

from graft.trainer.decoding.from_bytes import ImageHeader, read_header


class Examined(NamedTuple):
    """Facts about an image that is not decoded yet.

    Attributes:
        header: Format, and height and width in pixels.
        num_pixels: Number of pixels of the decoded image.
    """

    header: ImageHeader
    num_pixels: int


def examine(encoded: bytes, max_pixels: int) -> Examined:
    """Read an image's header, and refuse an image with too many pixels.

    Args:
        encoded: The bytes of the file.
        max_pixels: Greatest number of pixels. Of an animation, only the first frame
            is decoded. Of a GIF, its canvas counts.

    Raises:
        ValueError: The format is refused, or the image may be a decompression bomb. The
            message is the reason.
    """
    header = read_header(encoded)
    num_pixels = header.height * header.width
    if num_pixels > max_pixels:
        raise ValueError(
            f"too many pixels: {header.width}x{header.height}; `max_pixels` is "
            f"{max_pixels}. Save the image smaller, or raise `max_pixels`"
        )
    return Examined(header, num_pixels)
