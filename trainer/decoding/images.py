"""From the bytes of an image file to RGB pixels: the same in ingestion and in serving.

Everything that TensorFlow runs here is graph code, since the exported model carries it:
what a client sends is decoded by the very operations that decoded the training images.

What a user expects of a photograph is kept: it stands upright (EXIF orientation of JPEG
files), transparency becomes white paper, 16-bit, greyscale, palette and CMYK images
become 8-bit RGB, and of an animated GIF the first frame counts.
"""

from __future__ import annotations

import io
import re
import threading
import warnings
from dataclasses import dataclass

import tensorflow as tf
from PIL import Image, UnidentifiedImageError

from graft.contract.example_keys import IMAGE_FORMATS
from graft.trainer.decoding.gif import decode_gif
from graft.trainer.decoding.graph_code import checked, first_bytes, not_inlined
from graft.trainer.decoding.jpeg import decode_jpeg
from graft.trainer.decoding.transparency import on_white_paper

_FORMAT_OF_PIL = {
    "JPEG": "jpeg",
    "MPO": "jpeg",  # a JPEG with further pictures behind the first one
    "PNG": "png",
    "GIF": "gif",
    "BMP": "bmp",
    "WEBP": "webp",
}

_JPEG, _PNG, _GIF, _BMP, _WEBP, UNKNOWN_FORMAT = range(len(IMAGE_FORMATS) + 1)
"""Formats as `format_index` numbers them."""

_EXIF_ORIENTATION_TAG = 274

_PREFIXES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"RIFF", b"WEBP")
_POSITIONS = (0, 0, 0, 0, 0, 8)
"""How files of these formats begin, in their order; WebP's have two marks."""

_warnings_lock = threading.Lock()

# TensorFlow ends the reason of a failed operation with the operation's name.
_REASON_IN_OP_ERROR = re.compile(r"([^\n]*)\n\t \[\[")


@dataclass(frozen=True)
class ImageHeader:
    """What the head of an image file says, known without decoding it.

    Attributes:
        format: One of `example_keys.IMAGE_FORMATS`.
        height: Height in pixels as shown, after EXIF orientation.
        width: Width in pixels as shown, after EXIF orientation.
    """

    format: str
    height: int
    width: int


