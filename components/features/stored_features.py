"""Read the records of features that `feature_records` writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from graft.trainer.loops.feature_reader import read_batches

_ROWS_AT_ONCE = 256


def read_features(
    files: Sequence[str], most: int = -1
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Yield content hashes and features, float32 (N, F), of a few images at a time.

    Args:
        files: TFRecords of one split or several.
        most: Number of images to read at most; -1 for all.

    Yields:
        Nothing for records without features, as raw examples are.

    Raises:
        DataError: Records have different numbers of features.
    """
    for batch in read_batches(files, _ROWS_AT_ONCE, most=most):
        if not batch.values.shape[1]:
            return
        yield [key.decode() for key in batch.content_hashes], batch.values
