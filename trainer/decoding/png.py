"""Decode PNG files in graph code: upright, with transparent pixels on white.

`tf.io.decode_png` decodes the pixels. It ignores EXIF orientation and blends no
transparency.
"""

from __future__ import annotations

import tensorflow as tf

from graft.trainer.decoding import formats
from graft.trainer.decoding.exif import orientation_of, upright
from graft.trainer.decoding.graph_code import (
    bytes_of,
    first_bytes,
    not_inlined,
    not_refused,
    numbers_at,
)
from graft.trainer.decoding.transparency import on_white

_SIGNATURE_BYTES = 8
_CHUNK_HEAD = 8
_CHUNK_BYTES = 12
"""Length, type and checksum."""
_SIZES_POSITION = 16
_PIXELS_POSITION = 33
_PLAIN_EXTRA_BYTES = _PIXELS_POSITION + 2 * _CHUNK_BYTES
"""Bytes of a file with three chunks, without those of its pixels."""
_CHUNKS_AT_ONCE = 64
_GREY, _RGB = 0, 2


def decode_png(encoded: tf.Tensor) -> tf.Tensor:
    """Decode a PNG file. An animated one gives its default image.

    Args:
        encoded: string (), the bytes of the file.

    Returns:
        uint8 (H, W, 3).

    Raises:
        tf.errors.InvalidArgumentError: At execution, if the file is refused.
    """
    # A plain file has three chunks: header, pixels and end. The length and type of the
    # second one are read as one number. Short files are padded, since TensorFlow's
    # error for a short text would quote bytes that Python can't read as text.
    padded = first_bytes(encoded, _PIXELS_POSITION + _CHUNK_HEAD)
    start = tf.strings.substr(padded, _PIXELS_POSITION, _CHUNK_HEAD)
    head = tf.io.decode_raw(start, tf.int64, little_endian=False)[0]
    num_bytes = tf.cast(tf.strings.length(encoded) - _PLAIN_EXTRA_BYTES, tf.int64)
    is_plain = tf.equal(head, num_bytes * 2**32 + int.from_bytes(b"IDAT", "big"))
    sizes = tf.strings.substr(padded, _SIZES_POSITION, 8)
    width_and_height = tf.io.decode_raw(sizes, tf.int32, little_endian=False)
    return tf.cond(
        is_plain & _is_small(width_and_height),
        lambda: on_white(tf.io.decode_png(encoded)),
        lambda: _decode_any(encoded),
    )


def _is_small(width_and_height: tf.Tensor) -> tf.Tensor:
    """Return whether a picture has few enough pixels to be decoded."""
    num_pixels = tf.reduce_prod(tf.cast(width_and_height, tf.int64))
    return num_pixels < formats.MAX_PIXELS


@not_inlined
def _decode_any(encoded: tf.Tensor) -> tf.Tensor:
    layout = png_layout(encoded)
    encoded = not_refused(encoded, layout[0])
    # TensorFlow ignores a transparent colour unless it returns four channels.
    pixels = tf.cond(
        tf.equal(layout[4], 1),
        lambda: tf.io.decode_png(encoded, channels=4),
        lambda: tf.io.decode_png(encoded),
    )
    return upright(on_white(pixels), layout[3])


