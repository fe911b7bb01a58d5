"""Read the records of features that BottleneckFeatures writes.

All that read stored features do it here: the Trainer, `graft tune`, DataQuality, the
gate and the report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from graft.contract import example_keys
from graft.contract.errors import DataError
from graft.contract.label_map import NO_LABEL
from graft.storage import tfrecords

Mix = Callable[[tf.data.Dataset, int], tf.data.Dataset]
"""Takes records and the bytes of one record's features; returns the records mixed."""

_SPEC = {
    example_keys.CONTENT_HASH_KEY: tf.io.FixedLenFeature([], tf.string, ""),
    example_keys.LABEL_KEY: tf.io.FixedLenFeature([], tf.int64, NO_LABEL),
    example_keys.FEATURES_KEY: tf.io.RaggedFeature(
        tf.float32, row_splits_dtype=tf.int64
    ),
}


@dataclass(frozen=True)
class FeatureBatch:
    """The features of some images.

    Attributes:
        content_hashes: SHA-256 of each image, hexadecimal.
        labels: int64 (N,).
        values: float32 (N, F); F is 0 for records without features, as raw examples.
    """

    content_hashes: list[bytes]
    labels: np.ndarray
    values: np.ndarray


def read_batches(
    shards: Sequence[str], batch_size: int, *, most: int = -1, mix: Mix | None = None
) -> Iterator[FeatureBatch]:
    """Yield the features of images in batches.

    Args:
        shards: TFRecords, of one split or several.
        batch_size: Images per batch; the last batch may have fewer.
        most: Number of images to read at most; -1 for all.
        mix: Changes the order of the images; None keeps it.

    Raises:
        DataError: Records have different numbers of features.
    """
    records = tfrecords.dataset(shards)
    if mix is not None:
        first = next(_parse(records.take(1), 1), None)
        records = mix(records, 0 if first is None else 4 * int(first[1][0]))
    width = None
    for batch, lengths in _parse(records.take(most), batch_size):
        width = lengths[0] if width is None else width
        if (lengths != width).any():
            _refuse_different(shards)
        yield batch


def _parse(
    records: tf.data.Dataset, batch_size: int
) -> Iterator[tuple[FeatureBatch, np.ndarray]]:
    """Yield batches, and the number of features of each record in them."""

    def parse(serialized: tf.Tensor) -> tuple[tf.Tensor, ...]:
        parsed = tf.io.parse_example(serialized, _SPEC)
        features = parsed[example_keys.FEATURES_KEY]
        return (
            parsed[example_keys.CONTENT_HASH_KEY],
            parsed[example_keys.LABEL_KEY],
            features.flat_values,
            features.row_lengths(),
        )

    batches = records.batch(batch_size).map(parse).prefetch(1)
    for hashes, labels, values, lengths in batches.as_numpy_iterator():
        is_even = (lengths == lengths[0]).all()
        rows = values.reshape(len(labels), -1) if is_even else values
        yield FeatureBatch(hashes.tolist(), labels, rows), lengths


def _refuse_different(shards: Sequence[str]) -> None:
    """Name the first record with another number of features than the first one."""
    first: tuple[str, int] | None = None
    for shard in shards:
        for number, (_, lengths) in enumerate(_parse(tfrecords.dataset([shard]), 1)):
            found = int(lengths[0])
            first = first or (shard, found)
            if found != first[1]:
                raise DataError(
                    "All records of features must have the same number of features. "
                    f"Received: {found} in record {number} of {shard!r}, {first[1]} in "
                    f"record 0 of {first[0]!r}. Move the folder of the damaged file "
                    "away and run `graft run` again: the node that wrote it runs anew."
                )
