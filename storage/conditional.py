"""Write an object only if nobody else has written it since it was read.

S3 compares ETags (`If-Match`, `If-None-Match`), Google Cloud Storage generations
(`ifGenerationMatch`). Some servers that speak these protocols ignore the conditions:
`is_honoured` tries it.
"""

from __future__ import annotations

import functools
import threading
import uuid
from typing import Any

from graft.storage import files
from graft.storage.drivers import StorageError, driver_of, errors_of
from graft.storage.paths import join, scheme_of

_CONDITIONS = ("PreconditionFailed", "ConditionalRequestConflict")
"""S3's error codes for a condition that does not hold, or no longer."""
_MEMORY = threading.Lock()
"""Makes reading and writing one step for `memory://`, which has no conditions."""


def read(path: str) -> tuple[bytes | None, str | None]:
    """Return an object's content and its tag for `write`; None and None if missing."""
    driver, key = driver_of(path)
    scheme = scheme_of(path)
    try:
        with errors_of(path):
            if scheme == "s3":
                bucket, name, _ = driver.split_path(key)
                # One request, so that content and tag belong together.
                found = driver.call_s3("get_object", Bucket=bucket, Key=name)
                return _body_of(driver, found), str(found["ETag"])
            if scheme == "gs":
                while True:
                    tag = str(driver.info(key)["generation"])
                    content = bytes(driver.cat_file(key))
                    if str(driver.info(key)["generation"]) == tag:
                        return content, tag
            with _MEMORY:
                return bytes(driver.cat_file(key)), _memory_tag(driver, key)
    except FileNotFoundError:
        return None, None


def write(path: str, content: bytes, tag: str | None) -> bool:
    """Write an object if it is still as it was read, and return whether it was written.

    A store without conditions writes it in any case; see `is_honoured`.

    Args:
        path: URI of the object.
        content: Its new content, unlike that of any other writer.
        tag: What `read` returned; None: only if the object does not exist.

    Raises:
        StorageError: The store can't be reached.
    """
    driver, key = driver_of(path)
    scheme = scheme_of(path)
    try:
        with errors_of(path):
            if scheme == "s3":
                bucket, name, _ = driver.split_path(key)
                condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
                driver.call_s3(
                    "put_object", Bucket=bucket, Key=name, Body=content, **condition
                )
            elif scheme == "gs":
                bucket, name, _ = driver.split_path(key)
                driver.call(
                    "POST",
                    f"{driver.base.replace('/storage/v1/', '/upload/storage/v1/')}"
                    f"b/{bucket}/o",
                    uploadType="media",
                    name=name,
                    ifGenerationMatch=tag or "0",
                    data=content,
                    json_out=True,
                )
            else:
                with _MEMORY:
                    if _memory_tag(driver, key) != tag:
                        found = driver.cat_file(key) if driver.isfile(key) else None
                        return bool(found == content)
                    driver.pipe_file(key, content)
    except FileNotFoundError as error:
        if tag is None:
            raise StorageError(f"{path!r} can't be written: no such bucket") from error
        return False  # The object was removed since it was read.
    except StorageError as error:
        if not _is_refusal(error):
            raise
        # A driver repeats a request whose answer was lost. Then the first one counts.
        return read(path)[0] == content
    return True


def is_honoured(folder: str) -> bool:
    """Return whether a store obeys conditions, by writing a small object twice."""
    driver, key = driver_of(folder)
    return _is_honoured(driver, scheme_of(folder), key.partition("/")[0], folder)


@functools.lru_cache
def _is_honoured(driver: Any, scheme: str, bucket: str, folder: str) -> bool:
    del driver, scheme, bucket
    path = join(folder, f".graft-condition-{uuid.uuid4().hex}")
    write(path, b"first", None)
    try:
        if write(path, b"second", None):
            return False
        content, tag = read(path)
        return content == b"first" and not write(path, b"third", f"{tag}0")
    finally:
        files.remove_file(path)


def _memory_tag(driver: Any, key: str) -> str | None:
    """Return the tag of a file in memory; the caller holds `_MEMORY`."""
    if not driver.isfile(key):
        return None
    return str(driver.modified(key).timestamp())


def _body_of(driver: Any, answer: Any) -> bytes:
    from fsspec import asyn

    async def body() -> bytes:
        async with answer["Body"] as stream:
            return bytes(await stream.read())

    content: bytes = asyn.sync(driver.loop, body)
    return content


def _is_refusal(error: BaseException) -> bool:
    """Return whether a condition did not hold, told by the driver's own error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, FileExistsError):
            return True
        response = getattr(cause, "response", None)
        if isinstance(response, dict):
            return response.get("Error", {}).get("Code") in _CONDITIONS
        cause = cause.__cause__
    return False
