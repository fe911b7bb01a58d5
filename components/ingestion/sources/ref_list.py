"""A list of images, which may keep a bounded number of them in memory."""

from __future__ import annotations

import itertools
import pickle
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from graft.components.ingestion.sources.image_ref import ImageRef

_MOST_IN_MEMORY = 20_000
_BLOCK = 5_000


class RefList(Sequence[ImageRef]):
    """Images in the order in which they were added.

    With `is_on_disk`, most of many images are in a temporary file, which the system
    removes with the process. So go through them in order, and seldom.
    """

    def __init__(
        self, refs: Iterable[ImageRef] = (), *, is_on_disk: bool = False
    ) -> None:
        self._is_on_disk = is_on_disk
        self._blocks: _Blocks | None = None
        self._last: list[ImageRef] = []
        self._open: tuple[int, list[ImageRef]] = (-1, [])
        self.extend(refs)

    def append(self, ref: ImageRef) -> None:
        """Add an image.

        Raises:
            OSError: The disk for temporary files is full.
        """
        self._last.append(ref)
        if self._is_on_disk and len(self._last) >= _MOST_IN_MEMORY:
            self._spill()

    def extend(self, refs: Iterable[ImageRef]) -> None:
        """Add images.

        Raises:
            OSError: The disk for temporary files is full.
        """
        for ref in refs:
            self.append(ref)

    def replace(self, refs: Iterable[ImageRef]) -> None:
        """Hold other images from now on. They may be made from the former ones."""
        others = RefList(refs, is_on_disk=self._is_on_disk)
        self._blocks, self._last = others._blocks, others._last
        self._open = (-1, [])

    def clear(self) -> None:
        """Remove all images."""
        self.replace(())

    def __len__(self) -> int:
        return self._num_in_blocks() + len(self._last)

    def __iter__(self) -> Iterator[ImageRef]:
        if self._blocks is not None:
            for number in range(len(self._blocks.offsets)):
                yield from self._blocks.read(number)
        yield from self._last

    @overload
    def __getitem__(self, place: int) -> ImageRef: ...

    @overload
    def __getitem__(self, place: slice) -> list[ImageRef]: ...

    def __getitem__(self, place: int | slice) -> ImageRef | list[ImageRef]:
        if isinstance(place, slice):
            start, stop, step = place.indices(len(self))
            if step < 0:
                return list(self)[place]
            return list(itertools.islice(self, start, stop, step))
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        place %= len(self)
        if self._blocks is None or place >= self._num_in_blocks():
            return self._last[place - self._num_in_blocks()]
        number, within = divmod(place, _BLOCK)
        if number != self._open[0]:
            self._open = number, list(self._blocks.read(number))
        return self._open[1][within]

    def _num_in_blocks(self) -> int:
        return 0 if self._blocks is None else _BLOCK * len(self._blocks.offsets)

    def _spill(self) -> None:
        self._blocks = self._blocks or _Blocks()
        whole = len(self._last) // _BLOCK * _BLOCK
        for first in range(0, whole, _BLOCK):
            self._blocks.write(self._last[first : first + _BLOCK])
        self._last = self._last[whole:]


class _Blocks:
    """Blocks of images in a temporary file."""

    def __init__(self) -> None:
        self.offsets: list[tuple[int, int]] = []
        self._file = tempfile.TemporaryFile(prefix="graft-list-")
        weakref.finalize(self, self._file.close)

    def write(self, refs: Sequence[ImageRef]) -> None:
        packed = pickle.dumps([tuple(ref) for ref in refs])
        self.offsets.append((self._file.seek(0, 2), len(packed)))
        self._file.write(packed)

    def read(self, number: int) -> Iterator[ImageRef]:
        offset, num_bytes = self.offsets[number]
        self._file.seek(offset)
        packed = self._file.read(num_bytes)
        return map(ImageRef._make, pickle.loads(packed))  # noqa: S301 - its own file
