"""The schemes that are allowed, and the fsspec driver of each."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from graft.contract.errors import UserError
from graft.storage.paths import scheme_of


class Scheme(NamedTuple):
    """How fsspec reaches the files of a scheme.

    Attributes:
        package: Distribution that brings the driver.
        modified_key: Key under which the driver tells when a file was changed.
    """

    package: str
    modified_key: str


SCHEMES = {
    "gs": Scheme("gcsfs", "mtime"),
    "s3": Scheme("s3fs", "LastModified"),
    # Files of one process, for tests.
    "memory": Scheme("fsspec", "created"),
}


_VERSION = "?versionId="


class StorageError(UserError, OSError):
    """A remote file can't be reached: no driver, no credentials, no network."""


def driver_of(path: str) -> tuple[Any, str]:
    """Return the fsspec file system of a URI, and the URI as that file system names it.

    Raises:
        StorageError: The scheme is not allowed, or its driver is not installed.
    """
    scheme = scheme_of(path)
    if scheme not in SCHEMES:
        allowed = ", ".join(f"{name}://" for name in SCHEMES)
        raise StorageError(
            f"A path must be local or begin with one of {allowed}. Received: {path!r}"
        )
    if scheme == "s3" and _VERSION in path:
        # s3fs would read another object: the one named by what comes before.
        raise StorageError(
            f"A name on s3:// must not hold {_VERSION!r}. Received: {path!r}"
        )
    try:
        # A forked process needs connections of its own.
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
    import fsspec

    # Without caches: other processes write to the same folders. One instance serves
    # all threads; fsspec's own cache would connect once for each.
    return fsspec.filesystem(scheme, use_listings_cache=False, skip_instance_cache=True)


def disconnect() -> None:
    """Forget all connections: the next call reads settings and credentials anew."""
    _connect.cache_clear()


@contextlib.contextmanager
def errors_of(path: str) -> Iterator[None]:
    """Turn whatever a driver raises into one of two errors.

    Raises:
        FileNotFoundError: There is no such file; its `filename` is `path`.
        StorageError: Anything else, such as a missing right.
    """
    try:
        yield
    except FileNotFoundError as error:
        message = "No such file or folder"
        raise FileNotFoundError(errno.ENOENT, message, path) from error
    except StorageError:
        raise
    except Exception as error:
        # botocore, aiohttp and google-auth raise classes of their own.
        raise StorageError(
            f"{path!r} can't be reached: {error}. Check the address, the credentials "
            "and the network."
        ) from error
