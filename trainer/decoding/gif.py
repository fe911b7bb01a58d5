"""Decoding of a GIF file's first frame in graph code."""

from __future__ import annotations

import tensorflow as tf

from graft.trainer.decoding.graph_code import checked, not_inlined

_MAX_PIXELS = 2**29 // 3
"""What TensorFlow's decoders of JPEG and PNG files keep to by themselves."""


@not_inlined
def decode_gif(encoded: tf.Tensor) -> tf.Tensor:
    """Decode the first frame of a GIF, uint8 (H, W, 3).

    The decoder unpacks all frames that it is given, whatever it is asked for, and a
    small file may hold many. So it is given the first one.
    """
    end, num_pixels = _walk_to_frame_end(tf.io.decode_raw(encoded, tf.uint8))
    text = tf.strings.join(
        ["The GIF is too large; pixels: ", tf.strings.as_string(num_pixels)]
    )
    encoded = checked(encoded, num_pixels < _MAX_PIXELS, text)
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
