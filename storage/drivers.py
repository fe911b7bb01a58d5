"""The allowed schemes and their fsspec drivers."""

from __future__ import annotations

import contextlib
import errno
import functools
import importlib
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from graft.contract.errors import UserError
from graft.storage.path_hints import hint_about
from graft.storage.paths import scheme_of


class Scheme(NamedTuple):
    """The fsspec driver of a scheme.

    Attributes:
        package: Distribution that provides the driver.
        module: Module of the driver.
        class_name: Class of the driver.
        modified_key: Key of the modification time in the driver's file information.
    """

    package: str
    module: str
    class_name: str
    modified_key: str


SCHEMES = {
    # Not `gcsfs.GCSFileSystem`: it asks for the bucket's type by gRPC first, and waits
    # a minute where only HTTPS passes.
    "gs": Scheme("gcsfs", "gcsfs.core", "GCSFileSystem", "mtime"),
    "s3": Scheme("s3fs", "s3fs.core", "S3FileSystem", "LastModified"),
    # Kept in the memory of one process, for tests.
    "memory": Scheme(
        "fsspec", "fsspec.implementations.memory", "MemoryFileSystem", "created"
    ),
}


ALLOWED = "gs:// or s3://"
"""The schemes that users may write, for messages."""

_VERSION = "?versionId="


class StorageError(UserError, OSError):
    """A remote file is unreachable: no driver, no credentials or no network."""


def driver_of(path: str) -> tuple[Any, str]:
    """Return the fsspec file system of a URI, and the URI's key in that file system.

    Raises:
        StorageError: The scheme is not allowed, or its driver is not installed.
    """
    scheme = scheme_of(path)
    if scheme not in SCHEMES:
        hint = hint_about(path)
        text = f"A path must be local or begin with {ALLOWED}. Received: {path!r}"
        raise StorageError(f"{text}. {hint}" if hint else text)
    if scheme == "s3" and _VERSION in path:
        # s3fs would drop this part of the name and read another object.
        raise StorageError(
            f"A name on s3:// must not contain {_VERSION!r}. Received: {path!r}"
        )
    try:
        # A forked process needs its own connections.
        driver = _connect(scheme, os.getpid())
    except ImportError as error:
        package = SCHEMES[scheme].package
        raise StorageError(
            f"{scheme}:// needs the package `{package}`: install it with "
            f"`pip install {package}`. Received: {path!r} ({error})"
        ) from error
    return driver, path[path.index("://") + len("://") :].rstrip("/")


@functools.lru_cache
def _connect(scheme: str, process: int) -> Any:
    del process
    module = importlib.import_module(SCHEMES[scheme].module)
    driver = getattr(module, SCHEMES[scheme].class_name)
    # No listings cache: other processes write to the same folders. No instance cache:
    # fsspec's would open one connection per thread, but all threads can share one.
    return driver(use_listings_cache=False, skip_instance_cache=True)


def disconnect() -> None:
    """Drop all connections. The next call reads settings and credentials again."""
    _connect.cache_clear()


@contextlib.contextmanager
def errors_of(path: str) -> Iterator[None]:
    """Translate a driver's exceptions into two kinds of error.

    Raises:
        FileNotFoundError: The file doesn't exist. `filename` is `path`.
        StorageError: Any other failure, such as missing permissions.
    """
    try:
        yield
    except FileNotFoundError as error:
        message = "No such file or folder"
        raise FileNotFoundError(errno.ENOENT, message, path) from error
    except StorageError:
        raise
    except Exception as error:
        # botocore, aiohttp and google-auth have no common base class for errors.
        raise StorageError(
            f"{path!r} can't be reached: {error}. Check the address, the credentials "
            "and the network."
        ) from error
