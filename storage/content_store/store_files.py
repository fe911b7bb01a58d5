"""Read the files of a content store, each verified by the hash in its name."""

from __future__ import annotations

import logging
import os

import numpy as np

from graft.storage import copying, files, hashing
from graft.storage.content_store.rows_file import Rows, RowsFileError, read_rows
from graft.storage.drivers import StorageError
from graft.storage.paths import name_of

FILE_SUFFIX = ".arrow"
DAMAGED_SUFFIX = ".damaged"
NAMESPACE_FILE = "namespace.json"

logger = logging.getLogger(__name__)


def read_verified(path: str) -> bytes | None:
    """Read a file of the store and verify its hash.

    Returns:
        The content; None if the hash does not match, or if reading fails.

    Raises:
        FileNotFoundError: The file no longer exists.
        StorageError: The object store can't be reached. The file may be sound.
    """
    try:
        content = files.read_bytes(path)
    except (FileNotFoundError, StorageError):
        raise
    except OSError as error:
        logger.warning("%s can't be read: %s", path, error)
        return None
    expected = name_of(path).removesuffix(FILE_SUFFIX)
    return content if hashing.hash_bytes(content) == expected else None


def read_file_of_rows(
    path: str, namespace: str, row_type: np.dtype | None = None
) -> tuple[bytes, Rows | None]:
    """Read a file of a namespace, and verify its hash, its format and its namespace.

    Args:
        path: The file.
        namespace: Name of the namespace that its rows must be of.
        row_type: Structured type of a row; None for a row of float32 numbers.

    Returns:
        The content and the rows in it; None for rows if the file is damaged, which a
        warning tells.

    Raises:
        FileNotFoundError: The file no longer exists.
        StorageError: The object store can't be reached. The file may be sound.
    """
    content = read_verified(path)
    if content is None:
        logger.warning("%s is damaged; its content is computed again", path)
        return b"", None
    try:
        return content, read_rows(content, namespace, row_type)
    except RowsFileError as error:
        logger.warning("%s is not used: %s; its content is computed again", path, error)
        return b"", None


def rename_damaged(path: str) -> None:
    """Rename a damaged file. It is not read again, and people can inspect it."""
    try:
        copying.move_file(path, path + DAMAGED_SUFFIX)
    except OSError as error:
        # Another run has renamed it, or this one lacks the permission.
        logger.warning("%s can't be renamed: %s", path, error)


class VerifiedFiles:
    """Remembers which local files were verified, as long as they stay unchanged."""

    def __init__(self) -> None:
        self._states: dict[str, tuple[int, ...]] = {}

    def has(self, path: str) -> bool:
        """Return whether a file is what it was when it was verified."""
        known = self._states.get(path)
        return known is not None and known == state_of(path)

    def add(self, path: str, state: tuple[int, ...]) -> None:
        """Remember a file.

        Args:
            path: The file.
            state: What `state_of` returned before it was read.
        """
        self._states[path] = state


def state_of(path: str) -> tuple[int, ...]:
    """Return what changes when a local file does; () if it is gone."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns
