"""Decode JPEG files in graph code: upright, and at a reduced scale for small targets.

`tf.io.decode_jpeg` decodes the pixels. It ignores EXIF orientation, and it needs a
marker that some CMYK files lack.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from graft.trainer.decoding import formats
from graft.trainer.decoding.exif import orientation_of, upright
from graft.trainer.decoding.graph_code import (
    bytes_of,
    first_bytes,
    not_inlined,
    not_refused,
)

SCALES = (1, 2, 4, 8)

# Positions and bytes in most small files: a JFIF header, two tables, a baseline frame
# of three channels and the four standard Huffman tables.
_STANDARD_PARTS = {
    2: b"\xff\xe0\x00\x10",
    20: b"\xff\xdb\x00\x43",
    89: b"\xff\xdb\x00\x43",
    158: b"\xff\xc0\x00\x11\x08",
    177: b"\xff\xc4\x00\x1f",
    210: b"\xff\xc4\x00\xb5",
    393: b"\xff\xc4\x00\x1f",
    426: b"\xff\xc4\x00\xb5",
    609: b"\xff\xda\x00\x0c\x03",
}
_STANDARD_BYTES = 640

_SIMPLE_BYTES = 8192
_SIMPLE_SCAN = b"\xff\xda\x00\x0c\x03"
_SIMPLE_FRAMES = (b"\xff\xc0\x00\x11\x08", b"\xff\xc2\x00\x11\x08")

_ADOBE_SEGMENT = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"

PIXELS_PER_BYTE = 512
"""Greatest number of pixels for each byte of a whole file.

A block of 8 x 8 pixels needs one bit at least, its code of the mean: ITU-T T.81,
section G.1.2.1. A header that promises more is not that of the file.
"""

# Bytes of a segment's header with its kind and, in a frame, the size.
_WINDOW = 10
_DAMAGED = formats.DAMAGED + formats.JPEG
_SEGMENT, _APP1, _FRAME, _APP14, _NO_LENGTH, _FILL, _END = range(7)


def _marker_kinds() -> np.ndarray:
    """Return the kind of each marker by its second byte: ITU-T T.81, table B.1."""
    kinds = np.full(256, _SEGMENT, np.int32)
    frames = [*range(0xC0, 0xD0), 0xF7]
    kinds[[each for each in frames if each not in (0xC4, 0xC8, 0xCC)]] = _FRAME
    kinds[[0x00, 0x01, *range(0xD0, 0xD9)]] = _NO_LENGTH
    kinds[[0xD9, 0xDA]] = _END
    kinds[[0xE1, 0xEE, 0xFF]] = _APP1, _APP14, _FILL
    return kinds


def _frame_refusals() -> np.ndarray:
    """Return the refusal of each kind of frame by the second byte of its marker."""
    refusals = np.full(256, formats.JPEG_HIERARCHICAL, np.int32)
    refusals[[0xC0, 0xC1, 0xC2]] = formats.FINE
    refusals[[0xC3, 0xCB]] = formats.JPEG_LOSSLESS
    refusals[[0xC9, 0xCA]] = formats.JPEG_ARITHMETIC
    refusals[0xF7] = formats.JPEG_LS
    return refusals


def decode_jpeg(
    encoded: tf.Tensor, target_size: tuple[int, int] | None = None
) -> tf.Tensor:
    """Decode a JPEG file, upright.

    Args:
        encoded: string (), the bytes of the file.
        target_size: (height, width) in pixels that the caller will resize to. The file
            is decoded at the smallest scale of 1, 1/2, 1/4 and 1/8 that is at least 1.5
            times the target. libjpeg then skips high frequencies that the resize would
            remove, which is faster. docs/decisions/0004 has the effect on features.
            None decodes at full scale.

    Returns:
        uint8 (H, W, 3).

    Raises:
        tf.errors.InvalidArgumentError: At execution, if the file is refused.
    """
    # A standard file needs no walk through its segments and no changes.
    encoded, orientation = tf.cond(
        _is_standard(encoded),
        lambda: (encoded, tf.constant(1)),
        lambda: _prepare(encoded),
    )

    size = tf.image.extract_jpeg_shape(encoded)[:2]
    too_large = tf.where(_fits(encoded, size), formats.FINE, _DAMAGED)
    encoded = not_refused(encoded, too_large)
    if target_size is None:
        pixels = read_pixels(encoded, 1)
    else:
        target = tf.where(orientation >= 5, target_size[::-1], target_size)
        room = tf.reduce_min(2 * size // (3 * target))
        choice = tf.reduce_sum(tf.cast(room >= SCALES[1:], tf.int32))
        pixels = tf.switch_case(
            choice,
            [lambda scale=scale: read_pixels(encoded, scale) for scale in SCALES],
        )
    return upright(pixels, orientation)


def _fits(encoded: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Return whether a file has enough bytes for its size, int32 (2,)."""
    num_pixels = tf.reduce_prod(tf.cast(size, tf.int64))
    num_bytes = tf.cast(tf.strings.length(encoded), tf.int64)
    return num_pixels <= PIXELS_PER_BYTE * num_bytes


def read_pixels(encoded: tf.Tensor | bytes, scale: int) -> tf.Tensor:
    """Decode a JPEG file as stored, uint8 (H, W, 3), at 1 / `scale` of its size.

    The exact transform (DCT) gives the pixels of browsers and of Pillow. TensorFlow's
    own choice is an approximation, which blurs fine textures in files of high quality.
    """
    return tf.io.decode_jpeg(
        encoded, channels=3, ratio=scale, dct_method="INTEGER_ACCURATE"
    )


@not_inlined
def jpeg_layout(encoded: tf.Tensor) -> tf.Tensor:
    """Read the segments of a JPEG file up to its pixels.

    EXIF data may be anywhere among them, after any number of profiles. Bytes 0xFF may
    fill the space between segments: ITU-T T.81, section B.1.1.

    Args:
        encoded: string (), the bytes of the file.

    Returns:
        int32 (5,): code of `formats.REFUSALS`, height and width as stored, EXIF
        orientation, and 1 if CMYK lacks the Adobe marker that TensorFlow needs.
    """
    count, found = _find_segments(encoded)
    exif, frame, adobe = tf.unstack(found)
    # Padded, since the file of a missing segment may be shorter than a window.
    padded = tf.strings.join([encoded, b"\0" * _WINDOW])
    window = _window_at(padded, frame)
    num_channels = window[9]
    refusal = _refusal(window, num_channels)
    missing = tf.where(count >= formats.MAX_PARTS, formats.JPEG_SEGMENTS, _DAMAGED)
    size = 256 * window[5:9:2] + window[6:10:2]
    is_fine = tf.equal(refusal, formats.FINE)
    refusal = tf.where(is_fine & ~_fits(encoded, size), _DAMAGED, refusal)
    return tf.stack(
        [
            tf.where(frame > 0, refusal, missing),
            size[0],
            size[1],
            orientation_of(_exif_at(padded, exif)),
            tf.cast(tf.equal(num_channels, 4) & tf.equal(adobe, 0), tf.int32),
        ]
    )


