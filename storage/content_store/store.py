"""A content-addressed store of what was computed of images: one row for each image.

    <folder>/<namespace>/
        namespace.json          the parts of the namespace, for people
        <sha256>.arrow          rows of some images; the name is the file's hash
        openvino-<version>.zip  the backbone's graph, see `feature_engine`

A namespace stands for everything that decides a row except the image. For a bottleneck
feature this is preprocessing, weights, cut, pooling, engine and precision. The key of
an image is its SHA-256, so a relabelled or moved file is not computed again.

Files are Arrow IPC (https://arrow.apache.org/docs/format). They are written atomically,
so several runs may write at once. A file is not used, and its rows are computed again,
if its content does not match the hash in its name, is no file of rows, or is of another
namespace. Neither is a row used that holds a NaN or an infinity.

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

from graft.contract.errors import DataError
from graft.storage import atomic, files, hashing
from graft.storage.content_store.rows_file import (
    Rows,
    encode_rows,
    view_rows,
)
from graft.storage.content_store.store_files import (
    FILE_SUFFIX,
    NAMESPACE_FILE,
    read_file_of_rows,
    rename_damaged,
)
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

logger = logging.getLogger(__name__)


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
        damaged: Files found since `open` that are damaged, or not of this namespace.
    """

    folder: str
    parts: Mapping[str, Any]
    row_type: np.dtype | None = None
    width: int | None = None
    damaged: list[str] = field(default_factory=list)
    _paths: list[str] = field(default_factory=list)
    _rows: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _mirror: str | None = None
    _width: int | None = None

    def __post_init__(self) -> None:
        """Add the format to the parts."""
        self.parts = {**self.parts, FORMAT: _FORMAT}

    @property
    def namespace(self) -> str:
        """Name of the namespace."""
        return namespace_of(self.parts)

    @property
    def namespace_folder(self) -> str:
        """Folder or URI of this namespace."""
        return join(self.folder, self.namespace)

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
                content, rows = read_file_of_rows(path, self.namespace, self.row_type)
            except FileNotFoundError:
                continue  # another run has renamed it as damaged
            self._seen.add(name)
            if rows is None or not self._has_width(rows):
                self.damaged.append(path)
                rename_damaged(path)
                continue
            self._add(name, content, rows, self._usable(path, rows))

    def _has_width(self, rows: Rows) -> bool:
        return self.width in (None, rows.numbers.shape[1]) or self.row_type is not None

    def _usable(self, path: str, rows: Rows) -> np.ndarray:
        usable = rows.usable(self.row_type)
        if not usable.all():
            logger.warning(
                "%d of %d rows of %s are not finite; they are computed again",
                len(usable) - usable.sum(),
                len(usable),
                path,
            )
        return usable

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
                stored = view_rows(mapped)
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

    def places(self, keys: Sequence[bytes]) -> tuple[list[str], list[int]]:
        """Return where the rows of images are: file, as `<namespace>/<file>`, and row.

        Raises:
            KeyError: The store lacks an image.
        """
        found = [self._rows[key] for key in keys]
        names = [f"{self.namespace}/{os.path.basename(each)}" for each in self._paths]
        return [names[file] for file, _ in found], [row for _, row in found]

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
        self._check_width(numbers.shape[1], "the new rows")
        content = encode_rows(self.namespace, keys, numbers)
        name = hashing.hash_bytes(content) + FILE_SUFFIX
        atomic.write_bytes(join(self.namespace_folder, name), content)
        self._seen.add(name)
        self._add(name, content, Rows(list(keys), numbers), np.ones(len(keys), bool))

    def _add(
        self, name: str, content: bytes | memoryview, rows: Rows, usable: np.ndarray
    ) -> None:
        """Add a verified file to the index, and copy it to the local disk if needed."""
        self._check_width(rows.numbers.shape[1], name)
        folder = self.namespace_folder
        if self._mirror is not None:
            folder = self._mirror
            atomic.write_bytes(os.path.join(folder, name), content)
        index = len(self._paths)
        self._paths.append(os.path.join(folder, name))
        for row, key in enumerate(rows.keys):
            if usable[row]:
                self._rows.setdefault(key, (index, row))

    def _check_width(self, width: int, name: str) -> None:
        if self._width is None:
            self._width = width
        if self._width != width:
            raise DataError(
                f"All files of {self.namespace_folder!r} must have rows of the same "
                f"length. Received: {width} numbers in {name}, {self._width} in "
                f"{[os.path.basename(path) for path in self._paths[:1]]}. Remove the "
                "wrong file: its rows are computed again."
            )
