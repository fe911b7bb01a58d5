"""A content-addressed store of what was computed of images: one row for each image.

    <folder>/<namespace>/
        namespace.json          the parts of the namespace, for people
        <sha256>.arrow          rows of some images; the name is the file's hash
        openvino-<version>.zip  the backbone's graph, see `feature_engine`

A namespace stands for everything that decides a row except the image. For a bottleneck
feature this is preprocessing, weights, cut, pooling, engine and precision. The key of
an image is its SHA-256, so a relabelled or moved file is not computed again.

Files are Arrow IPC (https://arrow.apache.org/docs/format). They are written atomically,
so several runs may write at once. A file whose content does not match the hash in its
name is not used, and its rows are computed again.

The folder may be a URI (`gs://...`, `s3://...`). The store then copies its files to a
temporary folder while it is open. Only an index is in memory. Rows are read from the
files on request.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from graft.components.content_store.store_files import (
    FILE_SUFFIX,
    NAMESPACE_FILE,
    read_verified,
    rename_damaged,
)
from graft.storage import atomic, files, hashing
from graft.storage.paths import is_remote, join

KIND = "kind"
"""Part of a namespace that tells what its rows are; features have none."""
ANSWERS = "answers"
"""Kind of the rows that hold what a model answered."""
MEASUREMENTS = "measurements"
"""Kind of the rows that hold what DataQuality measured."""

_KEY, _ROW = "key", "feature"

logger = logging.getLogger(__name__)


def namespace_of(parts: Mapping[str, Any]) -> str:
    """Return the name of the namespace for `parts`: 32 hexadecimal digits."""
    return hashing.hash_json(parts)[:32]


@dataclass(eq=False)
class ContentStore:
    """The rows of one namespace.

    Attributes:
        folder: Folder or URI of the store with all namespaces.
        parts: Everything that decides a row except the image.
        row_type: Structured type of a row; None for a row of float32 numbers.
        damaged: Damaged files found since `open`.
    """

    folder: str
    parts: Mapping[str, Any]
    row_type: np.dtype | None = None
    damaged: list[str] = field(default_factory=list)
    _paths: list[str] = field(default_factory=list)
    _rows: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _mirror: str | None = None

    @property
    def namespace_folder(self) -> str:
        """Folder or URI of this namespace."""
        return join(self.folder, namespace_of(self.parts))

    def open(self) -> ContentStore:
        """Create the namespace if it does not exist, and build its index."""
        if is_remote(self.folder):
            self._mirror = tempfile.mkdtemp(prefix="graft-store-")
            weakref.finalize(self, shutil.rmtree, self._mirror, ignore_errors=True)
        readme = join(self.namespace_folder, NAMESPACE_FILE)
        # Written at each opening of a local store: `prune` reads the file's time.
        if self._mirror is None or not files.exists(readme):
            text = json.dumps(self.parts, indent=1, sort_keys=True)
            if self._mirror is None and os.path.isdir(readme):
                rename_damaged(readme)
            atomic.write_text(readme, text)
        self.refresh()
        return self

    def refresh(self) -> None:
        """Add files that other runs have written since the last call."""
        for name in files.list_folder(self.namespace_folder):
            if not name.endswith(FILE_SUFFIX) or name in self._seen:
                continue
            path = join(self.namespace_folder, name)
            try:
                content = read_verified(path)
            except FileNotFoundError:
                continue  # another run has renamed it as damaged
            self._seen.add(name)
            if content is None:
                self.damaged.append(path)
                logger.warning("%s is damaged; its content is computed again", path)
                rename_damaged(path)
                continue
            self._add(name, content)

    def __len__(self) -> int:
        """Number of images that have a row in the store."""
        return len(self._rows)

    def __contains__(self, key: bytes) -> bool:
        """Whether the store has the row of an image, by SHA-256 (32 bytes)."""
        return key in self._rows

    def read(self, keys: Sequence[bytes]) -> np.ndarray:
        """Return the rows of images.

        Returns:
            float32 (len(keys), F), or (len(keys),) of `row_type`.

        Raises:
            KeyError: The store lacks an image.
        """
        rows_of: dict[int, list[tuple[int, int]]] = {}
        for position, key in enumerate(keys):
            file, row = self._rows[key]
            rows_of.setdefault(file, []).append((position, row))
        values: np.ndarray | None = None
        for file, pairs in rows_of.items():
            # Unmapped after each read: mapped pages count as memory of the process.
            with pa.memory_map(self._paths[file]) as mapped:
                stored = _rows_in(mapped)
                if values is None:
                    values = np.empty((len(keys), stored.shape[1]), stored.dtype)
                positions, rows = np.asarray(pairs).T
                values[positions] = stored[rows]
                del stored
        if self.row_type is None:
            return np.empty((0, 0), np.float32) if values is None else values
        if values is None:
            return np.empty(0, self.row_type)
        return values.view(self.row_type)[:, 0]

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
        flat = pa.array(numbers.ravel())
        table = pa.table(
            {
                _KEY: pa.array(list(keys), pa.binary(32)),
                _ROW: pa.FixedSizeListArray.from_arrays(flat, numbers.shape[1]),
            }
        )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        content = memoryview(sink.getvalue())
        name = hashing.hash_bytes(content) + FILE_SUFFIX
        atomic.write_bytes(join(self.namespace_folder, name), content)
        self._seen.add(name)
        self._add(name, content)

    def _add(self, name: str, content: bytes | memoryview) -> None:
        """Add a verified file to the index, and copy it to the local disk if needed."""
        folder = self.namespace_folder
        if self._mirror is not None:
            folder = self._mirror
            atomic.write_bytes(os.path.join(folder, name), content)
        index = len(self._paths)
        self._paths.append(os.path.join(folder, name))
        for row, key in enumerate(keys_of(content)):
            self._rows.setdefault(key, (index, row))


def keys_of(content: bytes | memoryview) -> list[bytes]:
    """Return the keys of a file's rows, in order."""
    table = pa.ipc.open_file(pa.py_buffer(content)).read_all()
    keys: list[bytes] = table.column(_KEY).to_pylist()
    return keys


def _rows_in(source: pa.NativeFile) -> np.ndarray:
    """View the rows of an open file, (rows, numbers of a row)."""
    column = pa.ipc.open_file(source).read_all().column(_ROW).chunk(0)
    values: np.ndarray = column.flatten().to_numpy(zero_copy_only=True)
    return values.reshape(len(column), -1)
