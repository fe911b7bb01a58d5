"""A reference to one image: where its bytes lie and what is known without reading them.

References, never pixels, are what is listed, shuffled and handed from worker to worker.
"""

from __future__ import annotations

import json
import os
import stat
from typing import NamedTuple

from graft.storage import files
from graft.storage.paths import is_remote


class ImageRef(NamedTuple):
    """One listed image.

    Attributes:
        path: File that holds the bytes.
        name: Name to show, relative to the data set's root; it may hold the surrogate
            escapes of a file name that is no UTF-8 (see `printable`).
        class_name: Class name.
        source: Folder, manifest or data set it came from: a slice to evaluate by.
        splits: The splits it may go to; the hash of its content picks one of several.
        size: Size in bytes; None where nobody knows before reading.
        offset: Position of the first byte in `path`; None where the image is the file.
        columns: Further columns of its line in a manifest: name and value.
    """

    path: str
    name: str
    class_name: str
    source: str
    splits: tuple[str, ...]
    size: int | None
    offset: int | None = None
    columns: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(tuple(self))

    @classmethod
    def from_json(cls, line: str | bytes) -> ImageRef:
        """Read what `to_json` wrote."""
        path, name, class_name, source, splits, size, offset, columns = json.loads(line)
        return cls(
            path,
            name,
            class_name,
            source,
            tuple(splits),
            size,
            offset,
            tuple((column, value) for column, value in columns),
        )


def printable(name: str) -> str:
    r"""Return `name` as valid Unicode: bytes that are no UTF-8 become `\xff`."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        try:
            return os.fsencode(name).decode("utf-8", "backslashreplace")
        except UnicodeEncodeError:  # half a pair of surrogates, which JSON can name
            return name.encode("utf-8", "backslashreplace").decode()
    return name


def read_bytes(ref: ImageRef, max_bytes: int) -> bytes:
    """Read the encoded image.

    Args:
        ref: The image.
        max_bytes: Largest size that is read.

    Returns:
        The bytes.

    Raises:
        ValueError: With the reason, when they can't be read.
    """
    if ref.size is not None and ref.size > max_bytes:
        raise ValueError(
            f"file too large: {ref.size} bytes, `max_file_bytes` is {max_bytes}"
        )
    try:
        if is_remote(ref.path):
            if ref.offset is not None:
                return files.read_bytes(ref.path, ref.offset, ref.size or 0)
            if ref.size is None and files.size_of(ref.path) > max_bytes:
                raise ValueError(f"file too large: `max_file_bytes` is {max_bytes}")
            encoded = files.read_bytes(ref.path)
        else:
            if ref.offset is not None:
                with open(ref.path, "rb") as file:
                    file.seek(ref.offset)
                    return file.read(ref.size or 0)
            # Opening a pipe would wait for ever.
            if not stat.S_ISREG(os.stat(ref.path).st_mode):
                raise ValueError("not a regular file")
            with open(ref.path, "rb", buffering=0) as file:
                encoded = file.read(max_bytes + 1) or b""
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror or error}") from error
    if len(encoded) > max_bytes:
        raise ValueError(f"file too large: `max_file_bytes` is {max_bytes}")
    return encoded
