"""The files of a feature store: their names say what their content must be."""

from __future__ import annotations

import logging

from graft.storage import copying, files, hashing
from graft.storage.drivers import StorageError
from graft.storage.paths import name_of

FILE_SUFFIX = ".arrow"
DAMAGED_SUFFIX = ".damaged"
NAMESPACE_FILE = "namespace.json"

logger = logging.getLogger(__name__)


def read_verified(path: str) -> bytes | None:
    """Read a file of features.

    Returns:
        Its content; None when that is not what its name says, or can't be read.

    Raises:
        FileNotFoundError: It is no longer there.
        StorageError: The object store can't be asked, which says nothing of the file.
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


def set_aside(path: str) -> None:
    """Rename a damaged file, so that it is not read again and can be looked at."""
    try:
        copying.move_file(path, path + DAMAGED_SUFFIX)
    except OSError as error:
        # Another run was faster, or may do what this one may not.
        logger.warning("%s can't be renamed: %s", path, error)
