"""A content-addressed store of bottleneck features: what was computed once is believed.

    <folder>/<namespace>/
        namespace.json          what the namespace stands for, for people
        <sha256>.arrow          features of some images; the name is the file's own hash

A namespace is everything that decides a feature but the image: preprocessing, weights,
cut, pooling, engine and precision. An image is its SHA-256, so relabelling or moving a
file computes nothing. Files are Arrow IPC (https://arrow.apache.org/docs/format),
written aside and renamed: a reader sees a whole file or none, and several runs may
write at once. A file whose content does not have the hash of its name is never read,
and computed anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from tfx.dsl.io import fileio

_SUFFIX = ".arrow"
_KEY, _FEATURE = "key", "feature"
_HASH_CHUNK_BYTES = 1 << 22
_TORN_AFTER_SECONDS = 3600.0  # a younger partial file may be a write under way

logger = logging.getLogger(__name__)


def namespace_of(parts: Mapping[str, Any]) -> str:
    """Return the name, 32 hexadecimal digits, that stands for `parts`."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass
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
    _tables: list[pa.Table] = field(default_factory=list)
    _rows: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    @property
    def namespace_folder(self) -> str:
        """Where this namespace's files lie."""
        return os.path.join(self.folder, namespace_of(self.parts))

    def open(self) -> FeatureStore:
        """Make the namespace if there is none, and read its index."""
        fileio.makedirs(self.namespace_folder)
        readme = os.path.join(self.namespace_folder, "namespace.json")
        # Written at every opening: its time is when the namespace was last of use.
        text = json.dumps(self.parts, indent=1, sort_keys=True)
        _write_whole(readme, text.encode())
        self.refresh()
        return self

    def refresh(self) -> None:
        """Take in what was written since, by whomever."""
        for name in sorted(fileio.listdir(self.namespace_folder)):
            if not name.endswith(_SUFFIX) or name in self._seen:
                continue
            self._seen.add(name)
            path = os.path.join(self.namespace_folder, name)
            table = _read_verified(path)
            if table is None:
                self.damaged.append(path)
                logger.warning("%s is damaged; its features are computed anew", path)
                _set_aside(path)
                continue
            self._add(table)

    def __len__(self) -> int:
        """Number of images whose features are known."""
        return len(self._rows)

    def __contains__(self, key: bytes) -> bool:
        """Whether the features of the image with SHA-256 `key` (32 bytes) are known."""
        return key in self._rows

    def get(self, key: bytes) -> np.ndarray:
        """Return the features of an image, float32 (F,).

        Raises:
            KeyError: They are not known.
        """
        table, row = self._rows[key]
        column = self._tables[table].column(_FEATURE)
        return np.asarray(column.chunk(0).slice(row, 1).flatten())

    def put(self, keys: Sequence[bytes], values: np.ndarray) -> None:
        """Store the features of some images; when this returns they survive a kill.

        Args:
            keys: SHA-256 of each image, 32 bytes.
            values: float32 (len(keys), F).
        """
        if not keys:
            return
        width = values.shape[1]
        flat = pa.array(np.ascontiguousarray(values, np.float32).ravel())
        table = pa.table(
            {
                _KEY: pa.array(list(keys), pa.binary(32)),
                _FEATURE: pa.FixedSizeListArray.from_arrays(flat, width),
            }
        )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        content = sink.getvalue().to_pybytes()
        name = hashlib.sha256(content).hexdigest() + _SUFFIX
        _write_whole(os.path.join(self.namespace_folder, name), content)
        self._seen.add(name)
        self._add(table)

    def _add(self, table: pa.Table) -> None:
        index = len(self._tables)
        self._tables.append(table)
        for row, key in enumerate(table.column(_KEY).to_pylist()):
            self._rows.setdefault(key, (index, row))


def _write_whole(path: str, content: bytes) -> None:
    """Write a file that appears whole or not at all."""
    temporary = f"{path}.{uuid.uuid4().hex}.partial"
    if "://" in path:
        # An object store shows an object once it is complete.
        with fileio.open(path, "wb") as file:
            file.write(content)
        return
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _read_verified(path: str) -> pa.Table | None:
    """Read a file of features; None when its content is not what its name says."""
    expected = os.path.basename(path).removesuffix(_SUFFIX)
    try:
        if "://" in path:
            with fileio.open(path, "rb") as file:
                buffer = pa.py_buffer(file.read())
        else:
            # Mapped, not read: a table costs address space until its rows are touched.
            with pa.memory_map(path) as mapped:
                buffer = mapped.read_buffer()
        digest = hashlib.sha256()
        view = memoryview(buffer)
        for start in range(0, len(view), _HASH_CHUNK_BYTES):
            digest.update(view[start : start + _HASH_CHUNK_BYTES])
        if digest.hexdigest() != expected:
            return None
        return pa.ipc.open_file(buffer).read_all()
    except (OSError, pa.ArrowInvalid):
        return None


def _set_aside(path: str) -> None:
    """Rename a damaged file, so that it is not read again and can be looked at."""
    try:
        fileio.rename(path, path + ".damaged", overwrite=True)
    except OSError:
        logger.exception("%s can't be renamed", path)


@dataclass(frozen=True)
class NamespaceSummary:
    """What `graft cache` tells of a namespace.

    Attributes:
        name: The namespace's folder.
        parts: What it stands for.
        num_files: Files of features.
        num_images: Images whose features are in them; -1 where nothing was counted.
        num_bytes: Size of the files.
        num_damaged: Files whose content is not what their name says.
    """

    name: str
    parts: dict[str, Any]
    num_files: int
    num_images: int
    num_bytes: int
    num_damaged: int


def summarise(folder: str) -> Iterable[NamespaceSummary]:
    """Yield what each namespace of a store holds; every file's checksum is verified.

    Args:
        folder: Folder of the store. One that does not exist holds nothing.
    """
    if not fileio.exists(folder):
        return
    for name in sorted(fileio.listdir(folder)):
        path = os.path.join(folder, name.rstrip("/"))
        readme = os.path.join(path, "namespace.json")
        if not fileio.exists(readme):
            continue
        with fileio.open(readme, "r") as file:
            parts = json.loads(file.read())
        files = [
            os.path.join(path, entry)
            for entry in fileio.listdir(path)
            if entry.endswith(_SUFFIX)
        ]
        keys: set[bytes] = set()
        num_bytes = num_damaged = 0
        for entry in files:
            table = _read_verified(entry)
            if table is None:
                num_damaged += 1
                continue
            num_bytes += table.nbytes
            keys.update(table.column(_KEY).to_pylist())
        yield NamespaceSummary(
            os.path.basename(path), parts, len(files), len(keys), num_bytes, num_damaged
        )


def prune(folder: str, unused_seconds: float) -> list[str]:
    """Remove what no run needs: damaged files, torn writes, namespaces out of use.

    Args:
        folder: Local folder of the store.
        unused_seconds: Remove namespaces that no run opened for so long.

    Returns:
        What was removed.
    """
    now = time.time()
    removed = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        readme = os.path.join(entry.path, "namespace.json")
        if not os.path.exists(readme):
            continue
        if now - os.path.getmtime(readme) > unused_seconds:
            shutil.rmtree(entry.path)
            removed.append(entry.path)
            continue
        for file in sorted(os.scandir(entry.path), key=lambda file: file.name):
            is_torn = file.name.endswith(".partial") and (
                now - file.stat().st_mtime > _TORN_AFTER_SECONDS
            )
            if is_torn or file.name.endswith(".damaged"):
                os.unlink(file.path)
                removed.append(file.path)
    return removed
