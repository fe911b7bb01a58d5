"""A content-addressed store of bottleneck features: what was computed once is believed.

    <folder>/<namespace>/
        namespace.json          what the namespace stands for, for people
        <sha256>.arrow          features of some images; the name is the file's own hash
        openvino-<version>.zip  the backbone's graph, see `feature_engine`

A namespace is everything that decides a feature but the image: preprocessing, weights,
cut, pooling, engine and precision. An image is its SHA-256, so relabelling or moving a
file computes nothing. Files are Arrow IPC (https://arrow.apache.org/docs/format),
written aside and renamed: a reader sees a whole file or none, and several runs may
write at once. A file whose content does not have the hash of its name is never read,
and computed anew.

The folder may be a URI (`gs://...`, `s3://...`). Its files are then kept in a temporary
folder too, for as long as the store is open. In memory there is an index alone, some
250 bytes an image: features stay in the files until they are asked for.
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

from graft.components.features.store_files import (
    FILE_SUFFIX,
    NAMESPACE_FILE,
    read_verified,
    set_aside,
)
from graft.storage import atomic, files, hashing
from graft.storage.paths import is_remote, join

_KEY, _FEATURE = "key", "feature"

logger = logging.getLogger(__name__)


def namespace_of(parts: Mapping[str, Any]) -> str:
    """Return the name, 32 hexadecimal digits, that stands for `parts`."""
    return hashing.hash_json(parts)[:32]


@dataclass(eq=False)
class FeatureStore:
    """The features of one namespace.

    Attributes:
        folder: Folder or URI of the whole store.
        parts: What the namespace stands for.
        damaged: Files that were found damaged since `open`.
    """

    folder: str
    parts: Mapping[str, Any]
    damaged: list[str] = field(default_factory=list)
    _paths: list[str] = field(default_factory=list)
    _rows: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _mirror: str | None = None

    @property
    def namespace_folder(self) -> str:
        """Where this namespace's files lie."""
        return join(self.folder, namespace_of(self.parts))

    def open(self) -> FeatureStore:
        """Make the namespace if there is none, and read its index."""
        if is_remote(self.folder):
            self._mirror = tempfile.mkdtemp(prefix="graft-features-")
            weakref.finalize(self, shutil.rmtree, self._mirror, ignore_errors=True)
        readme = join(self.namespace_folder, NAMESPACE_FILE)
        # Written at every opening of a local store: `prune` goes by the file's time.
        if self._mirror is None or not files.exists(readme):
            text = json.dumps(self.parts, indent=1, sort_keys=True)
            atomic.write_text(readme, text)
        self.refresh()
        return self

    def refresh(self) -> None:
        """Take in what was written since, by whomever."""
        for name in files.list_folder(self.namespace_folder):
            if not name.endswith(FILE_SUFFIX) or name in self._seen:
                continue
            path = join(self.namespace_folder, name)
            try:
                content = read_verified(path)
            except FileNotFoundError:
                continue  # another run has set it aside
            self._seen.add(name)
            if content is None:
                self.damaged.append(path)
                logger.warning("%s is damaged; its features are computed anew", path)
                set_aside(path)
                continue
            self._add(name, content)

    def __len__(self) -> int:
        """Number of images whose features are known."""
        return len(self._rows)

    def __contains__(self, key: bytes) -> bool:
        """Whether the features of the image with SHA-256 `key` (32 bytes) are known."""
        return key in self._rows

    def read(self, keys: Sequence[bytes]) -> np.ndarray:
        """Return the features of some images, float32 (len(keys), F).

        Raises:
            KeyError: Those of an image are not known.
        """
        rows_of: dict[int, list[tuple[int, int]]] = {}
        for position, key in enumerate(keys):
            file, row = self._rows[key]
            rows_of.setdefault(file, []).append((position, row))
        values: np.ndarray | None = None
        for file, pairs in rows_of.items():
            # Mapped for this once: pages that stay mapped would count as our memory.
            with pa.memory_map(self._paths[file]) as mapped:
                stored = _features(mapped)
                if values is None:
                    values = np.empty((len(keys), stored.shape[1]), np.float32)
                positions, rows = np.asarray(pairs).T
                values[positions] = stored[rows]
                del stored
        return np.empty((0, 0), np.float32) if values is None else values

    def put(self, keys: Sequence[bytes], values: np.ndarray) -> None:
        """Store the features of some images; when this returns they survive a kill.

        Args:
            keys: SHA-256 of each image, 32 bytes.
            values: float32 (len(keys), F).
        """
        if not keys:
            return
        flat = pa.array(np.ascontiguousarray(values, np.float32).ravel())
        table = pa.table(
            {
                _KEY: pa.array(list(keys), pa.binary(32)),
                _FEATURE: pa.FixedSizeListArray.from_arrays(flat, values.shape[1]),
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
        """Index a verified file, and have it on a local disk."""
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


def _features(source: pa.NativeFile) -> np.ndarray:
    """View the features of an open file, float32 (rows, F)."""
    column = pa.ipc.open_file(source).read_all().column(_FEATURE).chunk(0)
    values: np.ndarray = column.flatten().to_numpy(zero_copy_only=True)
    return values.reshape(len(column), -1)
