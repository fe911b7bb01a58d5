"""Is an image readable? By the decoders of training and serving."""

from __future__ import annotations

from typing import NamedTuple

from graft.trainer.decoding.from_bytes import ImageHeader, read_header


class Examined(NamedTuple):
    """What is known of an image before it is decoded.

    Attributes:
        header: Its format, and its height and width in pixels.
        num_pixels: Pixels that a decoder would fill.
    """

    header: ImageHeader
    num_pixels: int


def examine(encoded: bytes, max_pixels: int) -> Examined:
    """Read an image's header, and refuse what would not fit into memory.

    Args:
        encoded: The bytes of the file.
        max_pixels: Most pixels that may be decoded; of an animation, in its first
            frame, the only one that is.

    Raises:
        ValueError: With the reason: refused, or a decompression bomb.
    """
    header = read_header(encoded)
    num_pixels = header.height * header.width
    if num_pixels > max_pixels:
        raise ValueError(
            f"too many pixels: {header.width}x{header.height}; `max_pixels` is "
            f"{max_pixels}"
        )
    return Examined(header, num_pixels)
