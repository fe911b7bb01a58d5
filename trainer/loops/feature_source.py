"""The stored features of a split: as an array where they fit, else as a stream.

The array lies in memory, or is mapped from a temporary file if it is large. It belongs
to the caller, who may change it, so no solver needs a copy.

BottleneckFeatures keeps the order of ImageExampleGen, which mixes the images. So a
stream is well shuffled by the order of its shards and a buffer of some records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from graft.contract.errors import DataError
from graft.storage import listing
from graft.storage.mapped_rows import MappedRows
from graft.trainer.loops.feature_reader import Mix, read_batches

Arrays = tuple[np.ndarray, np.ndarray]
"""Features, float32 (N, F), and labels, int64 (N,)."""

_PARSE_BATCH = 512
_BUFFER_BYTES = 64 * 2**20
"""Size of the features whose records are in the buffer that shuffles a stream."""


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
        width: Number of features of an image; None if any number will do.
    """

    patterns: tuple[str, ...]
    width: int | None = None

    @classmethod
    def of(cls, patterns: Sequence[str]) -> FeatureSource:
        """Make a source of file patterns."""
        return cls(tuple(patterns))

    def load_within(self, most_bytes: float) -> Arrays | None:
        """Read all features into one array, in the order of the shards.

        Args:
            most_bytes: Size of features from which the rest isn't read.

        Returns:
            Features and labels; None if the features take more bytes. The features
            may be changed.

        Raises:
            DataError: There are no records, or they have no features.
            OSError: The disk is full.
        """
        labels = []
        with MappedRows() as rows:
            for part in self.batches(_PARSE_BATCH):
                rows.append(part[0])
                labels.append(part[1])
                if rows.num_bytes > most_bytes:
                    return None
            if not labels:
                raise DataError(
                    "A split has no images, but `train` and `eval` both need some. "
                    "Add images, or change `data.splits`."
                )
            return rows.array(), np.concatenate(labels)

    def batches(
        self, batch_size: int, shuffle: Sequence[int] | None = None
    ) -> Iterator[Arrays]:
        """Stream the features in batches.

        Args:
            batch_size: Examples per batch; the last batch may have fewer.
            shuffle: Numbers that decide the order, for instance seed and epoch. None
                keeps the order of the shards.

        Raises:
            DataError: Records have no features, or not all the same number.
        """
        shards = list_shards(self.patterns)
        mix: Mix | None = None
        if shuffle is not None:
            rng = np.random.default_rng(list(shuffle))
            shards = [shards[i] for i in rng.permutation(len(shards))]
            seed = int(rng.integers(2**31))

            def mix(records: tf.data.Dataset, size: int) -> tf.data.Dataset:
                most = max(_BUFFER_BYTES // max(size, 1), batch_size)
                return records.shuffle(most, seed=seed)

        # A read of few records takes nearly as long as one of many.
        at_once = batch_size * max(1, _PARSE_BATCH // batch_size)
        for batch in read_batches(shards, at_once, mix=mix):
            width = batch.values.shape[1]
            if self.width not in (None, width) or not width:
                expected = "some" if self.width is None else self.width
                raise DataError(
                    "The records of features do not fit the backbone. Received: "
                    f"{width} numbers a record in {self.patterns}, where {expected} "
                    "are expected. Move their folder away and run `graft run` again: "
                    "BottleneckFeatures runs anew."
                )
            for start in range(0, len(batch.labels), batch_size):
                rows = slice(start, start + batch_size)
                yield batch.values[rows], batch.labels[rows]
