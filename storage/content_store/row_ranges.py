"""Read some rows of a file on a bucket, without the rest of the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from graft.storage import files
from graft.storage.content_store.index_file import checks_of

_GAP_BYTES = 256 << 10
"""A request costs more than to read so many bytes that nobody wants."""
_REQUEST_BYTES = 16 << 20
_REQUESTS_AT_ONCE = 16

_T = TypeVar("_T")
_R = TypeVar("_R")


def fetch_rows(
    path: str, position: int, row_bytes: int, rows: np.ndarray, checks: np.ndarray
) -> np.ndarray | None:
    """Read rows by their place, and verify each.

    Args:
        path: The file.
        position: Where the first row begins.
        row_bytes: Length of a row.
        rows: Places of the rows, int (N,).
        checks: Their checksums, uint64 (N,).

    Returns:
        uint8 (N, row_bytes); None if a row is not what it was when it was stored.

    Raises:
        FileNotFoundError: The file does not exist.
        StorageError: The object store can't be reached.
    """
    order = np.argsort(rows, kind="stable")
    found = np.empty((len(rows), row_bytes), np.uint8)
    for part in _requests(rows[order], row_bytes):
        places = rows[order[part]]
        first, last = int(places[0]), int(places[-1])
        length = (last - first + 1) * row_bytes
        content = files.read_bytes(path, position + first * row_bytes, length)
        if len(content) != length:
            return None
        all_rows = np.frombuffer(content, np.uint8).reshape(-1, row_bytes)
        found[order[part]] = all_rows[places - first]
    return found if (checks_of(found) == checks).all() else None


def _requests(rows: np.ndarray, row_bytes: int) -> Iterator[slice]:
    """Yield the parts of sorted places that one request each reads."""
    start = 0
    for number in range(1, len(rows) + 1):
        if number < len(rows):
            gap = (int(rows[number]) - int(rows[number - 1])) * row_bytes
            whole = (int(rows[number]) - int(rows[start]) + 1) * row_bytes
            if gap <= _GAP_BYTES and whole <= _REQUEST_BYTES:
                continue
        yield slice(start, number)
        start = number


def at_once(work: Callable[[_T], _R], items: Sequence[_T]) -> list[_R]:
    """Do some work that waits for a bucket, several items at once."""
    if len(items) < 2:
        return [work(each) for each in items]
    with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
        return list(pool.map(work, items))