@not_inlined
def png_layout(encoded: tf.Tensor) -> tf.Tensor:
    """Read the header and the chunks of a PNG file.

    The format is in W3C, Portable Network Graphics (third edition), sections 5.3 and
    11. EXIF data may follow the pixels.

    Args:
        encoded: string (), the bytes of the file.

    Returns:
        int32 (5,): code of `formats.REFUSALS`, height and width as stored, EXIF
        orientation, and 1 if a colour is transparent.
    """
    data = bytes_of(encoded)
    size = tf.size(data)
    count, found = _find_chunks(data, size)
    key_colour, exif = found[0], found[1]
    (length,) = numbers_at(data, [(exif, 4)], is_little=False)
    start = tf.minimum(exif + _CHUNK_HEAD, size)
    block = tf.strings.substr(encoded, start, tf.where(exif > 0, length, 0))
    head = bytes_of(first_bytes(encoded, _PIXELS_POSITION))
    is_apple = tf.reduce_all(tf.equal(head[12:16], list(b"CgBI")))
    is_header = tf.reduce_all(tf.equal(head[12:16], list(b"IHDR")))
    refusal = tf.where(
        is_header & (size >= _PIXELS_POSITION),
        formats.FINE,
        formats.DAMAGED + formats.PNG,
    )
    refusal = tf.where(is_apple, formats.PNG_APPLE, refusal)
    refusal = tf.where(count >= formats.MAX_PARTS, formats.PNG_CHUNKS, refusal)
    has_key_colour = (key_colour > 0) & tf.reduce_any(tf.equal(head[25], [_GREY, _RGB]))
    width, height = numbers_at(
        head, [(_SIZES_POSITION, 4), (_SIZES_POSITION + 4, 4)], is_little=False
    )
    is_small = _is_small(tf.stack([width, height]))
    refusal = tf.where(
        is_small | tf.not_equal(refusal, formats.FINE), refusal, formats.PNG_TOO_LARGE
    )
    has_key_colour = tf.cast(has_key_colour, tf.int32)
    orientation = orientation_of(block)
    return tf.stack([refusal, height, width, orientation, has_key_colour])


def _find_chunks(data: tf.Tensor, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the number of steps through chunks, and where tRNS and eXIf chunks begin.

    A step covers a run of chunks of equal type and length, such as those of pixels.

    Args:
        data: Bytes of the file, int32 (N,).
        size: Number of bytes, N, int32 ().

    Returns:
        int32 (), and int32 (2,): the position of each first chunk, or 0.
    """
    steps = tf.range(_CHUNKS_AT_ONCE)[:, tf.newaxis]
    wanted = tf.constant([list(b"tRNS"), list(b"eXIf")])

    def heads_at(position: tf.Tensor, stride: tf.Tensor) -> tf.Tensor:
        # In int64, since a chunk's length may be any number.
        places = tf.cast(position, tf.int64) + tf.cast(steps, tf.int64) * tf.cast(
            stride, tf.int64
        )
        places += tf.range(_CHUNK_HEAD, dtype=tf.int64)
        return tf.gather(data, tf.minimum(places, tf.cast(size, tf.int64) - 1))

    def step(
        position: tf.Tensor, count: tf.Tensor, _: tf.Tensor, found: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        (length,) = numbers_at(data, [(position, 4)], is_little=False)
        stride = tf.minimum(length, size) + _CHUNK_BYTES
        heads = heads_at(position, stride)
        kind = heads[0, 4:]
        is_it = tf.reduce_all(tf.equal(kind, wanted), axis=1) & tf.equal(found, 0)
        is_end = tf.reduce_all(tf.equal(kind, list(b"IEND")))
        is_same = tf.reduce_all(tf.equal(heads, heads[:1]), axis=1)
        run = tf.reduce_sum(tf.math.cumprod(tf.cast(is_same, tf.int32)))
        # A run that exceeds int32 also exceeds the file.
        following = tf.minimum(
            tf.cast(position, tf.int64)
            + tf.cast(run, tf.int64) * tf.cast(stride, tf.int64),
            tf.cast(size, tf.int64),
        )
        return (
            tf.cast(following, tf.int32),
            count + 1,
            is_end,
            tf.where(is_it, position, found),
        )

    _, count, _, found = tf.while_loop(
        lambda position, count, is_end, _: (
            (position + _CHUNK_BYTES <= size) & (count < formats.MAX_PARTS) & ~is_end
        ),
        step,
        (_SIGNATURE_BYTES, 0, False, tf.zeros([2], tf.int32)),
        parallel_iterations=1,
    )
    return count, found
