"""Functions for graph code: read numbers from bytes, and fail without state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
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


_MOST_BYTES = 4


def _byte_weights() -> np.ndarray:
    """Return the factor of each byte, int64 (2, 5, 4).

    The first axis is 1 for little-endian numbers, the second one is their length.
    """
    weights = np.zeros([2, _MOST_BYTES + 1, _MOST_BYTES], np.int64)
    for length in range(_MOST_BYTES + 1):
        powers = [256**power for power in range(length)]
        weights[:, length, :length] = powers[::-1], powers
    return weights


def numbers_at(
    data: tf.Tensor,
    fields: Sequence[tuple[int | tf.Tensor, int | tf.Tensor]],
    *,
    is_little: bool | tf.Tensor,
) -> list[tf.Tensor]:
    """Read unsigned numbers from bytes.

    All fields take one gather. An operation for each field would make the graph, which
    is part of every exported model, several times as large.

    Args:
        data: Bytes, int32 (N,).
        fields: For each number, the position of its first byte and its length, which is
            at most 4. The number is 0 if the length is 0.
        is_little: Whether the numbers are little-endian.

    Returns:
        A number for each field, int32 (). It is 2**31 - 1 if it is greater than that,
        which exceeds the size of any file.
    """
    starts = tf.expand_dims(tf.stack([start for start, _ in fields]), 1)
    places = tf.clip_by_value(starts + np.arange(_MOST_BYTES), 0, tf.size(data) - 1)
    weights: Any = _byte_weights()
    if isinstance(is_little, bool):
        weights = weights[int(is_little)]
    else:
        weights = tf.gather(weights, tf.cast(is_little, tf.int32))
    weights = tf.gather(weights, tf.stack([length for _, length in fields]))
    parts = tf.cast(tf.gather(data, places), tf.int64)
    totals = tf.reduce_sum(parts * weights, axis=1)
    values = tf.cast(tf.minimum(totals, 2**31 - 1), tf.int32)
    numbers: list[tf.Tensor] = tf.unstack(values, num=len(fields))
    return numbers


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
