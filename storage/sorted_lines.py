"""Sort more lines of text than fit into memory."""

from __future__ import annotations

import heapq
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from operator import itemgetter
from types import TracebackType
from typing import NamedTuple

_MOST_BYTES = 64 * 2**20
_MOST_FILES = 64
"""Files that are open at the same time, below the limit of any system."""
_BYTES_OF_A_ROW = 250
"""Python's own bytes for a line, beside its characters."""


class Row(NamedTuple):
    """A line and what it is sorted by."""

    key: str
    line: str


class SortedLines:
    """Lines in the order of their keys; lines with equal keys keep their order.

    Example:
        with SortedLines() as lines:
            for image in images:
                lines.add(image.name, image.to_json())

            for row in lines:
                write(row.line)
    """

    def __init__(self, most_bytes: int | None = None) -> None:
        """Make an empty list.

        Args:
            most_bytes: About what it holds in memory, 64 MiB by default. More goes to
                temporary files.
        """
        self._most_bytes = most_bytes or _MOST_BYTES
        self._rows: list[Row] = []
        self._num_bytes = 0
        self._runs: list[str] = []
        self._num_runs = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> SortedLines:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._rows = []
        if self._folder is not None:
            self._folder.cleanup()

    def add(self, key: str, line: str) -> None:
        """Add a line.

        Args:
            key: Any text, also one with surrogates.
            line: Any text.

        Raises:
            OSError: The disk for temporary files is full.
        """
        self._rows.append(Row(key, line))
        self._num_bytes += len(key) + len(line) + _BYTES_OF_A_ROW
        if self._num_bytes > self._most_bytes:
            self._runs.append(self._write(self._in_order()))
            self._rows, self._num_bytes = [], 0

    def __iter__(self) -> Iterator[Row]:
        while len(self._runs) > _MOST_FILES:
            several = [
                self._runs[first : first + _MOST_FILES]
                for first in range(0, len(self._runs), _MOST_FILES)
            ]
            self._runs = [self._merged(paths) for paths in several]
        yield from _merge([*map(_read, self._runs), self._in_order()])

    def _merged(self, paths: list[str]) -> str:
        merged = self._write(_merge([_read(path) for path in paths]))
        for path in paths:
            os.remove(path)
        return merged

    def _in_order(self) -> list[Row]:
        self._rows.sort(key=itemgetter(0))
        return self._rows

    def _write(self, rows: Iterable[Row]) -> str:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="graft-sort-")
        path = os.path.join(self._folder.name, f"{self._num_runs:06d}")
        self._num_runs += 1
        with open(path, "w", encoding="ascii") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        return path


def _read(path: str) -> Iterator[Row]:
    with open(path, encoding="ascii") as file:
        for line in file:
            yield Row(*json.loads(line))


def _merge(runs: list[Iterable[Row]]) -> Iterable[Row]:
    return runs[0] if len(runs) == 1 else heapq.merge(*runs, key=itemgetter(0))
