"""What an artifact keeps of a store instead of a copy of its rows.

An artifact that refers to a store has a file `store.json`. It names the store and the
files in it that hold the artifact's rows. Each record of the artifact tells its place:
such a file, and the row in it. A file's name is its hash, so a place always means the
same numbers, wherever the store lies.

`pins.py` keeps these files from being pruned.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from graft.storage import atomic, files
from graft.storage.content_store.index_file import FileIndex, read_index, write_index
from graft.storage.content_store.key_index import KEY, key_array
from graft.storage.content_store.pins import pin
from graft.storage.content_store.row_ranges import at_once, fetch_rows
from graft.storage.content_store.rows_file import Rows, view_keys_and_rows
from graft.storage.content_store.store_files import (
    VerifiedFiles,
    read_file_of_rows,
    rename_damaged,
    state_of,
)
from graft.storage.drivers import StorageError
from graft.storage.paths import is_remote, join, name_of, parent_of

STORE_FILE = "store.json"
_INDEXES_KEPT = 256
_FOLDER, _RELATIVE, _FILES = "folder", "relative", "files"


class MissingFileError(Exception):
    """A file of the store is missing or damaged.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        super().__init__(f"{path!r} is missing or damaged")
        self.path = path


@dataclass(frozen=True)
class StoreReference:
    """The store that an artifact refers to.

    Attributes:
        folders: Where the store may lie: where the writer saw it, and the same place
            as seen from the artifact, so that both can be moved together.
        files: The files with the artifact's rows, as `<namespace>/<file>`, sorted.
    """

    folders: tuple[str, ...]
    files: tuple[str, ...]

    def find(self, file: str) -> str | None:
        """Return the path of a file; None if it is in none of the folders."""
        paths = [join(folder, *file.split("/")) for folder in self.folders]
        return next((path for path in paths if files.exists(path)), None)

    def missing(self) -> list[str]:
        """Return the files that are gone."""
        return [file for file in self.files if self.find(file) is None]


def refer(artifact: str, store: str, names: Collection[str]) -> None:
    """Let an artifact refer to a store, and pin what it needs.

    Args:
        artifact: Folder or URI of the artifact.
        store: Folder or URI of the store.
        names: The files with its rows, as `<namespace>/<file>`.

    Raises:
        OSError: The artifact or the store isn't writable.
    """
    content: dict[str, object] = {_FOLDER: store, _FILES: sorted(names)}
    if not is_remote(store):
        content[_FOLDER] = os.path.abspath(store)
        if not is_remote(artifact):
            content[_RELATIVE] = os.path.relpath(store, artifact)
    for namespace in {parent_of(name) for name in names}:
        pin(store, namespace, artifact)
    atomic.write_text(join(artifact, STORE_FILE), json.dumps(content, indent=1))


def read_reference(artifact: str) -> StoreReference | None:
    """Return what an artifact refers to; None if it holds its rows itself.

    Raises:
        OSError: The file can't be read.
        ValueError: The file is damaged.
    """
    path = join(artifact, STORE_FILE)
    if not files.exists(path):
        return None
    content = json.loads(files.read_small_text(path))
    try:
        folders = [str(content[_FOLDER])]
        if _RELATIVE in content:
            folders.append(os.path.normpath(join(artifact, content[_RELATIVE])))
        return StoreReference(tuple(folders), tuple(map(str, content[_FILES])))
    except (TypeError, KeyError) as error:
        raise ValueError(f"{path!r} is damaged") from error


def copy_reference(source: str, target: str) -> None:
    """Let an artifact refer to what another one refers to, if it does."""
    found = read_reference(source)
    if found is not None:
        refer(target, found.folders[0], found.files)


