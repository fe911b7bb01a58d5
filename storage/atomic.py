"""Write files atomically: a reader sees the complete file or none.

A local file is written under a temporary name in the same folder, flushed to the disk,
and renamed. An object store shows an object only when its upload is complete.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterator

from graft.storage import files
from graft.storage.drivers import driver_of, errors_of
from graft.storage.paths import is_remote, name_of

PARTIAL_SUFFIX = ".partial"
"""Suffix of a local file that is being written. A killed writer leaves it behind."""


@contextlib.contextmanager
def replacing(path: str) -> Iterator[str]:
    """Yield a local path to write to, and move the file to `path` on success.

    Missing folders are created. An error leaves `path` unchanged.

    Example:
        with replacing("gs://bucket/archive.zip") as written:
            with zipfile.ZipFile(written, "w") as archive:
                ...

    Raises:
        OSError: The disk is full, or `path` isn't writable.
    """
    if is_remote(path):
        with tempfile.TemporaryDirectory(prefix="graft-") as folder:
            local = os.path.join(folder, name_of(path))
            yield local
            files.upload(local, path)
        return
    files.make_parent(path)
    unfinished = f"{path}.{uuid.uuid4().hex}{PARTIAL_SUFFIX}"
    try:
        yield unfinished
        flush(unfinished)
        os.replace(unfinished, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(unfinished)
        raise


def write_bytes(path: str, content: bytes | memoryview) -> None:
    """Write a file atomically.

    Raises:
        OSError: The disk is full, or `path` isn't writable.
    """
    if is_remote(path):
        driver, key = driver_of(path)
        with errors_of(path):
            driver.pipe_file(key, bytes(content))
        return
    with replacing(path) as unfinished, open(unfinished, "wb") as file:
        file.write(content)


def write_text(path: str, text: str) -> None:
    """Write a UTF-8 file atomically.

    Raises:
        OSError: The disk is full, or `path` isn't writable.
    """
    write_bytes(path, text.encode("utf-8"))


def flush(path: str) -> None:
    """Flush a local file or folder to the disk, so that it survives a power loss."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
