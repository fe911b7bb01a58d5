"""Blend transparent images with white."""

from __future__ import annotations

import tensorflow as tf

from graft.trainer.decoding.graph_code import not_inlined

_ROWS_AT_ONCE = 64
_OPAQUE = 0xFF000000


def on_white(pixels: tf.Tensor) -> tf.Tensor:
    """Convert greyscale or RGB pixels, with or without alpha, to RGB.

    Callers should decode the channels of the file. If four channels are requested,
    TensorFlow's PNG decoder adds a wrong alpha channel to images below 8 bits.

    Args:
        pixels: uint8 (H, W, C): grey, grey and alpha, RGB, or RGB and alpha.

    Returns:
        uint8 (H, W, 3).
    """
    branches = [
        lambda: tf.gather(pixels, [0, 0, 0], axis=-1),
        lambda: _blend(tf.gather(pixels, [0, 0, 0, 1], axis=-1)),
        lambda: pixels,
        lambda: _blend(tf.ensure_shape(pixels, [None, None, 4])),
    ]
    channels = pixels.shape[-1]
    if channels is not None:
        return branches[channels - 1]()
    return tf.switch_case(tf.shape(pixels)[-1] - 1, branches)


@not_inlined
def _blend(pixels: tf.Tensor) -> tf.Tensor:
    """Blend uint8 (H, W, 4) with white to uint8 (H, W, 3).

    It works on bands of rows, since a large image would take gigabytes in float32.
    """
    height = tf.shape(pixels)[0]
    num_bands = -(-height // _ROWS_AT_ONCE)

    def add_band(index: tf.Tensor, bands: tf.TensorArray) -> tuple[tf.Tensor, object]:
        start = index * _ROWS_AT_ONCE
        return index + 1, bands.write(
            index, _blend_band(pixels[start : start + _ROWS_AT_ONCE])
        )

    def blend() -> tf.Tensor:
        bands = tf.TensorArray(
            tf.uint8, num_bands, infer_shape=False, element_shape=[None, None, 3]
        )
        _, bands = tf.while_loop(
            lambda index, _: index < num_bands,
            add_band,
            (0, bands),
            parallel_iterations=1,
        )
        return bands.concat()

    # Alpha is the highest byte of four.
    least = tf.reduce_min(tf.bitcast(pixels, tf.uint32))
    return tf.cond(
        least >= tf.constant(_OPAQUE, tf.uint32), lambda: pixels[..., :3], blend
    )


def _blend_band(pixels: tf.Tensor) -> tf.Tensor:
    # Alpha is copied to all four channels, since broadcasting is slow.
    alpha = tf.bitwise.right_shift(tf.bitcast(pixels, tf.uint32), 24) * 0x01010101
    alpha = tf.cast(tf.bitcast(alpha, tf.uint8), tf.float32)
    blended = (tf.cast(pixels, tf.float32) - 255.0) * alpha * (1 / 255) + 255.0
    return tf.cast(blended + 0.5, tf.uint8)[..., :3]
