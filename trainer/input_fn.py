"""Input of training: stored features as arrays, images as a stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from trainer import features
from trainer.errors import DataError

Transform = Callable[[Mapping[str, tf.Tensor]], Mapping[str, tf.Tensor]]

_PARSE_BATCH = 512


def list_shards(patterns: Sequence[str]) -> list[str]:
    """Return the files that match the patterns, sorted."""
    return sorted(file for pattern in patterns for file in tf.io.gfile.glob(pattern))


def _records(files: Sequence[str]) -> tf.data.TFRecordDataset:
    compression = "GZIP" if files and files[0].endswith(".gz") else ""
    return tf.data.TFRecordDataset(list(files), compression_type=compression)


def load_features(patterns: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Read stored bottleneck features into memory.

    Args:
        patterns: File patterns of TFRecord shards, as BottleneckFeatures writes them.

    Returns:
        Features, float32 (N, F), and labels, int64 (N,), in the order of the shards.

    Raises:
        DataError: There is not one record.
    """
    spec = {
        features.FEATURES_KEY: tf.io.FixedLenSequenceFeature(
            [], tf.float32, allow_missing=True
        ),
        features.LABEL_KEY: tf.io.FixedLenFeature([], tf.int64),
    }
    dataset = (
        _records(list_shards(patterns))
        .batch(_PARSE_BATCH)
        .map(lambda serialized: tf.io.parse_example(serialized, spec))
    )
    batches = list(dataset.as_numpy_iterator())
    if not batches:
        raise DataError(
            "A split has no images: `train` and `eval` need some each. "
            "Add images, or change `data.splits`."
        )
    return (
        np.concatenate([batch[features.FEATURES_KEY] for batch in batches]),
        np.concatenate([batch[features.LABEL_KEY] for batch in batches]),
    )


def image_dataset(patterns: Sequence[str], transform: Transform) -> tf.data.Dataset:
    """Stream (pixels, label) from shards of raw examples.

    Args:
        patterns: File patterns of TFRecord shards, as ImageExampleGen writes them.
        transform: The Transform graph as a layer.

    Returns:
        Unbatched pairs: pixels float32 (H, W, 3), preprocessed, and label int64 ().
    """
    spec = {
        key: tf.io.FixedLenFeature([], tf.string)
        for key in (features.IMAGE_KEY, features.CLASS_NAME_KEY)
    }

    def prepare(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        raw = tf.io.parse_example(serialized[tf.newaxis], spec)
        ready = transform(raw)
        return ready[features.PIXELS_KEY][0], ready[features.LABEL_KEY][0]

    return _records(list_shards(patterns)).map(
        prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
