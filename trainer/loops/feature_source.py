"""The stored features of a split: in memory where they fit, else as a stream.

BottleneckFeatures keeps the order of ImageExampleGen, which mixes the images. So a
stream is well shuffled by the order of its shards and a buffer of some records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from graft.contract import example_keys
from graft.contract.errors import DataError
from graft.storage import listing, tfrecords

Arrays = tuple[np.ndarray, np.ndarray]
"""Features, float32 (N, F), and labels, int64 (N,)."""

_PARSE_BATCH = 512
_BUFFER_BYTES = 64 * 2**20
"""Size of the buffer that shuffles a stream."""
_SPEC = {
    example_keys.FEATURES_KEY: tf.io.FixedLenSequenceFeature(
        [], tf.float32, allow_missing=True
    ),
    example_keys.LABEL_KEY: tf.io.FixedLenFeature([], tf.int64),
}


def list_shards(patterns: Sequence[str]) -> list[str]:
    """Return the files that match the patterns, sorted."""
    return sorted(
        entry.path for pattern in patterns for entry in listing.find_files(pattern)
    )


@dataclass(frozen=True)
class FeatureSource:
    """The shards of a split, written by BottleneckFeatures.

    Attributes:
        patterns: File patterns of TFRecord shards.
    """

    patterns: tuple[str, ...]

    @classmethod
    def of(cls, patterns: Sequence[str]) -> FeatureSource:
        """Make a source of file patterns."""
        return cls(tuple(patterns))

    def load_within(self, most_bytes: float) -> Arrays | None:
        """Read all features into memory, in the order of the shards.

        Args:
            most_bytes: Size of features from which the rest isn't read.

        Returns:
            Features and labels; None if the features take more bytes.

        Raises:
            DataError: There are no records.
        """
        parts: list[Arrays] = []
        size = 0
        for part in self.batches(_PARSE_BATCH):
            size += part[0].nbytes
            if size > most_bytes:
                return None
            parts.append(part)
        if not parts:
            raise DataError(
                "A split has no images, but `train` and `eval` both need some. "
                "Add images, or change `data.splits`."
            )
        features, labels = (np.concatenate(each) for each in zip(*parts, strict=True))
        return features, labels

    def batches(
        self, batch_size: int, shuffle: Sequence[int] | None = None
    ) -> Iterator[Arrays]:
        """Stream the features in batches.

        Args:
            batch_size: Examples per batch; the last batch may have fewer.
            shuffle: Numbers that decide the order, for instance seed and epoch. None
                keeps the order of the shards.
        """
        shards = list_shards(self.patterns)
        if shuffle is None:
            records = tfrecords.dataset(shards)
        else:
            rng = np.random.default_rng(list(shuffle))
            records = tfrecords.dataset(
                [shards[i] for i in rng.permutation(len(shards))]
            )
            first = next(iter(records.take(1)), None)
            size = 1 if first is None else len(first.numpy())
            records = records.shuffle(
                max(_BUFFER_BYTES // size, batch_size), seed=int(rng.integers(2**31))
            )
        parsed = records.batch(batch_size).map(
            lambda serialized: tf.io.parse_example(serialized, _SPEC)
        )
        for batch in parsed.prefetch(1).as_numpy_iterator():
            yield batch[example_keys.FEATURES_KEY], batch[example_keys.LABEL_KEY]
