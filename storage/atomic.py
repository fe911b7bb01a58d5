"""Write files that appear whole or not at all.

A local file is written beside its place, flushed to the disk, and renamed. An object
store shows an object once it is complete, so a file is put there in one piece.
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
"""Suffix of a local file that is being written; a killed writer leaves it behind."""


@contextlib.contextmanager
def replacing(path: str) -> Iterator[str]:
    """Give a local path to write to; on success the file is put in its place.

    The folder is made where it is missing. After an error nothing has changed.

    Example:
        with replacing("gs://bucket/archive.zip") as written:
            with zipfile.ZipFile(written, "w") as archive:
                ...

    Raises:
        OSError: The disk is full, or the place can't be written to.
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
    """Write a file in one step.

    Raises:
        OSError: The disk is full, or the place can't be written to.
    """
    if is_remote(path):
        driver, key = driver_of(path)
        with errors_of(path):
            driver.pipe_file(key, bytes(content))
        return
    with replacing(path) as unfinished, open(unfinished, "wb") as file:
        file.write(content)


def write_text(path: str, text: str) -> None:
    """Write a UTF-8 file in one step.

    Raises:
        OSError: The disk is full, or the place can't be written to.
    """
    write_bytes(path, text.encode("utf-8"))


def flush(path: str) -> None:
    """Flush a local file or folder to the disk: it survives a loss of power then."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
