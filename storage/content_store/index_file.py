"""The index beside a file of a content store: which row each of its keys has.

    <sha256>.arrow    rows
    <sha256>.index    their keys, sorted, each with its row and that row's checksum

An index tells the namespace and the hash of its file, and ends with its own hash. It
follows from the file alone. So a missing or damaged one is written again.

With it a store can be opened without a look at the rows, and a row of a bucket can be
read and verified alone.
"""

from __future__ import annotations

import hashlib
import logging
import struct
from dataclasses import dataclass

import numpy as np

from graft.storage import atomic, files
from graft.storage.content_store.rows_file import Rows
from graft.storage.content_store.store_files import FILE_SUFFIX
from graft.storage.drivers import StorageError
from graft.storage.paths import join, name_of, parent_of

INDEX_SUFFIX = ".index"
ENTRY = np.dtype(
    [
        ("key", np.dtype("S32")),
        ("row", np.uint32),
        ("check", np.uint64),
        ("is_usable", np.bool_),
    ]
)
"""A row: its image, its place, its checksum, and whether all its numbers are finite."""

_MAGIC = b"graft index 1\n"
_HEADER = struct.Struct("<14s32s32sqqqc")
_HASH_BYTES = 32

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class FileIndex:
    """The index of one file.

    Attributes:
        file: Name of the file.
        namespace: Name of its namespace.
        kind: `f` for rows of float32 numbers, `u` for rows of bytes.
        row_bytes: Length of a row.
        position: Where the first row begins in the file, if the rows lie one after the
            other; -1 if they don't.
        entries: `ENTRY` (N,), by key.
    """

    file: str
    namespace: str
    kind: str
    row_bytes: int
    position: int
    entries: np.ndarray

    @classmethod
    def of(
        cls,
        file: str,
        namespace: str,
        rows: Rows,
        row_type: np.dtype | None = None,
        *,
        with_checks: bool = True,
    ) -> FileIndex:
        """Return the index of a verified file.

        Args:
            file: Name of the file.
            namespace: Name of its namespace.
            rows: What `read_rows` returned.
            row_type: Structured type of a row; None for a row of float32 numbers.
            with_checks: Compute the checksums of the rows, too.
        """
        entries = np.zeros(len(rows.keys), ENTRY)
        entries["key"] = np.frombuffer(b"".join(rows.keys), ENTRY["key"])
        entries["row"] = np.arange(len(entries))
        if with_checks:
            entries["check"] = checks_of(rows.numbers)
        entries["is_usable"] = rows.usable(row_type)
        return cls(
            file=file,
            namespace=namespace,
            kind=rows.numbers.dtype.kind,
            row_bytes=rows.numbers.itemsize * rows.numbers.shape[1],
            position=rows.position,
            entries=entries[np.argsort(entries["key"], kind="stable")],
        )

    @property
    def num_numbers(self) -> int:
        """Numbers of a row."""
        return self.row_bytes // (4 if self.kind == "f" else 1)

    @property
    def digest(self) -> bytes:
        """Hash of what the index tells, apart from the checksums of the rows."""
        found = hashlib.sha256(self._header())
        for name in ("key", "row", "is_usable"):
            found.update(self.entries[name].tobytes())
        return found.digest()

    def encode(self) -> bytes:
        """Return the content of the index file."""
        content = self._header() + self.entries.tobytes()
        return content + hashlib.sha256(content).digest()

    def _header(self) -> bytes:
        return _HEADER.pack(
            _MAGIC,
            self.namespace.encode("ascii"),
            bytes.fromhex(self.file.removesuffix(FILE_SUFFIX)),
            len(self.entries),
            self.row_bytes,
            self.position,
            self.kind.encode("ascii"),
        )

    def by_row(self) -> np.ndarray:
        """Return the entries in the order of the rows."""
        return self.entries[np.argsort(self.entries["row"])]


def checks_of(rows: np.ndarray) -> np.ndarray:
    """Return the checksum of each row, uint64 (N,): the first bytes of its SHA-256."""
    flat = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1)
    digests = b"".join(hashlib.sha256(row.data).digest()[:8] for row in flat)
    return np.frombuffer(digests, np.uint64)


def index_path(path: str) -> str:
    """Return the path of the index of a file."""
    return path.removesuffix(FILE_SUFFIX) + INDEX_SUFFIX


def read_index(path: str) -> FileIndex | None:
    """Read the index of a file.

    Args:
        path: The file. Its folder is its namespace.

    Returns:
        None if there is none, or a damaged one.

    Raises:
        StorageError: The object store can't be reached.
    """
    try:
        content = files.read_bytes(index_path(path))
    except StorageError:
        raise
    except OSError:
        return None
    return _decode(content, path)


def _decode(content: bytes, path: str) -> FileIndex | None:
    body, own_hash = content[:-_HASH_BYTES], content[-_HASH_BYTES:]
    if len(body) < _HEADER.size or hashlib.sha256(body).digest() != own_hash:
        return None
    magic, namespace, file, number, row_bytes, position, kind = _HEADER.unpack_from(
        body
    )
    name = name_of(path)
    if (
        magic != _MAGIC
        or namespace.decode("ascii", "replace") != name_of(parent_of(path))
        or file.hex() + FILE_SUFFIX != name
        or len(body) != _HEADER.size + number * ENTRY.itemsize
    ):
        return None
    entries = np.frombuffer(body, ENTRY, offset=_HEADER.size)
    return FileIndex(
        name, namespace.decode(), kind.decode("ascii"), row_bytes, position, entries
    )


def write_index(folder: str, index: FileIndex) -> None:
    """Write an index beside its file, if the folder is writable.

    Without it the next run reads the whole file.
    """
    path = index_path(join(folder, index.file))
    try:
        atomic.write_bytes(path, index.encode())
    except OSError as error:
        logger.info("%s can't be written: %s", path, error)
