"""Resize one image as `tf.image.resize` does, in less time.

`tf.image.resize` was tried. With anti-aliasing it runs the kernel `ScaleAndTranslate`,
which adds rows with vector instructions, but columns only three numbers at a time. Here
the kernel runs once per axis on an image whose layout gives long sums both times. The
numbers are the same (docs/decisions/0060-measured-choices.md has the time).
"""

from __future__ import annotations

import tensorflow as tf

from graft.trainer.preprocessing.spec import Interpolation

_KERNELS = {"bilinear": "triangle", "bicubic": "keyscubic", "lanczos3": "lanczos3"}


def resize_pixels(
    pixels: tf.Tensor,
    size: tuple[int, int],
    interpolation: Interpolation,
    *,
    antialias: bool,
) -> tf.Tensor:
    """Resize one image, with the same result as `tf.image.resize`.

    Args:
        pixels: uint8 or float32 (H, W, 3).
        size: Height and width of the result in pixels.
        interpolation: Method. `area` and `nearest` ignore `antialias`.
        antialias: Whether shrinking averages over all pixels.

    Returns:
        float32 (*size, 3).
    """

    def plain() -> tf.Tensor:
        resized = tf.image.resize(pixels, size, interpolation)
        return tf.ensure_shape(tf.cast(resized, tf.float32), [*size, 3])

    if not antialias or interpolation not in _KERNELS:
        return plain()
    # Enlarging drops no pixels, so the plain kernels are enough.
    is_enlarged = tf.reduce_all(tf.shape(pixels)[:2] <= size)
    kernel = _KERNELS[interpolation]
    return tf.cond(is_enlarged, plain, lambda: _resize_both_ways(pixels, size, kernel))


def _resize_both_ways(
    pixels: tf.Tensor, size: tuple[int, int], kernel: str
) -> tf.Tensor:
    height, width = tf.unstack(tf.shape(pixels)[:2])
    rows = tf.reshape(pixels, [height, width * 3])
    rows = tf.reshape(_resize_rows(rows, size[0], kernel), [size[0], width, 3])
    columns = tf.reshape(tf.transpose(rows, [1, 0, 2]), [width, size[0] * 3])
    columns = tf.reshape(_resize_rows(columns, size[1], kernel), [size[1], size[0], 3])
    return tf.transpose(columns, [1, 0, 2])


def _resize_rows(rows: tf.Tensor, number: int, kernel: str) -> tf.Tensor:
    """Resize (N, L) to (number, L), as an image of width 1 with L channels."""
    scale = number / tf.shape(rows)[0]
    (resized,) = tf.unstack(
        tf.raw_ops.ScaleAndTranslate(
            images=rows[tf.newaxis, :, tf.newaxis],
            size=[number, 1],
            scale=tf.stack([tf.cast(scale, tf.float32), 1.0]),
            translation=[0.0, 0.0],
            kernel_type=kernel,
            antialias=True,
        ),
        num=1,
    )
    return resized
