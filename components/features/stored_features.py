"""Read the records of features that `feature_records` writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from graft.contract import example_keys
from graft.storage import tfrecords

_ROWS_AT_ONCE = 256
_FIELDS = {
    example_keys.CONTENT_HASH_KEY: tf.io.FixedLenFeature([], tf.string),
    example_keys.FEATURES_KEY: tf.io.FixedLenSequenceFeature(
        [], tf.float32, allow_missing=True
    ),
}


def read_features(
    files: Sequence[str], most: int = -1
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Yield content hashes and features, float32 (N, F), of a few images at a time.

    Args:
        files: TFRecords of one split or several.
        most: Number of images to read at most; -1 for all.

    Yields:
        Nothing for records without features, as raw examples are.
    """
    for batch in tfrecords.dataset(files).take(most).batch(_ROWS_AT_ONCE):
        parsed = tf.io.parse_example(batch, _FIELDS)
        values = parsed[example_keys.FEATURES_KEY].numpy()
        if not values.shape[1]:
            return
        keys = parsed[example_keys.CONTENT_HASH_KEY].numpy()
        yield [key.decode() for key in keys], values
