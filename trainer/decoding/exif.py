"""Read EXIF orientation and turn images upright, in graph code."""

from __future__ import annotations

import tensorflow as tf

from graft.trainer.decoding.graph_code import bytes_of, not_inlined, numbers_at

_ORIENTATION_TAG = 274
_ENTRY_BYTES = 12
_BYTE, _SHORT, _LONG, _SIGNED_SHORT, _SIGNED_LONG = 1, 3, 4, 8, 9
_VALUE_BYTES = {_BYTE: 1, _SHORT: 2, _LONG: 4, _SIGNED_SHORT: 2, _SIGNED_LONG: 4}
_LENGTHS = [_VALUE_BYTES.get(kind, 0) for kind in range(_SIGNED_LONG + 2)]
"""Bytes of a value by its type; 0 for types that hold no whole number."""


@not_inlined
def orientation_of(block: tf.Tensor) -> tf.Tensor:
    """Read the orientation from EXIF data.

    JEITA CP-3451 (Exif 2.32), sections 4.5 and 4.6: a TIFF header, which points to the
    first directory of entries.

    Args:
        block: string (), the data, or an empty text if there is none. It may have the
            prefix "Exif" and two zero bytes.

    Returns:
        int32 () in 1..8; 1 if the orientation is missing or invalid.
    """
    return tf.cond(
        tf.strings.length(block) > 0,
        lambda: _parse_orientation(block),
        lambda: tf.constant(1),
    )


def _parse_orientation(block: tf.Tensor) -> tf.Tensor:
    block = tf.strings.regex_replace(block, r"\AExif\x00\x00", "", replace_global=False)
    # Padded with zeros, since the block may be empty.
    data = bytes_of(tf.strings.join([block, b"\0" * 16]))
    size = tf.strings.length(block)
    is_little = tf.equal(data[0], ord("I"))

    def numbers(
        *fields: tuple[int | tf.Tensor, int | tf.Tensor],
    ) -> list[tf.Tensor]:
        return numbers_at(data, fields, is_little=is_little)

    directory = tf.minimum(numbers((4, 4))[0], size)
    room = tf.maximum(size - directory - 2, 0) // _ENTRY_BYTES
    num_entries = tf.minimum(numbers((directory, 2))[0], room)
    start = directory + 2
    entries = data[start : start + num_entries * _ENTRY_BYTES]
    entries = tf.reshape(entries, [-1, _ENTRY_BYTES])
    weights = tf.where(is_little, [1, 256], [256, 1])
    tags = tf.reduce_sum(entries[:, :2] * weights, axis=1)
    # The last of several entries counts. The index is -1 if there is none.
    is_it = tf.equal(tags, _ORIENTATION_TAG)
    index = tf.reduce_max(tf.where(is_it, tf.range(num_entries), -1))
    entry = start + tf.maximum(index, 0) * _ENTRY_BYTES
    kind, count = numbers((entry + 2, 2), (entry + 4, 4))
    length = tf.gather(_LENGTHS, tf.minimum(kind, len(_LENGTHS) - 1))
    (value,) = numbers((entry + 8, length))
    is_tiff = tf.reduce_all(tf.equal(data[:4], [73, 73, 42, 0])) | tf.reduce_all(
        tf.equal(data[:4], [77, 77, 0, 42])
    )
    is_valid = is_tiff & (index >= 0) & tf.equal(count, 1)
    return tf.where(is_valid & (value >= 1) & (value <= 8), value, 1)


def upright(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turn pixels (H, W, C) upright, given the EXIF orientation, int32 () in 1..8."""
    return tf.cond(
        tf.equal(orientation, 1),
        lambda: pixels,
        lambda: _turn_upright(pixels, orientation),
    )


@not_inlined
def _turn_upright(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    axes = tf.where(orientation >= 5, [1, 0, 2], [0, 1, 2])
    # Whether to flip rows and columns, after the transposition, for orientations from 1
    # to 4. Those from 5 to 8 are the same.
    flips = [[False, False], [False, True], [True, True], [True, False]]
    dims = tf.concat([tf.gather(flips, (orientation - 1) % 4), [False]], axis=0)
    turned = tf.raw_ops.Reverse(tensor=tf.transpose(pixels, axes), dims=dims)
    return tf.ensure_shape(turned, [None, None, pixels.shape[-1]])
