"""Decode still WebP files in graph code: upright, with transparent pixels on white.

`tf.io.decode_webp` decodes the pixels. It ignores EXIF orientation and blends no
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

_HEAD_BYTES = 32
_CHUNK_HEAD = 8
_FIRST_CHUNK = 12
_ANIMATION_FLAG, _EXIF_FLAG, _ALPHA_FLAG = 0x02, 0x08, 0x10


@not_inlined
def decode_webp(encoded: tf.Tensor) -> tf.Tensor:
    """Decode a still WebP file.

    TensorFlow 2.21 frees memory twice, and ends the process, if it must find the number
    of channels of an animation. So animations are refused before, and the number of
    channels is always given.

    Args:
        encoded: string (), the bytes of the file.

    Returns:
        uint8 (H, W, 3).

    Raises:
        tf.errors.InvalidArgumentError: At execution, if the file is refused.
    """
    layout = webp_layout(encoded)
    encoded = not_refused(encoded, layout[0])
    encoded = tf.cond(
        tf.equal(tf.strings.substr(encoded, _FIRST_CHUNK, 4), b"VP8X"),
        lambda: _without_last_chunks(encoded),
        lambda: encoded,
    )
    pixels = tf.cond(
        tf.equal(layout[4], 1),
        lambda: on_white(tf.io.decode_webp(encoded, channels=4)[0]),
        lambda: tf.io.decode_webp(encoded, channels=3)[0],
    )
    return upright(pixels, layout[3])


@not_inlined
def webp_layout(encoded: tf.Tensor) -> tf.Tensor:
    """Read the header and chunks of a WebP file: RFC 9649, sections 2.5 to 2.7, 3.4.

    Args:
        encoded: string (), the bytes of the file.

    Returns:
        int32 (5,): code of `formats.REFUSALS`, height and width as stored, EXIF
        orientation, and 1 if there is an alpha channel.
    """
    start = first_bytes(encoded, _HEAD_BYTES)
    head = bytes_of(start)
    kind = tf.strings.substr(start, _FIRST_CHUNK, 4)
    is_kind = tf.equal(kind, [b"VP8X", b"VP8 ", b"VP8L"])

    def has_flag(flag: int, position: int = 20) -> tf.Tensor:
        return tf.not_equal(tf.bitwise.bitwise_and(head[position], flag), 0)

    extended_width, extended_height, lossy_width, lossy_height, bits = numbers_at(
        head, [(24, 3), (27, 3), (26, 2), (28, 2), (21, 4)], is_little=True
    )
    # In both plain kinds, width and height are 14 bits each.
    sizes = tf.stack(
        [
            [extended_height + 1, extended_width + 1],
            [lossy_height % 2**14, lossy_width % 2**14],
            [
                tf.bitwise.right_shift(bits, 14) % 2**14 + 1,
                bits % 2**14 + 1,
            ],
        ]
    )
    size = tf.gather(sizes, tf.argmax(is_kind))
    has_alpha = (is_kind[0] & has_flag(_ALPHA_FLAG)) | (
        is_kind[2] & has_flag(_ALPHA_FLAG, 24)
    )
    exif = tf.cond(
        is_kind[0] & has_flag(_EXIF_FLAG),
        lambda: _find_exif(encoded),
        lambda: tf.constant([formats.FINE, 1]),
    )
    is_animated = is_kind[0] & has_flag(_ANIMATION_FLAG)
    damaged = formats.DAMAGED + formats.WEBP
    refusal = tf.where(tf.reduce_any(is_kind), exif[0], damaged)
    is_small = tf.reduce_prod(tf.cast(size, tf.int64)) < formats.MAX_PIXELS
    is_large = ~is_small & tf.equal(refusal, formats.FINE)
    refusal = tf.where(is_large, formats.WEBP_TOO_LARGE, refusal)
    refusal = tf.where(is_animated, formats.WEBP_ANIMATED, refusal)
    alpha = tf.cast(has_alpha, tf.int32)
    return tf.stack([refusal, size[0], size[1], exif[1], alpha])


@not_inlined
def _without_last_chunks(encoded: tf.Tensor) -> tf.Tensor:
    """Return an extended file without the chunks behind its image, such as EXIF data.

    libwebp would take their bytes for pixels of a damaged image, and give no error.
    """
    size = tf.strings.length(encoded)

    def end_of(position: tf.Tensor) -> tf.Tensor:
        head = bytes_of(tf.strings.substr(encoded, position, _CHUNK_HEAD))
        (length,) = numbers_at(head, [(4, 4)], is_little=True)
        return position + _CHUNK_HEAD + tf.minimum(length, size) + length % 2

    def is_image(position: tf.Tensor) -> tf.Tensor:
        at = tf.maximum(tf.minimum(position, size - _CHUNK_HEAD), 0)
        kind = tf.strings.substr(encoded, at, 4)
        return tf.reduce_any(tf.equal(kind, [b"VP8 ", b"VP8L"])) & tf.equal(
            at, position
        )

    position, _ = tf.while_loop(
        lambda position, count: (
            (position + _CHUNK_HEAD <= size)
            & (count < formats.MAX_PARTS)
            & ~is_image(position)
        ),
        lambda position, count: (end_of(position), count + 1),
        (_FIRST_CHUNK, 0),
        parallel_iterations=1,
    )
    # The decoder refuses a file that was cut short, or has no image chunk.
    (length_of_file,) = numbers_at(
        bytes_of(first_bytes(encoded, _CHUNK_HEAD)), [(4, 4)], is_little=True
    )
    is_whole = (length_of_file <= size - _CHUNK_HEAD) & is_image(position)
    end = tf.where(is_whole, tf.minimum(end_of(position), size), size)
    length = tf.bitwise.right_shift(end - _CHUNK_HEAD, [0, 8, 16, 24]) % 256
    every_byte = tf.constant([bytes([value]) for value in range(256)])
    size_field = tf.strings.reduce_join(tf.gather(every_byte, length))
    rest = tf.strings.substr(encoded, _CHUNK_HEAD, end - _CHUNK_HEAD)
    return tf.where(is_whole, tf.strings.join([b"RIFF", size_field, rest]), encoded)


@not_inlined
def _find_exif(encoded: tf.Tensor) -> tf.Tensor:
    """Return a refusal, and the orientation in the EXIF chunk, int32 (2,)."""
    size = tf.strings.length(encoded)

    def head_at(position: tf.Tensor) -> tf.Tensor:
        return tf.strings.substr(encoded, position, _CHUNK_HEAD)

    def is_exif(position: tf.Tensor) -> tf.Tensor:
        at = tf.maximum(tf.minimum(position, size - _CHUNK_HEAD), 0)
        is_it = tf.equal(tf.strings.substr(head_at(at), 0, 4), b"EXIF")
        return is_it & tf.equal(at, position)

    def length_at(position: tf.Tensor) -> tf.Tensor:
        head = bytes_of(head_at(position))
        (length,) = numbers_at(head, [(4, 4)], is_little=True)
        return tf.minimum(length, size)

    def step(position: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        length = length_at(position)
        return position + _CHUNK_HEAD + length + length % 2, count + 1

    position, count = tf.while_loop(
        lambda position, count: (
            (position + _CHUNK_HEAD <= size)
            & (count < formats.MAX_PARTS)
            & ~is_exif(position)
        ),
        step,
        (_FIRST_CHUNK, 0),
        parallel_iterations=1,
    )
    start = tf.where(is_exif(position), position, 0)
    num_bytes = tf.where(start > 0, length_at(start), 0)
    orientation = orientation_of(
        tf.strings.substr(encoded, start + _CHUNK_HEAD, num_bytes)
    )
    refusal = tf.where(count < formats.MAX_PARTS, formats.FINE, formats.WEBP_CHUNKS)
    return tf.stack([refusal, orientation])
