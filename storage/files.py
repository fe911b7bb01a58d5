"""Read, list and remove local and remote files.

An object store has no real folders. There, a folder exists while it contains a file,
and `make_folder` does nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, BinaryIO, cast

from graft.storage.drivers import SCHEMES, driver_of, errors_of
from graft.storage.paths import is_remote, join, name_of, parent_of, scheme_of

NOT_REGULAR = "Not a regular file"
"""The error's text for a pipe, a socket or a device, which are never read."""

_REQUESTS_AT_ONCE = 16
_SMALL_BYTES = 64 << 20
"""Most bytes of a small file. The largest, an audit log, has about 1 kB per change."""


def exists(path: str) -> bool:
    """Return whether a file or folder exists."""
    if not is_remote(path):
        return os.path.exists(path)
    driver, key = driver_of(path)
    with errors_of(path):
        return bool(driver.exists(key))


def is_file(path: str) -> bool:
    """Return whether a path is an existing file."""
    if not is_remote(path):
        return os.path.isfile(path)
    if path.endswith("/"):
        return False
    driver, key = driver_of(path)
    with errors_of(path):
        return bool(driver.isfile(key))


def is_folder(path: str) -> bool:
    """Return whether a path is an existing folder."""
    if not is_remote(path):
        return os.path.isdir(path)
    driver, key = driver_of(path)
    with errors_of(path):
        return bool(driver.isdir(key))


def size_of(path: str) -> int:
    """Return the size of a file in bytes.

    Raises:
        FileNotFoundError: The file doesn't exist.
    """
    if not is_remote(path):
        return os.path.getsize(path)
    return int(_info(path)["size"])


def modified_at(path: str) -> float:
    """Return a file's modification time in seconds since 1970.

    Raises:
        FileNotFoundError: The file doesn't exist.
    """
    if not is_remote(path):
        return os.path.getmtime(path)
    return seconds_of(_info(path).get(SCHEMES[scheme_of(path)].modified_key))


def seconds_of(moment: Any) -> float:
    """Convert a driver's time to seconds since 1970, and a missing time to 0."""
    if isinstance(moment, datetime):
        return moment.timestamp()
    return float(moment or 0.0)


def _info(path: str) -> dict[str, Any]:
    driver, key = driver_of(path)
    with errors_of(path):
        found: dict[str, Any] = driver.info(key)
    return found


def list_folder(folder: str) -> list[str]:
    """Return the sorted names of the files and folders in a folder.

    Raises:
        FileNotFoundError: The folder doesn't exist.
    """
    if not is_remote(folder):
        return sorted(os.listdir(folder))
    driver, key = driver_of(folder)
    with errors_of(folder):
        found = driver.ls(key, detail=False)
    names = {entry.strip("/")[len(key.strip("/")) :].strip("/") for entry in found}
    return sorted(names - {""})


def files_below(folder: str) -> list[str]:
    """Return the sorted paths of all files below a folder, or none if it is missing."""
    if not is_remote(folder):
        return sorted(
            os.path.join(parent, name)
            for parent, _, names in os.walk(folder)
            for name in names
        )
    driver, key = driver_of(folder)
    with errors_of(folder):
        found = _keys_below(driver, key)
    prefix = key.strip("/") + "/"
    # A key with a trailing slash marks a folder.
    return sorted(
        join(folder, entry.strip("/").removeprefix(prefix))
        for entry in found
        if not entry.endswith("/")
    )


def open_for_reading(path: str) -> BinaryIO:
    """Open a file for reading bytes. A remote file is fetched block by block.

    Raises:
        OSError: The file can't be opened, or is no regular file: a pipe or a device
            would block or never end.
    """
    if not is_remote(path):
        return _open_regular(path)
    driver, key = driver_of(path)
    with errors_of(path):
        return cast(BinaryIO, driver.open(key, "rb"))


def read_bytes(path: str, start: int = 0, length: int | None = None) -> bytes:
    """Return all or some bytes of a file. A remote file takes one request.

    Args:
        path: The file.
        start: Position of the first byte.
        length: Greatest number of bytes to read; None reads to the end.

    Raises:
        OSError: The file can't be read.
    """
    if not is_remote(path):
        with _open_regular(path) as file:
            file.seek(start)
            return file.read(-1 if length is None else length)
    if length == 0:
        return b""
    driver, key = driver_of(path)
    with errors_of(path):
        if not start and length is None:
            return bytes(driver.cat_file(key))
        end = None if length is None else start + length
        return bytes(driver.cat_file(key, start=start, end=end))


def read_text(path: str) -> str:
    """Return the text of a UTF-8 file.

    Raises:
        OSError: The file can't be read.
    """
    return read_bytes(path).decode("utf-8")


def read_small_text(path: str) -> str:
    """Return the text of a UTF-8 file that graft wrote and that can't be large.

    Raises:
        OSError: The file can't be read, is no regular file, or is larger than 64 MiB.
        UnicodeDecodeError: The file is no text.
    """
    if size_of(path) > _SMALL_BYTES:
        message = f"Is larger than {_SMALL_BYTES >> 20} MiB"
        raise OSError(errno.EFBIG, message, path)
    return read_text(path)


def _open_regular(path: str) -> BinaryIO:
    # Without O_NONBLOCK a pipe would block here until somebody writes.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket
            raise _not_regular(path) from error
        raise
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise _not_regular(path)


def _not_regular(path: str) -> OSError:
    return OSError(errno.EINVAL, NOT_REGULAR, path)


def make_folder(folder: str) -> None:
    """Create a local folder and its missing parents."""
    if not is_remote(folder):
        os.makedirs(folder, exist_ok=True)
    else:
        driver_of(folder)


def remove_file(path: str) -> None:
    """Remove a file.

    Raises:
        FileNotFoundError: A local file doesn't exist.
    """
    if not is_remote(path):
        os.remove(path)
        return
    driver, key = driver_of(path)
    with errors_of(path):
        driver.rm_file(key)


def remove_folder(folder: str) -> None:
    """Remove a folder with its contents. A missing folder is not an error."""
    if not is_remote(folder):
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)
        return
    driver, key = driver_of(folder)
    with errors_of(folder), ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
        # A driver's recursive `rm` would expand `*` and brackets in names.
        for _ in pool.map(driver.rm_file, _keys_below(driver, key)):
            pass


def _keys_below(driver: Any, key: str) -> list[str]:
    """Return the keys of all objects below a folder, folder markers included."""
    return [found for found in driver.find(key) if found.strip("/") != key.strip("/")]


@contextlib.contextmanager
def local_copy(path: str) -> Iterator[str]:
    """Yield a local path of a file. A remote file is copied until the context ends.

    Raises:
        OSError: The file can't be read.
    """
    if not is_remote(path):
        yield path
        return
    driver, key = driver_of(path)
    with tempfile.TemporaryDirectory(prefix="graft-") as folder:
        local = os.path.join(folder, name_of(path))
        with errors_of(path):
            driver.get_file(key, local)
        yield local


def upload(local: str, path: str) -> None:
    """Upload a local file to an object store atomically.

    Raises:
        OSError: The object can't be written.
    """
    driver, key = driver_of(path)
    with errors_of(path):
        driver.put_file(local, key)


def make_parent(path: str) -> None:
    """Create the folder of a file if it is missing."""
    parent = parent_of(path)
    if parent:
        make_folder(parent)
