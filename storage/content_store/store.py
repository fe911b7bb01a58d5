"""A content-addressed store of what was computed of images: one row for each image.

    <folder>/<namespace>/
        namespace.json          the parts of the namespace, for people
        <sha256>.arrow          rows of some images; the name is the file's hash
        <sha256>.index          which image each row is of, see `index_file`
        openvino-<version>.zip  the backbone's graph, see `feature_engine`

A namespace stands for everything that decides a row except the image. For a bottleneck
feature this is preprocessing, weights, cut, pooling, engine and precision. The key of
an image is its SHA-256, so a relabelled or moved file is not computed again.

Files are Arrow IPC (https://arrow.apache.org/docs/format). They are written atomically,
so several runs may write at once. A file is not used, and its rows are computed again,
if its content does not match the hash in its name, is no file of rows, or is of another
namespace. Neither is a row used that holds a NaN or an infinity.

The indexes tell which images the store has. A local file is verified when one of its
rows is first wanted. The folder may be a URI (`gs://...`, `s3://...`): of such a file
only the wanted rows are read, and each of them is verified.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from graft.storage import atomic, files, hashing
from graft.storage.content_store.index_file import FileIndex, write_index
from graft.storage.content_store.row_ranges import at_once, fetch_rows
from graft.storage.content_store.rows_file import encode_rows, read_rows, view_rows
from graft.storage.content_store.store_files import (
    FILE_SUFFIX,
    NAMESPACE_FILE,
    rename_damaged,
)
from graft.storage.content_store.store_index import StoreIndex
from graft.storage.drivers import StorageError
from graft.storage.paths import is_remote, join

KIND = "kind"
"""Part of a namespace that tells what its rows are; features have none."""
ANSWERS = "answers"
"""Kind of the rows that hold what a model answered."""
MEASUREMENTS = "measurements"
"""Kind of the rows that hold what DataQuality measured."""

FORMAT = "format"
"""Part of a namespace that tells how its files are written."""
_FORMAT = 2
"""Files of format 1, which had no such part, don't tell their namespace."""


def namespace_of(parts: Mapping[str, Any]) -> str:
    """Return the name of the namespace for `parts`: 32 hexadecimal digits."""
    return hashing.hash_json(parts)[:32]


