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

from trainer.features import IMAGE_FORMATS

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
_EXIF_BYTES = 1 << 16
_EXIF_SEGMENTS = 8
_EXIF_ENTRIES = 64

_JPEG_SCALES = (1, 2, 4, 8)

_MAX_GIF_PIXELS = 2**29 // 3
"""What TensorFlow's decoders of JPEG and PNG files keep to by themselves."""

_warnings_lock = threading.Lock()

# TensorFlow ends the reason of a failed operation with the operation's name.
_REASON_IN_OP_ERROR = re.compile(r"([^\n]*)\n\t \[\[")


@dataclass(frozen=True)
class ImageHeader:
    """What the head of an image file says, known without decoding it.

    Attributes:
        format: One of `features.IMAGE_FORMATS`.
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
        target_size: (height, width) in pixels to which the caller will resize. A JPEG
            file that is at least four times as large is decoded at a half, a quarter or
            an eighth of its scale, whichever leaves at least twice the target; libjpeg
            then averages exact blocks of pixels, at a fraction of the time. None
            decodes at full scale.

    Returns:
        uint8 (H, W, 3).

    Raises:
        tf.errors.InvalidArgumentError: When executed on bytes that are no such image.
    """
    image_format = format_index(encoded)
    pixels = tf.switch_case(
        image_format,
        {
            _JPEG: lambda: _decode_jpeg(encoded, target_size),
            _PNG: lambda: _on_white_paper(tf.io.decode_png(encoded)),
            _GIF: lambda: _decode_gif(encoded),
            _BMP: lambda: _bmp_to_rgb(tf.io.decode_bmp(encoded)),
            _WEBP: lambda: _on_white_paper(_decode_webp(encoded)),
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
    head = _head(encoded, 16)

    def starts(prefix: bytes, position: int = 0) -> tf.Tensor:
        return tf.equal(tf.strings.substr(head, position, len(prefix)), prefix)

    index = tf.constant(UNKNOWN_FORMAT)
    tests = [
        (_JPEG, starts(b"\xff\xd8\xff")),
        (_PNG, starts(b"\x89PNG\r\n\x1a\n")),
        (_GIF, starts(b"GIF8")),
        (_BMP, starts(b"BM")),
        (_WEBP, starts(b"RIFF") & starts(b"WEBP", 8)),
    ]
    for value, is_it in tests:
        index = tf.where(is_it, value, index)
    return index


def _head(encoded: tf.Tensor, num_bytes: int) -> tf.Tensor:
    """Return the first bytes, string (); zeros where there are fewer."""
    start = tf.strings.substr(encoded, 0, num_bytes)
    return tf.strings.join([start, b"\0" * num_bytes])


def _refuse(encoded: tf.Tensor) -> tf.Tensor:
    message = (
        "The bytes are no image. JPEG, PNG, GIF, BMP and WebP can be decoded; size:"
    )
    refusal = tf.debugging.Assert(False, [message, tf.strings.length(encoded)])
    with tf.control_dependencies([refusal] if refusal is not None else []):
        return tf.zeros([0, 0, 3], tf.uint8)


def _on_white_paper(pixels: tf.Tensor) -> tf.Tensor:
    """Bring uint8 (H, W, 1 to 4), greyscale or RGB, perhaps with alpha, to (H, W, 3).

    The decoders are asked for the channels that the file has: TensorFlow's PNG decoder
    adds a wrong alpha channel to images of fewer than 8 bits when it is asked for four.
    """
    num_channels = tf.shape(pixels)[-1]
    has_alpha = tf.equal(num_channels % 2, 0)
    colour = tf.cond(
        num_channels <= 2,
        lambda: tf.repeat(pixels[..., :1], 3, axis=-1),
        lambda: pixels[..., :3],
    )

    def blend() -> tf.Tensor:
        opacity = tf.cast(pixels[..., -1:], tf.float32) / 255.0
        blended = tf.cast(colour, tf.float32) * opacity + 255.0 * (1.0 - opacity)
        return tf.cast(tf.round(blended), tf.uint8)

    return tf.cond(has_alpha, blend, lambda: colour)


def _decode_gif(encoded: tf.Tensor) -> tf.Tensor:
    """Decode the first frame of a GIF, uint8 (H, W, 3).

    The decoder unpacks all frames that it is given, whatever it is asked for: a file of
    0.7 MB with 400 frames took 1.6 GB of memory. So it is given the first one.
    """
    end, num_pixels = _walk_to_frame_end(tf.io.decode_raw(encoded, tf.uint8))
    check = tf.debugging.Assert(
        num_pixels < _MAX_GIF_PIXELS, ["The GIF is too large; pixels:", num_pixels]
    )
    with tf.control_dependencies([check] if check is not None else []):
        first = tf.strings.join([tf.strings.substr(encoded, 0, end), b";"])
    return tf.io.decode_image(first, channels=3, expand_animations=False)


def _walk_to_frame_end(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Find where the first frame of a GIF, uint8 (N,), ends, and its number of pixels.

    Walks extensions, and the frame's sub-blocks of at most 255 bytes each: GIF89a
    specification, sections 15 and 18 to 24.
    """
    size = tf.size(data)
    at_block, in_extension, in_frame, at_end = range(4)

    def byte(position: tf.Tensor) -> tf.Tensor:
        return tf.cast(data[tf.minimum(position, size - 1)], tf.int64)

    def short(position: tf.Tensor) -> tf.Tensor:
        return byte(position) + 256 * byte(position + 1)

    def palette_bytes(packed: tf.Tensor) -> tf.Tensor:
        length = 3 * tf.bitwise.left_shift(tf.constant(2, tf.int64), packed % 8)
        return tf.cast(tf.where(packed >= 128, length, 0), tf.int32)

    def begin_block(position: tf.Tensor, pixels: tf.Tensor) -> tuple[tf.Tensor, ...]:
        kind = byte(position)
        is_frame, is_extension = tf.equal(kind, 0x2C), tf.equal(kind, 0x21)
        frame_step = 11 + palette_bytes(byte(position + 9))
        step = tf.where(is_frame, frame_step, tf.where(is_extension, 2, 0))
        state = tf.where(is_extension, in_extension, at_end)
        area = short(position + 5) * short(position + 7)
        return (
            position + step,
            tf.where(is_frame, in_frame, state),
            tf.where(is_frame, tf.maximum(pixels, area), pixels),
        )

    def go_on(
        position: tf.Tensor, state: tf.Tensor, pixels: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        length = tf.cast(byte(position), tf.int32)
        following = tf.where(tf.equal(state, in_frame), at_end, at_block)
        return position + 1 + length, tf.where(length > 0, state, following), pixels

    position, _, pixels = tf.while_loop(
        lambda position, state, _: (state < at_end) & (position < size),
        lambda position, state, pixels: tf.cond(
            tf.equal(state, at_block),
            lambda: begin_block(position, pixels),
            lambda: go_on(position, state, pixels),
        ),
        (13 + palette_bytes(byte(tf.constant(10))), at_block, short(6) * short(8)),
        parallel_iterations=1,
    )
    return position, pixels


def _decode_webp(encoded: tf.Tensor) -> tf.Tensor:
    """Decode a still WebP, uint8 (H, W, 3 or 4).

    TensorFlow 2.21 frees memory twice when it is asked for the channels of an
    animation, which ends the process: animations are refused before it sees them, and
    the channels are read here. Layout of the file: RFC 9649, sections 2.5 to 2.7, and
    3.4.
    """
    start = _head(encoded, 32)
    kind = tf.strings.substr(start, 12, 4)
    is_extended, is_lossless = tf.equal(kind, b"VP8X"), tf.equal(kind, b"VP8L")
    flags = tf.gather(tf.io.decode_raw(start, tf.uint8), [20, 20, 24])
    masks = tf.constant([0x02, 0x10, 0x10], tf.uint8)
    animated, alpha, lossless_alpha = tf.unstack(
        tf.not_equal(tf.bitwise.bitwise_and(flags, masks), 0)
    )
    is_animation = is_extended & animated
    has_alpha = (is_extended & alpha) | (is_lossless & lossless_alpha)
    check = tf.debugging.Assert(
        ~is_animation, ["An animated WebP can't be decoded; send its first frame."]
    )
    with tf.control_dependencies([check] if check is not None else []):
        return tf.cond(
            has_alpha,
            lambda: tf.io.decode_webp(encoded, channels=4)[0],
            lambda: tf.io.decode_webp(encoded, channels=3)[0],
        )


def _bmp_to_rgb(pixels: tf.Tensor) -> tf.Tensor:
    """Bring uint8 (H, W, 1 | 3 | 4) to (H, W, 3); a fourth byte is padding."""
    return tf.cond(
        tf.equal(tf.shape(pixels)[-1], 1),
        lambda: tf.repeat(pixels, 3, axis=-1),
        lambda: pixels[..., :3],
    )


def _decode_jpeg(encoded: tf.Tensor, target_size: tuple[int, int] | None) -> tf.Tensor:
    orientation = _jpeg_orientation(encoded)

    def decode_at(scale: int) -> tf.Tensor:
        return tf.io.decode_jpeg(encoded, channels=3, ratio=scale)

    if target_size is None:
        return _turn_upright(decode_at(1), orientation)
    size = tf.image.extract_jpeg_shape(encoded)[:2]
    is_turned = orientation >= 5
    target = tf.where(is_turned, target_size[::-1], target_size)
    room = tf.reduce_min(size // (2 * target))
    choice = tf.reduce_sum(
        tf.cast(room >= tf.constant(_JPEG_SCALES[1:]), tf.int32),
    )
    pixels = tf.switch_case(
        choice, [lambda scale=scale: decode_at(scale) for scale in _JPEG_SCALES]
    )
    return _turn_upright(pixels, orientation)


def _turn_upright(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Apply an EXIF orientation, int32 () in 1..8, to pixels (H, W, C)."""

    def transposed(image: tf.Tensor) -> tf.Tensor:
        return tf.transpose(image, [1, 0, 2])

    return tf.switch_case(
        orientation - 1,
        [
            lambda: pixels,
            lambda: pixels[:, ::-1],
            lambda: pixels[::-1, ::-1],
            lambda: pixels[::-1],
            lambda: transposed(pixels),
            lambda: transposed(pixels)[:, ::-1],
            lambda: transposed(pixels)[::-1, ::-1],
            lambda: transposed(pixels)[::-1],
        ],
    )


def _jpeg_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Read a JPEG file's EXIF orientation, int32 () in 1..8; 1 where there is none.

    A file whose only application segment is a plain JFIF header, as most small images
    have, is told by three comparisons; the walk takes 0.9 ms.
    """
    head = _head(encoded, 24)
    is_plain = tf.equal(tf.strings.substr(head, 2, 4), b"\xff\xe0\x00\x10") & tf.equal(
        tf.strings.substr(head, 20, 2), b"\xff\xdb"
    )
    return tf.cond(
        is_plain, lambda: tf.constant(1), lambda: _walk_to_orientation(encoded)
    )


def _walk_to_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Find the orientation in the file's segments, int32 () in 1..8.

    Walks the application segments at the file's head to APP1 "Exif", then the entries
    of the first image file directory: JEITA CP-3451 (Exif 2.32), sections 4.5 and 4.6.
    """
    padding = b"\0" * (16 + 12 * _EXIF_ENTRIES)
    head = tf.strings.join([tf.strings.substr(encoded, 0, _EXIF_BYTES), padding])
    limit = tf.strings.length(head) - len(padding)

    def read(position: tf.Tensor, num_bytes: int) -> tf.Tensor:
        return tf.strings.substr(head, tf.clip_by_value(position, 0, limit), num_bytes)

    def shorts(position: tf.Tensor, count: int, *, is_little: bool) -> tf.Tensor:
        raw = read(position, 2 * count)
        return tf.cast(tf.io.decode_raw(raw, tf.uint16, is_little), tf.int32)

    def is_exif(position: tf.Tensor) -> tf.Tensor:
        is_app1 = tf.equal(read(position, 2), b"\xff\xe1")
        return is_app1 & tf.equal(read(position + 4, 6), b"Exif\0\0")

    def is_on_the_way(position: tf.Tensor) -> tf.Tensor:
        marker = shorts(position, 1, is_little=False)[0]
        is_application = (marker >= 0xFFE0) & (marker <= 0xFFEF)
        is_comment = tf.equal(marker, 0xFFFE)
        return (is_application | is_comment) & ~is_exif(position) & (position < limit)

    (position,) = tf.while_loop(
        is_on_the_way,
        lambda position: (position + 2 + shorts(position + 2, 1, is_little=False)[0],),
        (tf.constant(2),),
        maximum_iterations=_EXIF_SEGMENTS,
    )

    def read_directory() -> tf.Tensor:
        tiff = position + 10
        is_little = tf.equal(read(tiff, 1), b"I")

        def either(at: tf.Tensor, count: int) -> tf.Tensor:
            little = shorts(at, count, is_little=True)
            return tf.where(is_little, little, shorts(at, count, is_little=False))

        # Offsets beyond 64 KiB can't lie in one segment: the low half is enough.
        offset = either(tiff + 4, 2)
        directory = tiff + tf.where(is_little, offset[0], offset[1])
        num_entries = either(directory, 1)[0]
        entries = tf.reshape(either(directory + 2, 6 * _EXIF_ENTRIES), [-1, 6])
        is_it = tf.equal(entries[:, 0], _EXIF_ORIENTATION_TAG)
        is_it &= tf.range(_EXIF_ENTRIES) < num_entries
        value = tf.reduce_max(tf.where(is_it, entries[:, 4], 0))
        return tf.where((value >= 1) & (value <= 8), value, 1)

    return tf.cond(is_exif(position), read_directory, lambda: tf.constant(1))
