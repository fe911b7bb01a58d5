"""Rows that are collected one part after the other, then used as one array.

Up to a share of the machine's memory they stay in memory, in a file that no disk has.
More are written to a temporary file: the system can write its pages back to the disk
when memory is short. Neither file has a name, so nothing is left behind, not even by a
killed process.
"""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from typing import IO, Self

import numpy as np

from graft.storage.memory import memory_limit

_SHARE_OF_MEMORY = 8
"""Rows above the memory limit divided by this are written to the disk."""


class MappedRows:
    """Collects rows of one width and type.

    Example:
        with MappedRows() as rows:
            for part in parts:
                rows.append(part)

            array = rows.array()
    """

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._is_on_disk = False
        self._num_rows = 0
        self._none: np.ndarray | None = None
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
        if self._none is None:
            self._none = rows[:0].copy()
        self._num_rows += len(rows)
        self.num_bytes += rows.nbytes
        file = self._file_for(self.num_bytes)
        file.write(np.ascontiguousarray(rows).data)

    def array(self) -> np.ndarray:
        """Return all rows as one array, (N, ...), which may be changed.

        Raises:
            OSError: The disk is full.
            ValueError: There are no rows.
        """
        if self._none is None or self._file is None:
            raise ValueError("no rows were added")
        shape = (self._num_rows, *self._none.shape[1:])
        if not self.num_bytes:
            return np.empty(shape, self._none.dtype)
        self._file.flush()
        mapped = np.memmap(self._file, self._none.dtype, "r+", shape=shape)
        # Without the class of `mapped`, which would be that of each result, too.
        return np.asarray(mapped)

    def _file_for(self, num_bytes: int) -> IO[bytes]:
        """Return the file to write to, on a disk if it will have so many bytes."""
        if self._file is None:
            self._file = os.fdopen(os.memfd_create("graft-rows"), "w+b")
        if num_bytes > _bytes_in_memory() and not self._is_on_disk:
            on_disk = tempfile.TemporaryFile(prefix="graft-rows-")
            with self._file as in_memory:
                self._file = on_disk
                in_memory.seek(0)
                shutil.copyfileobj(in_memory, on_disk, 2**20)
            self._is_on_disk = True
        return self._file


@functools.cache
def _bytes_in_memory() -> int:
    return memory_limit() // _SHARE_OF_MEMORY
