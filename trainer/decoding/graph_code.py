"""Small parts of which image decoding in graph code is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from graft.contract.signature_names import REFUSAL_MARK
from graft.trainer.decoding.formats import REFUSALS


def first_bytes(encoded: tf.Tensor, num_bytes: int) -> tf.Tensor:
    """Return the first bytes, of the same shape; zeros where there are fewer."""
    start = tf.strings.substr(encoded, 0, num_bytes)
    return tf.strings.join([start, b"\0" * num_bytes])


def bytes_of(encoded: tf.Tensor) -> tf.Tensor:
    """Return the bytes of a string () as numbers, int32 (N,)."""
    return tf.cast(tf.io.decode_raw(encoded, tf.uint8), tf.int32)


def number_at(
    data: tf.Tensor, position: int | tf.Tensor, num_bytes: int, *, is_little: bool
) -> tf.Tensor:
    """Read an unsigned number from bytes, int32 (N,), as int32 ().

    A number of four bytes from 2**31 is returned as 2**31 - 1, which is beyond every
    size that a file can have.
    """
    positions = position + tf.range(num_bytes)
    part = tf.gather(data, tf.clip_by_value(positions, 0, tf.size(data) - 1))
    powers = [256**power for power in range(num_bytes)]
    powers = powers if is_little else powers[::-1]
    total = tf.reduce_sum(tf.cast(part, tf.int64) * tf.constant(powers, tf.int64))
    return tf.cast(tf.minimum(total, 2**31 - 1), tf.int32)


def checked(
    tensor: tf.Tensor, is_fine: tf.Tensor, message: str | tf.Tensor
) -> tf.Tensor:
    """Return a tensor as it is; the graph fails where `is_fine`, bool (), is false.

    `tf.debugging.Assert` is stateful, and so is every loop and function around it: a
    graph keeps those whether their results are asked for or not. Transform's analysis,
    which asks for class names alone, decoded and resized every image so, 1,000 at a
    time. To read a number from a text is the operation without a state that fails and
    says why: its error ends with the text. `REFUSAL_MARK` tells a server where the text
    begins.

    Raises:
        tf.errors.InvalidArgumentError: When executed; it ends with `message`.
    """
    text = tf.strings.join([REFUSAL_MARK, message])
    number = tf.strings.to_number(tf.where(is_fine, "1", text))
    # What is returned hangs on the check, or the check would not be asked for either.
    return tf.where(number > 0, tensor, tf.zeros_like(tensor))


def not_refused(tensor: tf.Tensor, refusal: tf.Tensor) -> tf.Tensor:
    """Return a tensor; the graph fails where a code of `REFUSALS`, int32 (), is not 0.

    Raises:
        tf.errors.InvalidArgumentError: When executed; it ends with the refusal.
    """
    text = tf.gather(tf.constant(REFUSALS), refusal)
    return checked(tensor, tf.equal(refusal, 0), text)


def not_inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of tensors a function of the graph, which stays a call.

    TensorFlow inlines what is called in a branch, and then visits every operation of
    every branch not taken, as "dead". A call that is not taken is one operation, which
    saves time where the walk through a JPEG's EXIF data is not taken. It is also traced
    once in a process, wherever it is called.
    """
    made: Callable[..., Any] = tf.function(
        function, autograph=False, experimental_attributes={"_noinline": True}
    )
    return made