def _window_at(encoded: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    return bytes_of(tf.strings.substr(encoded, position, _WINDOW))


def _find_segments(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the number of segments, and the positions of EXIF, frame and Adobe ones.

    The positions are int32 (3,), each that of the first such segment, or 0.
    """
    limit = tf.strings.length(encoded) - _WINDOW

    def kind_of(window: tf.Tensor) -> tf.Tensor:
        kind = tf.gather(tf.constant(_marker_kinds()), window[1])
        # Bytes that are no marker are skipped one by one, like fill bytes.
        return tf.where(tf.equal(window[0], 0xFF), kind, _FILL)

    def step(
        position: tf.Tensor, count: tf.Tensor, _: tf.Tensor, found: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        window = _window_at(encoded, position)
        kind = kind_of(window)
        is_exif = tf.reduce_all(tf.equal(window[4:], list(b"Exif\0\0")))
        is_adobe = tf.reduce_all(tf.equal(window[4:9], list(b"Adobe")))
        is_it = tf.equal(kind, [_APP1, _FRAME, _APP14]) & [is_exif, True, is_adobe]
        # The first of each counts.
        found = tf.where(is_it & tf.equal(found, 0), position, found)
        length = 2 + tf.maximum(256 * window[2] + window[3], 2)
        length = tf.where(tf.equal(kind, _NO_LENGTH), 2, length)
        length = tf.where(tf.equal(kind, _FILL), 1, length)
        return position + length, count + 1, kind, found

    _, count, _, found = tf.while_loop(
        lambda position, count, kind, _: (
            (position <= limit) & (count < formats.MAX_PARTS) & tf.not_equal(kind, _END)
        ),
        step,
        (2, 0, _SEGMENT, tf.zeros([3], tf.int32)),
        parallel_iterations=1,
    )
    return count, found


def _refusal(window: tf.Tensor, num_channels: tf.Tensor) -> tf.Tensor:
    """Return the refusal, int32 (), for the header of a frame."""
    refusal = tf.gather(tf.constant(_frame_refusals()), window[1])
    is_known = tf.reduce_any(tf.equal(num_channels, [1, 3, 4]))
    deep = tf.where(
        tf.equal(window[4], 8),
        tf.where(is_known, formats.FINE, formats.JPEG_CHANNELS),
        formats.JPEG_DEEP,
    )
    return tf.where(tf.equal(refusal, formats.FINE), deep, refusal)


def _exif_at(encoded: tf.Tensor, segment: tf.Tensor) -> tf.Tensor:
    """Return the EXIF data of the segment at a position; an empty text for 0."""
    window = _window_at(encoded, segment)
    num_bytes = tf.maximum(256 * window[2] + window[3] - 8, 0)
    num_bytes = tf.where(segment > 0, num_bytes, 0)
    return tf.strings.substr(encoded, segment + _WINDOW, num_bytes)


def _is_standard(encoded: tf.Tensor) -> tf.Tensor:
    head = tf.reshape(first_bytes(encoded, _STANDARD_BYTES), [1])
    parts = tf.strings.substr(
        head, list(_STANDARD_PARTS), [len(part) for part in _STANDARD_PARTS.values()]
    )
    return tf.reduce_all(tf.equal(parts, list(_STANDARD_PARTS.values())))


def _layout(encoded: tf.Tensor) -> tf.Tensor:
    """Return the result of `jpeg_layout` without the size, and in less time.

    Most photographs on the web have no EXIF data. Searching for its marker before the
    pixels is faster than reading all segments. The search counts only if it finds a
    common frame and no second image, such as a thumbnail.
    """
    head = tf.strings.substr(encoded, 0, _SIMPLE_BYTES)

    def split(text: tf.Tensor, separator: bytes) -> tf.Tensor:
        found = tf.raw_ops.StringSplitV2(input=[text], sep=separator, maxsplit=1)
        return found.values

    def has(text: tf.Tensor, separator: bytes) -> tf.Tensor:
        return tf.size(split(text, separator)) > 1

    front = split(head, _SIMPLE_SCAN)
    text = front[0]
    is_simple = (
        (tf.size(front) > 1)
        & (has(text, _SIMPLE_FRAMES[0]) | has(text, _SIMPLE_FRAMES[1]))
        & ~has(text, b"\xff\xe1")
        & ~has(tf.strings.substr(text, 2, _SIMPLE_BYTES), b"\xff\xd8")
    )
    return tf.cond(
        is_simple,
        lambda: tf.constant([formats.FINE, 0, 0, 1, 0]),
        lambda: jpeg_layout(encoded),
    )


@not_inlined
def _prepare(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the file in a form that TensorFlow decodes correctly, and its orientation.

    Viewers always read four channels as inverted, as Adobe's programs write them.
    TensorFlow does so only with Adobe's marker, so the marker is added.
    """
    layout = _layout(encoded)
    encoded = not_refused(encoded, layout[0])
    marker = tf.where(tf.equal(layout[4], 1), _ADOBE_SEGMENT, b"")
    rest = tf.strings.substr(encoded, 2, 2**31 - 1)
    return tf.strings.join([b"\xff\xd8", marker, rest]), layout[3]
