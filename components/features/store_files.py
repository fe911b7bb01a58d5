"""The files of a feature store: written whole, verified by their name."""

from __future__ import annotations

import hashlib
import logging
import os
import uuid

import tensorflow as tf

FILE_SUFFIX = ".arrow"
DAMAGED_SUFFIX = ".damaged"
TORN_SUFFIX = ".partial"
NAMESPACE_FILE = "namespace.json"

logger = logging.getLogger(__name__)


def is_remote(path: str) -> bool:
    """Whether `path` is a URI of an object store."""
    return "://" in path


def write_whole(path: str, content: bytes | memoryview) -> None:
    """Write a file that appears whole or not at all.

    Raises:
        OSError: The disk is full, or the folder can't be written to.
    """
    if is_remote(path):
        # An object store shows an object once it is complete.
        with tf.io.gfile.GFile(path, "wb") as file:
            file.write(bytes(content))
        return
    unfinished = f"{path}.{uuid.uuid4().hex}{TORN_SUFFIX}"
    try:
        with open(unfinished, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError:
        if os.path.exists(unfinished):
            os.unlink(unfinished)
        raise


def read_verified(path: str) -> bytes | None:
    """Read a file of features.

    Returns:
        Its content; None when that is not what its name says, or can't be read.

    Raises:
        FileNotFoundError: It is no longer there.
        tf.errors.OpError: The object store can't be asked, which says nothing of the
            file.
    """
    try:
        content = _read(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        logger.warning("%s can't be read: %s", path, error)
        return None
    expected = os.path.basename(path).removesuffix(FILE_SUFFIX)
    return content if hashlib.sha256(content).hexdigest() == expected else None


def _read(path: str) -> bytes:
    if not is_remote(path):
        with open(path, "rb") as file:
            return file.read()
    try:
        with tf.io.gfile.GFile(path, "rb") as remote:
            content: bytes = remote.read()
            return content
    except tf.errors.NotFoundError as error:
        raise FileNotFoundError(path) from error


def set_aside(path: str) -> None:
    """Rename a damaged file, so that it is not read again and can be looked at."""
    try:
        tf.io.gfile.rename(path, path + DAMAGED_SUFFIX, overwrite=True)
    except tf.errors.OpError as error:
        # Another run was faster, or may do what this one may not.
        logger.warning("%s can't be renamed: %s", path, error.message)