class StoredRows:
    """The rows of the store that an artifact refers to.

    A local file is verified at its first use, and again if it has changed since. Of a
    file on a bucket only the wanted rows are read, and each is verified. The index that
    this needs is fetched once, so keep the object while rows are read.
    """

    def __init__(self, reference: StoreReference) -> None:
        self._reference = reference
        self._verified = VerifiedFiles()
        self._paths: dict[str, str] = {}
        self._indexed = functools.lru_cache(_INDEXES_KEPT)(_index_by_row)

    def read(
        self, names: Sequence[str], rows: np.ndarray, keys: Sequence[bytes]
    ) -> np.ndarray:
        """Return rows, float32 (N, F).

        Args:
            names: File of each row, as `<namespace>/<file>`.
            rows: Place of each row in its file, int64 (N,).
            keys: SHA-256 of the image that each row must be of, 32 bytes.

        Raises:
            MissingFileError: A file is missing or damaged, or lacks the row.
            StorageError: The object store can't be reached.
        """
        positions_of: dict[str, list[int]] = {}
        for position, name in enumerate(names):
            positions_of.setdefault(name, []).append(position)
        wanted = key_array(keys)
        paths = [self._find(name) for name in positions_of]
        parts = [
            (path, rows[positions], wanted[positions])
            for path, positions in zip(paths, positions_of.values(), strict=True)
        ]
        if paths and is_remote(paths[0]):
            found = at_once(self._fetch, parts)
        else:
            found = [self._map(part) for part in parts]
        if not found:
            return np.empty((0, 0), np.float32)
        values = np.empty((len(names), found[0].shape[1]), np.float32)
        for path, positions, part in zip(
            paths, positions_of.values(), found, strict=True
        ):
            if values.shape[1] != part.shape[1]:
                raise MissingFileError(path)
            values[positions] = part
        return values

    def _find(self, name: str) -> str:
        """Return the path of a file."""
        path = self._paths.get(name)
        if path is None or (not is_remote(path) and not files.exists(path)):
            path = self._reference.find(name)
            if path is None:
                raise MissingFileError(join(self._reference.folders[0], name))
            self._paths[name] = path
        return path

    def _map(self, part: _Part) -> np.ndarray:
        """Read rows of a local file."""
        path, places, keys = part
        if not self._verified.has(path):
            state = state_of(path)
            _read_whole(path)
            self._verified.add(path, state)
        # Unmapped after each read: mapped pages count as memory of the process.
        with pa.memory_map(path) as mapped:
            stored_keys, stored = view_keys_and_rows(mapped)
            _check_keys(path, stored_keys.view(KEY)[:, 0], places, keys)
            rows: np.ndarray = stored[places]
            del stored, stored_keys
        return rows

    def _fetch(self, part: _Part) -> np.ndarray:
        """Read rows of a file on a bucket."""
        path, places, keys = part
        index = self._indexed(path)
        _check_keys(path, index.entries["key"], places, keys)
        checks = index.entries["check"][places]
        rows = None
        if index.position >= 0:
            with suppress(FileNotFoundError, StorageError):
                rows = fetch_rows(path, index.position, index.row_bytes, places, checks)
        if rows is not None:
            return rows.view(np.float32)
        whole = _read_whole(path)
        _check_keys(path, key_array(whole.keys), places, keys)
        return whole.numbers[places]


_Part = tuple[str, np.ndarray, np.ndarray]
"""Path of a file, places of rows in it, and the keys that they must have."""


def _index_by_row(path: str) -> FileIndex:
    """Return the index of a file on a bucket, in the order of the rows."""
    index = read_index(path)
    if index is None or index.kind != "f":
        index = FileIndex.of(name_of(path), _namespace_of(path), _read_whole(path))
        write_index(parent_of(path), index)
    return replace(index, entries=index.by_row())


def _read_whole(path: str) -> Rows:
    """Read a file and verify it. One on a bucket that is damaged is set aside.

    Nothing else would find the damage there: a run that looks for rows to compute does
    not read those that it has.
    """
    try:
        _, found = read_file_of_rows(path, _namespace_of(path))
    except FileNotFoundError:
        raise MissingFileError(path) from None
    if found is None:
        if is_remote(path):
            rename_damaged(path)
        raise MissingFileError(path)
    return found


def _check_keys(
    path: str, stored: np.ndarray, places: np.ndarray, keys: np.ndarray
) -> None:
    is_there = (places >= 0) & (places < len(stored))
    if not is_there.all() or (stored[places] != keys).any():
        raise MissingFileError(path)


def _namespace_of(path: str) -> str:
    return name_of(parent_of(path))


@functools.lru_cache(maxsize=2)
def rows_of(reference: StoreReference) -> StoredRows:
    """Return the rows that an artifact refers to, the same object for each reader."""
    return StoredRows(reference)