@dataclass(eq=False)
class ContentStore:
    """The rows of one namespace.

    Attributes:
        folder: Folder or URI of the store with all namespaces.
        parts: Everything that decides a row except the image; `FORMAT` is added.
        row_type: Structured type of a row; None for a row of float32 numbers.
        width: Numbers of a row, if they are known without a file.
    """

    folder: str
    parts: Mapping[str, Any]
    row_type: np.dtype | None = None
    width: int | None = None
    _index: StoreIndex = field(init=False)

    def __post_init__(self) -> None:
        """Add the format to the parts."""
        self.parts = {**self.parts, FORMAT: _FORMAT}
        self._index = StoreIndex(self.namespace_folder, self.row_type, self.width)

    @property
    def namespace(self) -> str:
        """Name of the namespace."""
        return namespace_of(self.parts)

    @property
    def namespace_folder(self) -> str:
        """Folder or URI of this namespace."""
        return join(self.folder, self.namespace)

    @property
    def damaged(self) -> list[str]:
        """Files found so far that are damaged, or not of this namespace."""
        return self._index.damaged

    @property
    def _is_remote(self) -> bool:
        return is_remote(self.folder)

    def open(self) -> ContentStore:
        """Create the namespace if it does not exist, and read its indexes."""
        readme = join(self.namespace_folder, NAMESPACE_FILE)
        # Written at each opening of a local store: `prune` reads the file's time.
        if not self._is_remote or not files.exists(readme):
            text = json.dumps(self.parts, indent=1, sort_keys=True)
            if not self._is_remote and os.path.isdir(readme):
                rename_damaged(readme)
            atomic.write_text(readme, text)
        self._index.refresh()
        self._index.settle()
        return self

    def refresh(self) -> None:
        """Add files that other runs have written since the last call."""
        self._index.refresh()

    def __len__(self) -> int:
        """Number of images that have a row in the store, as its indexes tell."""
        return len(self._index)

    def __contains__(self, key: bytes) -> bool:
        """Whether the store has the row of an image, by SHA-256 (32 bytes)."""
        return bool(self.which([key])[0])

    def which(self, keys: Sequence[bytes]) -> np.ndarray:
        """Return of which images the store has the row, bool (N,).

        Local files with these rows are verified. What a damaged one held is not there.
        """
        return self._index.locate(keys)[0]

    def lacking(self, keys: Sequence[bytes]) -> set[bytes]:
        """Return the images whose row the store lacks, see `which`."""
        rows = np.flatnonzero(~self.which(keys)).tolist()
        return {keys[row] for row in rows}

    def find(self, keys: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that the store has of some images.

        Returns:
            Which it has, bool (N,), and these rows, float32 (M, F), or (M,) of
            `row_type`.
        """
        while True:
            is_there, records = self._index.locate(keys)
            values = self._read(records[is_there])
            if values is not None:
                break
            self._index.build_again()
        if self.row_type is None:
            return is_there, values
        return is_there, values.view(self.row_type).reshape(len(values))

    def read(self, keys: Sequence[bytes]) -> np.ndarray:
        """Return the rows of images.

        Returns:
            float32 (len(keys), F), or (len(keys),) of `row_type`.

        Raises:
            KeyError: The store lacks an image.
        """
        is_there, values = self.find(keys)
        self._require(keys, is_there)
        return values

    def _require(self, keys: Sequence[bytes], is_there: np.ndarray) -> None:
        for row in np.flatnonzero(~is_there).tolist():
            raise KeyError(keys[row])

    def _read(self, records: np.ndarray) -> np.ndarray | None:
        """Return rows; None if one of their files proves to be damaged or gone."""
        if not len(records):
            return np.empty((0, 0), np.float32 if self.row_type is None else np.uint8)
        parts = list(_by_file(records))
        if self._is_remote:
            found = at_once(self._fetch, [records[part] for part in parts])
        else:
            found = [self._map(records[part]) for part in parts]
        values: np.ndarray | None = None
        for part, rows in zip(parts, found, strict=True):
            if rows is None:
                return None
            if values is None:
                values = np.empty((len(records), rows.shape[1]), rows.dtype)
            values[part] = rows
        return values

    def _map(self, records: np.ndarray) -> np.ndarray | None:
        """Read rows of one local file."""
        path = self._index.path_of(records["file"][0])
        try:
            # Unmapped after each read: mapped pages count as memory of the process.
            with pa.memory_map(path) as mapped:
                stored = view_rows(mapped)
                rows: np.ndarray = stored[records["row"]]
                del stored
        except FileNotFoundError:
            return None
        return rows

    def _fetch(self, records: np.ndarray) -> np.ndarray | None:
        """Read rows of one file of a bucket."""
        file = self._index.file_of(records["file"][0])
        rows = None
        if file.position >= 0:
            path = join(self.namespace_folder, file.name)
            place = (file.position, file.row_bytes)
            with suppress(FileNotFoundError, StorageError):
                rows = fetch_rows(path, *place, records["row"], records["check"])
        if rows is None:
            whole = self._index.read_whole(records["file"][0])
            return None if whole is None else whole[records["row"]]
        return rows if self.row_type is not None else rows.view(np.float32)

    def places(self, keys: Sequence[bytes]) -> tuple[list[str], list[int]]:
        """Return where the rows of images are: file, as `<namespace>/<file>`, and row.

        Raises:
            KeyError: The store lacks an image.
        """
        is_there, records = self._index.locate(keys)
        self._require(keys, is_there)
        numbers, which = np.unique(records["file"], return_inverse=True)
        names = [f"{self.namespace}/{self._index.file_of(n).name}" for n in numbers]
        return [names[each] for each in which.tolist()], records["row"].tolist()

    def put(self, keys: Sequence[bytes], values: np.ndarray) -> None:
        """Store the rows of images. They survive a kill once this returns.

        Args:
            keys: SHA-256 of each image, 32 bytes.
            values: float32 (len(keys), F), or (len(keys),) of `row_type`.
        """
        if not keys:
            return
        numbers: np.ndarray = np.ascontiguousarray(values, self.row_type or np.float32)
        if self.row_type is not None:
            numbers = numbers.view(np.uint8).reshape(len(keys), -1)
        self._index.check_width(numbers.shape[1], "the new rows")
        content = encode_rows(self.namespace, keys, numbers)
        name = hashing.hash_bytes(content) + FILE_SUFFIX
        atomic.write_bytes(join(self.namespace_folder, name), content)
        rows = read_rows(content, self.namespace, self.row_type)
        index = FileIndex.of(name, self.namespace, rows, self.row_type)
        write_index(self.namespace_folder, index)
        self._index.add_own(index)


def _by_file(records: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the positions of the records of each file."""
    order = np.argsort(records["file"], kind="stable")
    ends = np.flatnonzero(np.diff(records["file"][order])) + 1
    yield from np.split(order, ends)
