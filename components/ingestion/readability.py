"""Is an image readable? By TensorFlow's decoders, those of training and serving.

The decoders are called one by one and not through the graph that the model carries: for
a small image, running that graph costs far more than decoding.
"""

from __future__ import annotations

import io
from typing import NamedTuple

import tensorflow as tf
from PIL import Image

from graft.trainer.decoding.images import ImageHeader, sniff

_ANIMATED_FORMATS = ("gif", "webp")
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"RIFF")


class Examined(NamedTuple):
    """What is known of an image before it is decoded.

    Attributes:
        header: Its format, and its height and width in pixels.
        num_pixels: Pixels that a decoder would fill, of all frames of an animation.
    """

    header: ImageHeader
    num_pixels: int


def has_image_signature(encoded: bytes) -> bool:
    """Tell whether a file begins as an image of a supported format does."""
    return encoded.startswith(_SIGNATURES) and (
        encoded[8:12] == b"WEBP" or not encoded.startswith(b"RIFF")
    )


def read_header(encoded: bytes) -> ImageHeader:
    """Read an image's header.

    Raises:
        ValueError: With the reason, whatever is wrong with the bytes.
    """
    try:
        return sniff(encoded)
    except ValueError:
        raise
    except Exception as error:
        # Pillow's parsers fail on damaged bytes in ways that they don't announce.
        raise ValueError(f"damaged header: {error!r}") from error


def examine(encoded: bytes, max_pixels: int) -> Examined:
    """Read an image's header, and refuse what would not fit into memory.

    Args:
        encoded: The bytes of the file.
        max_pixels: Most pixels that may be decoded.

    Raises:
        ValueError: With the reason: no image, or a decompression bomb.
    """
    header = read_header(encoded)
    num_frames = 1
    if header.format in _ANIMATED_FORMATS:
        # TensorFlow decodes all frames to return the first one.
        try:
            with Image.open(io.BytesIO(encoded)) as image:
                num_frames = getattr(image, "n_frames", 1)
        except Exception as error:
            raise ValueError(f"damaged {header.format.upper()}: {error}") from error
    num_pixels = header.height * header.width * num_frames
    if num_pixels > max_pixels:
        frames = f", {num_frames} frames" if num_frames > 1 else ""
        raise ValueError(
            f"too many pixels: {header.width}x{header.height}{frames}; `max_pixels` is "
            f"{max_pixels}"
        )
    return Examined(header, num_pixels)


def check_decodable(encoded: bytes, image_format: str) -> None:
    """Decode an image, a JPEG at an eighth of its scale, and forget it.

    Args:
        encoded: The bytes of the file.
        image_format: One of `example_keys.IMAGE_FORMATS`.

    Raises:
        ValueError: With the reason, when it can't be decoded.
    """
    try:
        if image_format == "jpeg":
            # Reads all of the file, and takes less time than the full scale.
            tf.io.decode_jpeg(encoded, channels=3, ratio=8)
        elif image_format == "png":
            tf.io.decode_png(encoded)
        elif image_format == "gif":
            tf.io.decode_gif(encoded)
        elif image_format == "bmp":
            tf.io.decode_bmp(encoded)
        else:
            tf.io.decode_webp(encoded)
    except tf.errors.OpError as error:
        # "{{function_node ...}} reason [Op:DecodeJpeg] name: ..."
        reason = str(error.message).split("}}")[-1].split(" [Op:")[0].strip()
        raise ValueError(
            f"damaged {image_format.upper()}: {reason.splitlines()[0]}"
        ) from error
