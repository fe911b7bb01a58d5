"""A file of many images, for images that have no file of their own."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType

from graft.storage.atomic import replacing


class BlobWriter:
    """Append images to one file, and return the position of each.

    Example:
        with BlobWriter("work/images.blob") as blob:
            offset = blob.append(b"...")
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._position = 0
        self._opened = ExitStack()
        written = self._opened.enter_context(replacing(path))
        self._file = self._opened.enter_context(open(written, "wb"))

    def append(self, encoded: bytes) -> int:
        """Write the bytes of an image; return the position of the first one."""
        position = self._position
        self._file.write(encoded)
        self._position += len(encoded)
        return position

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.__exit__(kind, error, trace)
