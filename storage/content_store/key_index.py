"""An index of keys that does not grow in memory.

Records are kept in sorted runs, as in a log-structured merge tree. A small run is in
memory. A large one is in a temporary file without a name, which is mapped. Runs of
about one length are merged, block by block.
"""

from __future__ import annotations

import mmap
import tempfile
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np

from graft.storage.content_store.rows_file import KEY_BYTES

KEY = np.dtype(f"S{KEY_BYTES}")
"""NumPy's type of a key. It pads with zeros, so that all 32 bytes are compared."""
RECORD = np.dtype(
    [("key", KEY), ("file", np.uint32), ("row", np.uint32), ("check", np.uint64)]
)
"""A key, the number of its file, its row in it, and the checksum of that row."""

_RECORDS_IN_MEMORY = 1 << 15
_BLOCK = 1 << 14
_RUNS_TO_MERGE = 8
_MOST_SAMPLES = 1 << 15
_KEYS_UNTIL_RELEASE = 128
"""The system maps up to 64 KiB around a page that is touched."""


def key_array(keys: Sequence[bytes]) -> np.ndarray:
    """Convert keys of 32 bytes to an array of `KEY`."""
    return np.frombuffer(b"".join(keys), KEY)


class KeyIndex:
    """Finds the record of a key. Of several, it finds the one that was added first."""

    def __init__(self) -> None:
        self._runs: list[_Run | _MappedRun] = []

    def __len__(self) -> int:
        self.settle()
        return sum(map(len, self._runs))

    def add(self, records: np.ndarray) -> None:
        """Add records.

        Args:
            records: `RECORD` (N,), in any order.

        Raises:
            OSError: The temporary folder is full.
        """
        if not len(records):
            return
        self._runs.append(_Run(_sorted(records)))
        while len(self._runs) >= _RUNS_TO_MERGE:
            last = self._runs[-_RUNS_TO_MERGE:]
            if len({_level(run) for run in last}) > 1:
                return
            self._runs[-_RUNS_TO_MERGE:] = [_merge(last)]

    def settle(self) -> None:
        """Merge all runs into one, so that a search has to look at one only."""
        if len(self._runs) > 1:
            self._runs = [_merge(self._runs)]

    def find(self, keys: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """Return the records of keys.

        Args:
            keys: 32 bytes each.

        Returns:
            Whether each is there, bool (N,), and the records, `RECORD` (N,).
        """
        wanted = key_array(keys)
        is_found = np.zeros(len(keys), np.bool_)
        found = np.zeros(len(keys), RECORD)
        for run in self._runs:
            left = np.flatnonzero(~is_found)
            if not len(left):
                break
            is_hit, hits = run.find(wanted[left])
            is_found[left[is_hit]] = True
            found[left[is_hit]] = hits
        return is_found, found


class _Run:
    """Sorted records without repetition, in memory."""

    def __init__(self, records: np.ndarray) -> None:
        self.records = records
        # A search would copy keys that do not lie side by side.
        self._keys = np.ascontiguousarray(records["key"])

    def __len__(self) -> int:
        return len(self.records)

    def places(self, keys: np.ndarray) -> np.ndarray:
        """Return the number of smaller keys here, int64, for each of some keys."""
        return np.searchsorted(self._keys, keys)

    def find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which of some keys are here, and the records of those."""
        places = self.places(keys)
        places[places == len(self._keys)] = 0
        is_hit = self._keys[places] == keys
        return is_hit, self.records[places[is_hit]]

    def release(self) -> None:
        """Unmap what was touched; nothing is mapped."""


class _MappedRun:
    """Sorted records without repetition, in a file.

    A table of samples in memory leads to the page on which a key lies.

    Args:
        file: The records, one after the other.
        samples: The key of each `step`-th record, from the first one on.
        step: See `samples`.
    """

    def __init__(self, file: IO[bytes], samples: np.ndarray, step: int) -> None:
        file.flush()
        # The mapping stays when the file is closed.
        self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.records = np.frombuffer(self._map, RECORD)
        self._samples, self._step = samples, step
        self._num_touched = 0

    def __len__(self) -> int:
        return len(self.records)

    def places(self, keys: np.ndarray) -> np.ndarray:
        """Return the number of smaller keys here, int64, for each of some keys."""
        places = np.empty(len(keys), np.int64)
        whole = keys.tobytes()
        for number, sample in enumerate(np.searchsorted(self._samples, keys).tolist()):
            key = whole[number * KEY_BYTES : (number + 1) * KEY_BYTES]
            low = max(0, (sample - 1) * self._step)
            high = min(sample * self._step, len(self.records))
            places[number] = bisect_left(range(high), key, low, key=self._key_at)
            self._num_touched += 1
            if self._num_touched >= _KEYS_UNTIL_RELEASE:
                self.release()
        return places

    def find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which of some keys are here, and the records of those."""
        parts = []
        for start in range(0, len(keys), _KEYS_UNTIL_RELEASE):
            some = keys[start : start + _KEYS_UNTIL_RELEASE]
            places = self.places(some)
            places[places == len(self.records)] = 0
            found = self.records[places]
            parts.append((found["key"] == some, found))
        is_hit = np.concatenate([part for part, _ in parts])
        return is_hit, np.concatenate([found for _, found in parts])[is_hit]

    def release(self) -> None:
        """Unmap what was touched: mapped pages count as memory of the process."""
        self._map.madvise(mmap.MADV_DONTNEED)
        self._num_touched = 0

    def _key_at(self, place: int) -> bytes:
        start = place * RECORD.itemsize
        return self._map[start : start + KEY_BYTES]


def _level(run: _Run | _MappedRun) -> int:
    """Return a number that runs of about the same length share."""
    return max(0, (len(run).bit_length() - _BLOCK.bit_length() + 2) // 3)


def _sorted(records: np.ndarray) -> np.ndarray:
    """Sort records by key, and keep the first of equal keys."""
    order = np.argsort(records["key"], kind="stable")
    records = records[order]
    is_first = np.ones(len(records), np.bool_)
    is_first[1:] = records["key"][1:] != records["key"][:-1]
    return records[is_first]


def _merge(runs: Sequence[_Run | _MappedRun]) -> _Run | _MappedRun:
    """Merge runs. Of equal keys, the one of the first run stays."""
    if sum(map(len, runs)) <= _RECORDS_IN_MEMORY:
        return _Run(_sorted(np.concatenate([run.records for run in runs])))
    step = -(-sum(map(len, runs)) // _MOST_SAMPLES)
    samples: list[np.ndarray] = []
    num_written = 0
    with tempfile.TemporaryFile(prefix="graft-index-") as file:
        for block in _merged_blocks(runs):
            file.write(block.data)
            samples.append(block["key"][-num_written % step :: step].copy())
            num_written += len(block)
        return _MappedRun(file, np.concatenate(samples), step)


def _merged_blocks(runs: Sequence[_Run | _MappedRun]) -> Iterator[np.ndarray]:
    """Yield the merged records of runs, some at a time."""
    limits = max(runs, key=len).records["key"][_BLOCK::_BLOCK].copy()
    bounds = [[0, *run.places(limits).tolist(), len(run)] for run in runs]
    for number in range(len(limits) + 1):
        parts = [
            run.records[bound[number] : bound[number + 1]]
            for run, bound in zip(runs, bounds, strict=True)
        ]
        yield _sorted(np.concatenate(parts))
        for run in runs:
            run.release()
