"""Which rows a namespace has, in which of its files."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from graft.contract.errors import DataError
from graft.storage import files
from graft.storage.content_store.index_file import (
    FileIndex,
    index_path,
    read_index,
    write_index,
)
from graft.storage.content_store.key_index import RECORD, KeyIndex
from graft.storage.content_store.row_ranges import at_once
from graft.storage.content_store.rows_file import Rows
from graft.storage.content_store.store_files import (
    FILE_SUFFIX,
    VerifiedFiles,
    read_file_of_rows,
    rename_damaged,
    state_of,
)
from graft.storage.paths import is_remote, join, name_of

_INDEXES_AT_ONCE = 64
_RECORDS_AT_ONCE = 1 << 14

logger = logging.getLogger(__name__)


class DataFile(NamedTuple):
    """A file of rows, as its index tells it.

    Attributes:
        name: Its name.
        position: See `FileIndex`.
        row_bytes: Length of a row.
        digest: Of its index.
    """

    name: str
    position: int
    row_bytes: int
    digest: bytes


class StoreIndex:
    """The index of a namespace, made of those of its files.

    A file without an index is read whole, and gets one. A local file is read whole and
    verified, too, before one of its rows is used for the first time.

    Args:
        folder: Folder or URI of the namespace.
        row_type: Structured type of a row; None for a row of float32 numbers.
        width: Numbers of a row, if they are known without a file.

    Attributes:
        damaged: Files found so far that are damaged, or not of this namespace.
    """

    def __init__(
        self, folder: str, row_type: np.dtype | None, width: int | None
    ) -> None:
        self.damaged: list[str] = []
        self._folder = folder
        self._row_type = row_type
        self._expected_width = width
        self._width: int | None = None
        self._files: list[DataFile] = []
        self._keys = KeyIndex()
        self._seen: set[str] = set()
        # Files that are damaged or gone.
        self._refused: set[str] = set()
        # Files whose index tells something else than they do.
        self._wrongly_indexed: set[str] = set()
        self._verified = VerifiedFiles()

    def __len__(self) -> int:
        return len(self._keys)

    def file_of(self, number: int) -> DataFile:
        """Return a file by the number in its records."""
        return self._files[number]

    def path_of(self, number: int) -> str:
        """Return the path of a file by the number in its records."""
        return join(self._folder, self._files[number].name)

    def refresh(self) -> None:
        """Add the files that are new in the folder."""
        listed = files.list_folder(self._folder)
        have_index = set(listed)
        names = [
            name
            for name in listed
            if name.endswith(FILE_SUFFIX)
            and name not in self._seen
            and name not in self._refused
        ]

        def load(name: str) -> FileIndex | None:
            is_told = index_path(name) in have_index
            return self._read(name) if is_told else None

        waiting: list[np.ndarray] = []
        for start in range(0, len(names), _INDEXES_AT_ONCE):
            some = names[start : start + _INDEXES_AT_ONCE]
            found = at_once(load, some) if is_remote(self._folder) else map(load, some)
            for name, index in zip(some, found, strict=True):
                known = index or self._read_anew(name)
                if known is not None:
                    waiting.append(self._add(known))
            if sum(map(len, waiting)) >= _RECORDS_AT_ONCE:
                self._keys.add(np.concatenate(waiting))
                waiting.clear()
        if waiting:
            self._keys.add(np.concatenate(waiting))

    def settle(self) -> None:
        """Make the next searches fast."""
        self._keys.settle()

    def build_again(self) -> None:
        """Forget all files, and add those that are left in the folder."""
        self._files.clear()
        self._seen.clear()
        self._keys = KeyIndex()
        self.refresh()
        self.settle()

    def add_own(self, index: FileIndex) -> None:
        """Add a file that this process has just written, with all of its rows."""
        path = join(self._folder, index.file)
        if not is_remote(path):
            self._verified.add(path, state_of(path))
        self._refused.discard(index.file)
        self._wrongly_indexed.discard(index.file)
        self._keys.add(self._add(index, use_all=True))

    def locate(self, keys: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """Return which rows are there, bool (N,), and their records, `RECORD` (N,).

        Local files of these rows are verified. Those of a bucket are not: that would
        read them whole.
        """
        while True:
            is_there, records = self._keys.find(keys)
            if is_remote(self._folder):
                return is_there, records
            numbers = np.unique(records["file"][is_there])
            # All of them now, so that the index is built again only once.
            are_sound = [self._is_sound(number) for number in numbers]
            if all(are_sound):
                return is_there, records
            self.build_again()

    def read_whole(self, number: int) -> np.ndarray | None:
        """Return all rows of a file of a bucket.

        Returns:
            None if the file is damaged or gone, or if its index was wrong. Build the
            index again then.
        """
        name = self._files[number].name
        rows = self._verify(name)
        if rows is None:
            return None
        index = self._index_of(name, rows)
        known = self._read(name)
        if known is not None and known.encode() == index.encode():
            return rows.numbers
        self._wrongly_indexed.add(name)
        write_index(self._folder, index)
        return None

    def check_width(self, width: int, name: str) -> None:
        """Check that rows have the length of all others.

        Raises:
            DataError: They haven't.
        """
        if self._width is None:
            self._width = width
        if self._width != width:
            raise DataError(
                f"All files of {self._folder!r} must have rows of the same "
                f"length. Received: {width} numbers in {name}, {self._width} in "
                f"{[each.name for each in self._files[:1]]}. Remove the wrong file: "
                "its rows are computed again."
            )

    def _read(self, name: str) -> FileIndex | None:
        """Return the index of a file; None if it is of no use."""
        if name in self._wrongly_indexed:
            return None
        found = read_index(join(self._folder, name))
        if found is None or found.kind != ("f" if self._row_type is None else "u"):
            return None
        wanted = self._expected_width
        if self._row_type is not None:
            wanted = self._row_type.itemsize
        return found if wanted in (None, found.num_numbers) else None

    def _read_anew(self, name: str) -> FileIndex | None:
        """Verify a file, and write its index; return None if the file is not used."""
        rows = self._verify(name)
        if rows is None:
            return None
        index = self._index_of(name, rows)
        write_index(self._folder, index)
        return index

    def _is_sound(self, number: int) -> bool:
        """Return whether a local file is what it was, and its index true."""
        name, _, _, digest = self._files[number]
        if self._verified.has(join(self._folder, name)):
            return True
        rows = self._verify(name)
        if rows is None:
            return False
        if self._index_of(name, rows, with_checks=False).digest == digest:
            return True
        self._wrongly_indexed.add(name)
        return False

    def _verify(self, name: str) -> Rows | None:
        """Read a whole file; return None, and use it no more, if it is damaged."""
        path = join(self._folder, name)
        state = () if is_remote(path) else state_of(path)
        try:
            _, rows = read_file_of_rows(path, name_of(self._folder), self._row_type)
        except FileNotFoundError:
            self._refused.add(name)  # another run has renamed it as damaged
            return None
        if rows is not None and self._has_width(rows):
            if state:
                self._verified.add(path, state)
            return rows
        self._refused.add(name)
        self.damaged.append(path)
        rename_damaged(path)
        with suppress(OSError):
            files.remove_file(index_path(path))
        return None

    def _has_width(self, rows: Rows) -> bool:
        wanted = (None, rows.numbers.shape[1])
        return self._row_type is not None or self._expected_width in wanted

    def _index_of(
        self, name: str, rows: Rows, *, with_checks: bool = True
    ) -> FileIndex:
        namespace = name_of(self._folder)
        return FileIndex.of(
            name, namespace, rows, self._row_type, with_checks=with_checks
        )

    def _add(self, index: FileIndex, *, use_all: bool = False) -> np.ndarray:
        """Add a file, and return the records of its rows.

        Args:
            index: The file's index.
            use_all: Use rows that are not finite, too.
        """
        self.check_width(index.num_numbers, index.file)
        self._seen.add(index.file)
        self._files.append(
            DataFile(index.file, index.position, index.row_bytes, index.digest)
        )
        usable = index.entries
        if not use_all and not usable["is_usable"].all():
            usable = usable[usable["is_usable"]]
            logger.warning(
                "%d of %d rows of %s are not finite; they are computed again",
                len(index.entries) - len(usable),
                len(index.entries),
                join(self._folder, index.file),
            )
        records = np.zeros(len(usable), RECORD)
        for name in ("key", "row", "check"):
            records[name] = usable[name]
        records["file"] = len(self._files) - 1
        return records
