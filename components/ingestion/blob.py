"""One file of many images, for those that lie in no file of their own."""

from __future__ import annotations

import os
from types import TracebackType

import tensorflow as tf


class BlobWriter:
    """Append images to one file and tell where each lies.

    Example:
        with BlobWriter("work/images.blob") as blob:
            offset = blob.append(b"...")
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._position = 0
        tf.io.gfile.makedirs(os.path.dirname(path))
        self._file = tf.io.gfile.GFile(path, "wb")

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
        self._file.close()
