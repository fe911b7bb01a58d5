"""The stored features of all images, in a bounded number of bytes an image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from graft.storage.mapped_rows import MappedRows

MOST_WHOLE = 20_000
"""Up to so many images, features are kept as they are."""

PROJECTED = 256
"""Above it, they are projected to this many numbers."""

_SEED = 0


@dataclass(frozen=True)
class FeatureTable:
    """The features of images.

    Attributes:
        content_hashes: One string an image.
        values: float32 (N, F), as stored or projected. Many are in a mapped file.
    """

    content_hashes: pa.Array
    values: np.ndarray

    @classmethod
    def of(cls, batches: Iterable[tuple[list[str], np.ndarray]]) -> FeatureTable:
        """Make a table of the content hashes and features of images.

        More than `MOST_WHOLE` images are projected onto random axes. That keeps the
        distances between them: the error of a squared distance is 9 % (one standard
        deviation).

        Johnson and Lindenstrauss, "Extensions of Lipschitz Mappings into a Hilbert
        Space", Contemporary Mathematics 26 (1984).
        """
        hashes: list[pa.Array] = []
        waiting: list[np.ndarray] = []
        num, axes = 0, None
        with MappedRows() as rows:
            for keys, values in batches:
                hashes.append(pa.array(keys, pa.string()))
                waiting.append(values)
                num += len(keys)
                if num <= MOST_WHOLE:
                    continue
                if axes is None and values.shape[1] > PROJECTED:
                    axes = _random_axes(values.shape[1])
                for part in waiting:
                    rows.append(part if axes is None else part @ axes)
                waiting = []
            for part in waiting:
                rows.append(part)
            whole = rows.array() if num else np.empty((0, 0), np.float32)
        return cls(pa.concat_arrays([pa.array([], pa.string()), *hashes]), whole)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.values)


def _random_axes(size: int) -> np.ndarray:
    axes = np.random.default_rng(_SEED).standard_normal((size, PROJECTED), np.float32)
    return axes / np.float32(np.sqrt(PROJECTED))
