"""Functions for graph code: read numbers from bytes, and fail without state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from graft.contract.signature_names import REFUSAL_MARK
from graft.trainer.decoding.formats import REFUSALS


def first_bytes(encoded: tf.Tensor, num_bytes: int) -> tf.Tensor:
    """Return the first bytes of strings of any shape, padded with zeros.

    Args:
        encoded: string, of any shape.
        num_bytes: Number of bytes to take, and of zeros to append.
    """
    start = tf.strings.substr(encoded, 0, num_bytes)
    return tf.strings.join([start, b"\0" * num_bytes])


def bytes_of(encoded: tf.Tensor) -> tf.Tensor:
    """Return the bytes of a string () as numbers, int32 (N,)."""
    return tf.cast(tf.io.decode_raw(encoded, tf.uint8), tf.int32)


def number_at(
    data: tf.Tensor, position: int | tf.Tensor, num_bytes: int, *, is_little: bool
) -> tf.Tensor:
    """Read an unsigned number from bytes, int32 (N,), as int32 ().

    Numbers from 2**31 are returned as 2**31 - 1, which exceeds the size of any file.

    Args:
        data: Bytes, int32 (N,).
        position: Position of the number's first byte.
        num_bytes: Length of the number, at most 4.
        is_little: Whether the number is little-endian.
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
    """Return a tensor, and make the graph fail if `is_fine`, bool (), is false.

    `tf.debugging.Assert` was tried. It is stateful, and so is every loop and function
    around it, so a graph runs them even if nothing needs their results. Transform's
    analysis, which needs only class names, then decoded and resized every image.

    `tf.strings.to_number` is stateless, and its error ends with the text that it can't
    convert. `REFUSAL_MARK` marks the start of the message for a server.

    Args:
        tensor: The tensor to return.
        is_fine: Whether the graph may go on.
        message: The message of the error.

    Raises:
        tf.errors.InvalidArgumentError: At execution. Its text ends with `message`.
    """
    text = tf.strings.join([REFUSAL_MARK, message])
    number = tf.strings.to_number(tf.where(is_fine, "1", text))
    # The result depends on the check. Otherwise the graph would drop the check.
    return tf.where(number > 0, tensor, tf.zeros_like(tensor))


def not_refused(tensor: tf.Tensor, refusal: tf.Tensor) -> tf.Tensor:
    """Return a tensor, and make the graph fail if the file is refused.

    Args:
        tensor: The tensor to return.
        refusal: Code of `REFUSALS`, int32 (); 0 if the file isn't refused.

    Raises:
        tf.errors.InvalidArgumentError: At execution. Its text ends with the refusal.
    """
    text = tf.gather(tf.constant(REFUSALS), refusal)
    return checked(tensor, tf.equal(refusal, 0), text)


def not_inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a Python function of tensors into a graph function that isn't inlined.

    TensorFlow inlines function calls in branches, and then visits all operations of the
    branches not taken. A call that isn't inlined is only one operation. The function is
    also traced only once per process.
    """
    made: Callable[..., Any] = tf.function(
        function, autograph=False, experimental_attributes={"_noinline": True}
    )
    return made
