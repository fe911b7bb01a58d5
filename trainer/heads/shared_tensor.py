"""Large arrays as tensors without a copy."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

_ALIGNMENT = 64
"""Bytes. TensorFlow ends the process if a shared array begins elsewhere."""


def as_tensor(array: np.ndarray) -> tf.Tensor:
    """Return a tensor that shares an array's memory, if it can.

    `tf.constant` copies an array twice. A GPU needs a copy of its own, and a small
    array is rarely aligned. An array that is shared must not change any more.

    Args:
        array: float32 of any shape.
    """
    can_share = (
        array.flags.c_contiguous
        and array.flags.writeable
        and array.size > 0
        and array.ctypes.data % _ALIGNMENT == 0
        and not tf.config.list_logical_devices("GPU")
    )
    if not can_share:
        return tf.constant(array, tf.float32)
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
