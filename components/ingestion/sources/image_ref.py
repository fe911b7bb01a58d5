"""A reference to an image: the location of its bytes, and facts known before reading.

References are listed, shuffled and sent between workers. Pixels never are.
"""

from __future__ import annotations

import json
import os
import stat
from typing import NamedTuple

from graft.components.ingestion.sources.missing_files import hint_about_file
from graft.storage import files
from graft.storage.paths import is_remote

MISSING = "can't be read: No such file or directory"
"""How the reason begins for a file that does not exist."""


class ImageRef(NamedTuple):
    """One listed image.

    Attributes:
        path: File that holds the bytes.
        name: Name to show, relative to the data set's root. It may hold surrogate
            escapes, if the file name is not UTF-8 (see `printable`).
        class_name: Class name.
        source: Folder, manifest or data set of the image. The gate can slice by it.
        splits: The allowed splits. The hash of the content picks one of several.
        size: Size in bytes; None if it is not known before reading.
        offset: Position of the first byte in `path`; None if the image is the file.
        columns: Name and value of the other columns of its line in a manifest.
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
    r"""Return `name` as valid Unicode. Bytes that are not UTF-8 become `\xff`."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        try:
            return os.fsencode(name).decode("utf-8", "backslashreplace")
        except UnicodeEncodeError:  # a lone surrogate, which JSON allows
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
        ValueError: The image can't be read. The message is the reason.
    """
    if ref.size is not None and ref.size > max_bytes:
        raise ValueError(_too_large(max_bytes, f"{ref.size} bytes, "))
    try:
        if is_remote(ref.path):
            if ref.offset is not None:
                return files.read_bytes(ref.path, ref.offset, ref.size or 0)
            if ref.size is None and files.size_of(ref.path) > max_bytes:
                raise ValueError(_too_large(max_bytes))
            encoded = files.read_bytes(ref.path)
        else:
            if ref.offset is not None:
                with open(ref.path, "rb") as file:
                    file.seek(ref.offset)
                    return file.read(ref.size or 0)
            # Opening a pipe would never return.
            if not stat.S_ISREG(os.stat(ref.path).st_mode):
                raise ValueError(f"can't be read: {files.NOT_REGULAR}")
            with open(ref.path, "rb", buffering=0) as file:
                encoded = file.read(max_bytes + 1) or b""
    except FileNotFoundError as error:
        hint = "" if is_remote(ref.path) else hint_about_file(ref.path)
        raise ValueError(f"{MISSING}{hint and f'; {hint}'}") from error
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror or error}") from error
    if len(encoded) > max_bytes:
        raise ValueError(_too_large(max_bytes))
    return encoded


def _too_large(max_bytes: int, size: str = "") -> str:
    return (
        f"file too large: {size}`max_file_bytes` is {max_bytes}; save the image "
        "smaller, or raise `max_file_bytes`"
    )
