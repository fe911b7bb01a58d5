"""Small parts of which image decoding in graph code is made."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


def first_bytes(encoded: tf.Tensor, num_bytes: int) -> tf.Tensor:
    """Return the first bytes, of the same shape; zeros where there are fewer."""
    start = tf.strings.substr(encoded, 0, num_bytes)
    return tf.strings.join([start, b"\0" * num_bytes])


def checked(
    tensor: tf.Tensor, is_fine: tf.Tensor, message: str | tf.Tensor
) -> tf.Tensor:
    """Return a tensor as it is; the graph fails where `is_fine`, bool (), is false.

    `tf.debugging.Assert` is stateful, and so is every loop and function around it: a
    graph keeps those whether their results are asked for or not. Transform's analysis,
    which asks for class names alone, decoded and resized every image so, 1,000 at a
    time. To read a number from a text is the operation without a state that fails and
    says why: its error ends with the text.

    Raises:
        tf.errors.InvalidArgumentError: When executed; it ends with `message`.
    """
    number = tf.strings.to_number(tf.where(is_fine, "1", message))
    # What is returned hangs on the check, or the check would not be asked for either.
    return tf.where(number > 0, tensor, tf.zeros_like(tensor))


def not_inlined(function: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    """Make a function of tensors a function of the graph, which stays a call.

    TensorFlow inlines what is called in a branch, and then visits every operation of
    every branch not taken, as "dead". A call that is not taken is one operation, which
    saves time where the walk through a JPEG's EXIF data is not taken. It is also traced
    once in a process, wherever it is called.
    """
    made: Callable[..., tf.Tensor] = tf.function(
        function, autograph=False, experimental_attributes={"_noinline": True}
    )
    return made
