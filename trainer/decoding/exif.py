"""Read EXIF orientation and turn images upright, in graph code."""

from __future__ import annotations

import tensorflow as tf

from graft.trainer.decoding.graph_code import bytes_of, not_inlined, number_at

_ORIENTATION_TAG = 274
_ENTRY_BYTES = 12
_BYTE, _SHORT, _LONG, _SIGNED_SHORT, _SIGNED_LONG = 1, 3, 4, 8, 9
_VALUE_BYTES = {_BYTE: 1, _SHORT: 2, _LONG: 4, _SIGNED_SHORT: 2, _SIGNED_LONG: 4}


@not_inlined
def orientation_of(block: tf.Tensor) -> tf.Tensor:
    """Read the orientation from EXIF data.

    JEITA CP-3451 (Exif 2.32), sections 4.5 and 4.6: a TIFF header, which points to the
    first directory of entries.

    Args:
        block: string (), the data. It may have the prefix "Exif" and two zero bytes.

    Returns:
        int32 () in 1..8; 1 if the orientation is missing or invalid.
    """
    block = tf.strings.regex_replace(block, r"\AExif\x00\x00", "", replace_global=False)
    # Padded with zeros, since the block may be empty.
    data = bytes_of(tf.strings.join([block, b"\0" * 16]))
    size = tf.strings.length(block)
    is_little = tf.equal(data[0], ord("I"))

    def number(position: int | tf.Tensor, num_bytes: int) -> tf.Tensor:
        return tf.where(
            is_little,
            number_at(data, position, num_bytes, is_little=True),
            number_at(data, position, num_bytes, is_little=False),
        )

    directory = tf.minimum(number(4, 4), size)
    room = tf.maximum(size - directory - 2, 0) // _ENTRY_BYTES
    num_entries = tf.minimum(number(directory, 2), room)
    start = directory + 2
    entries = data[start : start + num_entries * _ENTRY_BYTES]
    entries = tf.reshape(entries, [-1, _ENTRY_BYTES])
    weights = tf.where(is_little, [1, 256], [256, 1])
    tags = tf.reduce_sum(entries[:, :2] * weights, axis=1)
    # The last of several entries counts. The index is -1 if there is none.
    is_it = tf.equal(tags, _ORIENTATION_TAG)
    index = tf.reduce_max(tf.where(is_it, tf.range(num_entries), -1))
    entry = start + tf.maximum(index, 0) * _ENTRY_BYTES
    kind, count = number(entry + 2, 2), number(entry + 4, 4)
    value = tf.reduce_sum(
        [
            tf.where(tf.equal(kind, each), number(entry + 8, num_bytes), 0)
            for each, num_bytes in _VALUE_BYTES.items()
        ]
    )
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
    def transposed(image: tf.Tensor) -> tf.Tensor:
        return tf.transpose(image, [1, 0, 2])

    return tf.switch_case(
        orientation - 1,
        [
            lambda: pixels,
            lambda: pixels[:, ::-1],
            lambda: pixels[::-1, ::-1],
            lambda: pixels[::-1],
            lambda: transposed(pixels),
            lambda: transposed(pixels)[:, ::-1],
            lambda: transposed(pixels)[::-1, ::-1],
            lambda: transposed(pixels)[::-1],
        ],
    )
