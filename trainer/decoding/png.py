"""Decoding of PNG files in graph code: upright, and on white where transparent."""

from __future__ import annotations

import tensorflow as tf

from graft.trainer.decoding import formats
from graft.trainer.decoding.exif import orientation_of, upright
from graft.trainer.decoding.graph_code import (
    bytes_of,
    first_bytes,
    not_inlined,
    not_refused,
    number_at,
)
from graft.trainer.decoding.transparency import on_white

_SIGNATURE_BYTES = 8
_CHUNK_HEAD = 8
_CHUNK_BYTES = 12
"""Length, type and checksum."""
_PIXELS_POSITION = 33
_PLAIN_EXTRA_BYTES = _PIXELS_POSITION + 2 * _CHUNK_BYTES
"""Bytes of a file of three chunks beside those of its pixels."""
_CHUNKS_AT_ONCE = 64
_GREY, _RGB = 0, 2


def decode_png(encoded: tf.Tensor) -> tf.Tensor:
    """Decode a PNG file; of an animated one, the picture that all programs show.

    Args:
        encoded: string (), the bytes of the file.

    Returns:
        uint8 (H, W, 3).

    Raises:
        tf.errors.InvalidArgumentError: When executed on a file that is refused.
    """
    # Header, one chunk of pixels, end: nothing else has a say. The chunk's length and
    # type are read as one number. A file that ends before them is padded: TensorFlow's
    # error about it would quote its bytes, which Python can't read as text.
    padded = first_bytes(encoded, _PIXELS_POSITION + _CHUNK_HEAD)
    start = tf.strings.substr(padded, _PIXELS_POSITION, _CHUNK_HEAD)
    head = tf.io.decode_raw(start, tf.int64, little_endian=False)[0]
    num_bytes = tf.cast(tf.strings.length(encoded) - _PLAIN_EXTRA_BYTES, tf.int64)
    is_plain = tf.equal(head, num_bytes * 2**32 + int.from_bytes(b"IDAT", "big"))
    return tf.cond(
        is_plain,
        lambda: on_white(tf.io.decode_png(encoded)),
        lambda: _decode_any(encoded),
    )


@not_inlined
def _decode_any(encoded: tf.Tensor) -> tf.Tensor:
    layout = png_layout(encoded)
    encoded = not_refused(encoded, layout[0])
    # TensorFlow leaves out a transparent colour where no alpha channel is asked for.
    pixels = tf.cond(
        tf.equal(layout[4], 1),
        lambda: on_white(tf.io.decode_png(encoded, channels=4)),
        lambda: on_white(tf.io.decode_png(encoded)),
    )
    return upright(pixels, layout[3])


@not_inlined
def png_layout(encoded: tf.Tensor) -> tf.Tensor:
    """Walk through a PNG file's chunks.

    W3C, Portable Network Graphics (third edition), sections 5.3 and 11. The EXIF data
    may stand behind the pixels. Chunks of one length in a row, as pixels are stored,
    are one step.

    Args:
        encoded: string (), the bytes of the file.

    Returns:
        int32 (5,): code of `formats.REFUSALS`, height and width as stored, EXIF
        orientation, and 1 where one colour is transparent.
    """
    data = bytes_of(encoded)
    size = tf.size(data)
    steps = tf.range(_CHUNKS_AT_ONCE)[:, tf.newaxis]
    wanted = tf.constant([list(b"tRNS"), list(b"eXIf")])

    def heads_at(position: tf.Tensor, stride: tf.Tensor) -> tf.Tensor:
        # In 64 bits: a chunk's length may be anything.
        places = tf.cast(position, tf.int64) + tf.cast(steps, tf.int64) * tf.cast(
            stride, tf.int64
        )
        places += tf.range(_CHUNK_HEAD, dtype=tf.int64)
        return tf.gather(data, tf.minimum(places, tf.cast(size, tf.int64) - 1))

    def step(
        position: tf.Tensor, count: tf.Tensor, _: tf.Tensor, found: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        length = number_at(data, position, 4, is_little=False)
        stride = tf.minimum(length, size) + _CHUNK_BYTES
        heads = heads_at(position, stride)
        kind = heads[0, 4:]
        is_it = tf.reduce_all(tf.equal(kind, wanted), axis=1) & tf.equal(found, 0)
        is_end = tf.reduce_all(tf.equal(kind, list(b"IEND")))
        is_same = tf.reduce_all(tf.equal(heads, heads[:1]), axis=1)
        run = tf.reduce_sum(tf.math.cumprod(tf.cast(is_same, tf.int32)))
        # A run may lead beyond 2**31 only where it leads out of the file.
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
    key_colour, exif = found[0], found[1]
    orientation = tf.cond(
        exif > 0,
        lambda: orientation_of(
            tf.strings.substr(
                encoded,
                exif + _CHUNK_HEAD,
                number_at(data, exif, 4, is_little=False),
            )
        ),
        lambda: tf.constant(1),
    )
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
    return tf.stack(
        [
            refusal,
            number_at(head, 20, 4, is_little=False),
            number_at(head, 16, 4, is_little=False),
            orientation,
            tf.cast(has_key_colour, tf.int32),
        ]
    )