def sniff(encoded: bytes) -> ImageHeader:
    """Read the header of an encoded image; nothing is decoded, whatever its size.

    Args:
        encoded: The bytes of the file.

    Returns:
        Format and size as shown.

    Raises:
        ValueError: With the reason, when the bytes are no image of a known format.
    """
    if not encoded:
        raise ValueError("empty file (0 bytes)")
    try:
        # Pillow warns of images that `max_pixels` judges anyway. The warnings' filters
        # belong to the process: one thread at a time changes them.
        with _warnings_lock, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(encoded)) as image:
                pil_format, (width, height) = image.format, image.size
                if pil_format == "BMP" and image.mode in ("1", "P"):
                    # TensorFlow would take the palette's indices for shades of grey.
                    raise ValueError("a BMP with a palette; save it as PNG")
                if pil_format == "WEBP" and getattr(image, "is_animated", False):
                    # TensorFlow's decoder would corrupt the process's memory.
                    raise ValueError("an animated WebP; save its first frame")
                orientation = (
                    image.getexif().get(_EXIF_ORIENTATION_TAG, 1)
                    if pil_format in ("JPEG", "MPO")
                    else 1
                )
    except Image.DecompressionBombError as error:
        raise ValueError(f"decompression bomb: {error}") from error
    except UnidentifiedImageError:
        raise ValueError(
            f"not an image ({len(encoded)} bytes); JPEG, PNG, GIF, BMP or WebP are"
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ValueError(f"damaged header: {error}") from error
    name = _FORMAT_OF_PIL.get(pil_format or "")
    if name is None:
        raise ValueError(
            f"{pil_format} is not supported; JPEG, PNG, GIF, BMP and WebP are"
        )
    if orientation in (5, 6, 7, 8):
        height, width = width, height
    return ImageHeader(name, height, width)


@tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
def _shrunk(encoded: tf.Tensor) -> tf.Tensor:
    return decode_image(encoded, target_size=(1, 1))


def check_image(encoded: bytes) -> ImageHeader:
    """Check that an image can be decoded, as cheaply as can be done honestly.

    The whole file is read by the decoder that training and serving use; JPEG files are
    decoded at an eighth of their scale, which checks every entropy-coded byte.

    Args:
        encoded: The bytes of the file. Check `sniff(encoded)` against a limit of pixels
            first: this function decodes.

    Returns:
        Format and size as shown.

    Raises:
        ValueError: With the reason, when it can't be decoded.
    """
    header = sniff(encoded)
    try:
        _shrunk(tf.constant(encoded))
    except tf.errors.OpError as error:
        found = _REASON_IN_OP_ERROR.search(error.message)
        reason = found.group(1) if found else error.message.splitlines()[0]
        raise ValueError(f"damaged {header.format.upper()}: {reason}") from error
    return header


def decode_image(
    encoded: tf.Tensor, target_size: tuple[int, int] | None = None
) -> tf.Tensor:
    """Decode one image to upright 8-bit RGB.

    Args:
        encoded: string (), the bytes of a JPEG, PNG, GIF, BMP or WebP file.
        target_size: (height, width) in pixels to which the caller will resize, see
            `decode_jpeg`. None decodes at full scale.

    Returns:
        uint8 (H, W, 3).

    Raises:
        tf.errors.InvalidArgumentError: When executed on bytes that are no such image.
    """
    pixels = tf.switch_case(
        format_index(encoded),
        {
            _JPEG: lambda: decode_jpeg(encoded, target_size),
            _PNG: lambda: on_white_paper(tf.io.decode_png(encoded)),
            _GIF: lambda: decode_gif(encoded),
            _BMP: lambda: _bmp_to_rgb(tf.io.decode_bmp(encoded)),
            _WEBP: lambda: _decode_webp(encoded),
        },
        default=lambda: _refuse(encoded),
    )
    return tf.ensure_shape(pixels, [None, None, 3])


def format_index(encoded: tf.Tensor) -> tf.Tensor:
    """Tell the format from the first bytes.

    Args:
        encoded: string, of any shape; bytes of files.

    Returns:
        int32 of the same shape; `UNKNOWN_FORMAT` for what is no image.
    """
    heads = first_bytes(tf.reshape(encoded, [-1, 1]), 12)
    parts = tf.strings.substr(heads, _POSITIONS, [len(part) for part in _PREFIXES])
    found = tf.equal(parts, _PREFIXES)
    is_webp = found[:, _WEBP] & found[:, _WEBP + 1]
    is_it = tf.stack([*tf.unstack(found[:, :_WEBP], axis=1), is_webp], axis=1)
    # The first that is true counts, and behind them all stands the unknown.
    index = tf.argmax(tf.pad(is_it, [[0, 0], [0, 1]], constant_values=True), axis=1)
    return tf.reshape(tf.cast(index, tf.int32), tf.shape(encoded))


def _refuse(encoded: tf.Tensor) -> tf.Tensor:
    size = tf.strings.length(encoded)
    message = (
        "The bytes are no image. JPEG, PNG, GIF, BMP and WebP can be decoded; size: "
    )
    text = tf.strings.join([message, tf.strings.as_string(size)])
    # Never fine; a constant would be tried when the graph is built.
    return tf.zeros([0, 0, checked(tf.constant(3), size < 0, text)], tf.uint8)


@not_inlined
def _decode_webp(encoded: tf.Tensor) -> tf.Tensor:
    """Decode a still WebP, uint8 (H, W, 3).

    TensorFlow 2.21 frees memory twice when it is asked for the channels of an
    animation, which ends the process: animations are refused before it sees them, and
    the channels are read here. Layout of the file: RFC 9649, sections 2.5 to 2.7, and
    3.4.
    """
    start = first_bytes(encoded, 32)
    kind = tf.strings.substr(start, 12, 4)
    is_extended, is_lossless = tf.equal(kind, b"VP8X"), tf.equal(kind, b"VP8L")
    flags = tf.gather(tf.io.decode_raw(start, tf.uint8), [20, 20, 24])
    masks = tf.constant([0x02, 0x10, 0x10], tf.uint8)
    animated, alpha, lossless_alpha = tf.unstack(
        tf.not_equal(tf.bitwise.bitwise_and(flags, masks), 0)
    )
    is_animation = is_extended & animated
    has_alpha = (is_extended & alpha) | (is_lossless & lossless_alpha)
    encoded = checked(
        encoded,
        ~is_animation,
        "An animated WebP can't be decoded; send its first frame",
    )
    pixels = tf.cond(
        has_alpha,
        lambda: tf.io.decode_webp(encoded, channels=4)[0],
        lambda: tf.io.decode_webp(encoded, channels=3)[0],
    )
    return on_white_paper(pixels)


def _bmp_to_rgb(pixels: tf.Tensor) -> tf.Tensor:
    """Bring uint8 (H, W, 1 | 3 | 4) to (H, W, 3); a fourth byte is padding."""
    return tf.cond(
        tf.equal(tf.shape(pixels)[-1], 1),
        lambda: tf.repeat(pixels, 3, axis=-1),
        lambda: pixels[..., :3],
    )
