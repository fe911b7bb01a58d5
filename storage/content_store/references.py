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
import shutil
import tempfile
import weakref
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from graft.storage import atomic, files
from graft.storage.content_store.pins import pin
from graft.storage.content_store.rows_file import view_keys_and_rows
from graft.storage.content_store.store_files import read_file_of_rows
from graft.storage.paths import is_remote, join, name_of, parent_of

STORE_FILE = "store.json"
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

    Each file is verified at its first use, and again if it has changed since. A remote
    file is fetched once. So keep the object while rows are read.
    """

    def __init__(self, reference: StoreReference) -> None:
        self._reference = reference
        self._verified: dict[str, tuple[str, tuple[int, ...]]] = {}
        self._mirror: str | None = None

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
        """
        positions_of: dict[str, list[int]] = {}
        for position, name in enumerate(names):
            positions_of.setdefault(name, []).append(position)
        wanted = np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1)
        values: np.ndarray | None = None
        for name, positions in positions_of.items():
            places = rows[positions]
            path = self._open(name)
            # Unmapped after each read: mapped pages count as memory of the process.
            with pa.memory_map(path) as mapped:
                stored_keys, stored = view_keys_and_rows(mapped)
                is_there = (places >= 0) & (places < len(stored))
                if (
                    not is_there.all()
                    or (stored_keys[places] != wanted[positions]).any()
                ):
                    raise MissingFileError(path)
                if values is None:
                    values = np.empty((len(names), stored.shape[1]), stored.dtype)
                if values.shape[1] != stored.shape[1]:
                    raise MissingFileError(path)
                values[positions] = stored[places]
                del stored, stored_keys
        return np.empty((0, 0), np.float32) if values is None else values

    def _open(self, name: str) -> str:
        """Return the local path of a file, verified."""
        known = self._verified.get(name)
        if known is not None and _state_of(known[0]) == known[1]:
            return known[0]
        path = self._reference.find(name)
        if path is None:
            raise MissingFileError(join(self._reference.folders[0], name))
        try:
            content, found = read_file_of_rows(path, parent_of(name))
        except FileNotFoundError:
            raise MissingFileError(path) from None
        if found is None:
            raise MissingFileError(path)
        if is_remote(path):
            path = self._keep(name_of(name), content)
        self._verified[name] = path, _state_of(path)
        return path

    def _keep(self, name: str, content: bytes) -> str:
        if self._mirror is None:
            self._mirror = tempfile.mkdtemp(prefix="graft-store-")
            weakref.finalize(self, shutil.rmtree, self._mirror, ignore_errors=True)
        path = os.path.join(self._mirror, name)
        atomic.write_bytes(path, content)
        return path


@functools.lru_cache(maxsize=2)
def rows_of(reference: StoreReference) -> StoredRows:
    """Return the rows that an artifact refers to, the same object for each reader."""
    return StoredRows(reference)


def _state_of(path: str) -> tuple[int, ...]:
    """Return what changes when a local file does; () if it is gone."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns
