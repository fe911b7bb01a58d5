"""Rows that are collected one part after the other, then used as one array.

Few rows stay in memory. More are written to a temporary file, which is mapped: the
system can write its pages back to the disk when memory is short. The file has no name,
so nothing is left behind, not even by a killed process.
"""

from __future__ import annotations

import tempfile
from typing import IO, Self

import numpy as np

_BYTES_IN_MEMORY = 64 * 2**20


class MappedRows:
    """Collects rows of one width and type.

    Example:
        with MappedRows() as rows:
            for part in parts:
                rows.append(part)

            array = rows.array()
    """

    def __init__(self) -> None:
        self._parts: list[np.ndarray] = []
        self._file: IO[bytes] | None = None
        self._num_rows = 0
        self.num_bytes = 0
        """Size of all rows so far."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def append(self, rows: np.ndarray) -> None:
        """Add rows, (N, ...).

        Raises:
            OSError: The disk is full.
        """
        self._num_rows += len(rows)
        self.num_bytes += rows.nbytes
        self._parts.append(rows)
        if self._file is None and self.num_bytes <= _BYTES_IN_MEMORY:
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="graft-rows-")
        for part in self._parts:
            self._file.write(np.ascontiguousarray(part).data)
        # Only the type and the shape of a row are still needed.
        self._parts = [rows[:0]]

    def array(self) -> np.ndarray:
        """Return all rows as one array, (N, ...), which may be changed.

        Raises:
            OSError: The disk is full.
            ValueError: There are no rows.
        """
        if self._file is None:
            return np.concatenate(self._parts)
        self._file.flush()
        first = self._parts[0]
        shape = (self._num_rows, *first.shape[1:])
        mapped = np.memmap(self._file, first.dtype, "r+", shape=shape)
        # Without the class of `mapped`, which would be that of each result, too.
        return np.asarray(mapped)
