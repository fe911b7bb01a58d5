"""The images of a data set in columns, which take few bytes an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graft.components.quality.image_statistics import ImageStatistics
from graft.components.quality.signature import SIGNATURE

_ROWS_AT_ONCE = 4096
_NUMBERS = np.dtype(
    [
        ("class_id", np.int32),
        ("split_id", np.int8),
        ("edge", np.int32),
        ("brightness", np.float32),
        ("contrast", np.float32),
        ("sharpness", np.float32),
    ]
)
_WITH_SIGNATURE = np.dtype([*_NUMBERS.descr, ("signature", SIGNATURE)])


@dataclass(frozen=True)
class Example:
    """An image and its statistics."""

    content_hash: str
    filename: str
    class_name: str
    split: str
    statistics: ImageStatistics


@dataclass(frozen=True)
class ImageTable:
    """All images.

    Attributes:
        content_hashes: One string an image.
        filenames: One string an image.
        numbers: Structured array (N,) of the other columns; `signature` is one of
            them unless a cluster searches for near-copies.
        class_names: Name of each `class_id`.
        splits: Name of each `split_id`.
    """

    content_hashes: pa.ChunkedArray
    filenames: pa.ChunkedArray
    numbers: np.ndarray
    class_names: tuple[str, ...]
    splits: tuple[str, ...]

    @classmethod
    def of(cls, examples: Sequence[Example]) -> ImageTable:
        """Make a table of some images."""
        builder = ImageTableBuilder()
        for example in examples:
            builder.add(example)
        return builder.build()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.numbers)

    def content_hash(self, index: int) -> str:
        """Return the content hash of an image."""
        value: str = self.content_hashes[int(index)].as_py()
        return value

    def filename(self, index: int) -> str:
        """Return the file name of an image."""
        value: str = self.filenames[int(index)].as_py()
        return value

    def class_name(self, index: int) -> str:
        """Return the class of an image."""
        name: str = self.class_names[self.numbers["class_id"][index]]
        return name

    def split(self, index: int) -> str:
        """Return the split of an image."""
        name: str = self.splits[self.numbers["split_id"][index]]
        return name

    def is_in(self, split: str) -> np.ndarray:
        """Return whether each image is in a split, bool (N,)."""
        if split not in self.splits:
            return np.zeros(len(self), np.bool_)
        found: np.ndarray = self.numbers["split_id"] == self.splits.index(split)
        return found

    def rows_of(self, content_hashes: pa.Array) -> np.ndarray:
        """Return the index of each content hash, -1 for an unknown one."""
        known = self.content_hashes.combine_chunks()
        found = pc.index_in(content_hashes, value_set=known)
        rows: np.ndarray = found.fill_null(-1).to_numpy(zero_copy_only=False)
        return rows


@dataclass
class ImageTableBuilder:
    """Builds an `ImageTable` image by image.

    Attributes:
        has_signatures: Whether the table has them. They are most of its bytes.
    """

    has_signatures: bool = True
    _num_images: int = 0
    _waiting: list[Example] = field(default_factory=list)
    _hashes: list[pa.Array] = field(default_factory=list)
    _filenames: list[pa.Array] = field(default_factory=list)
    _numbers: list[np.ndarray] = field(default_factory=list)
    _class_ids: dict[str, int] = field(default_factory=dict)
    _split_ids: dict[str, int] = field(default_factory=dict)

    def add(self, example: Example) -> None:
        """Add an image."""
        self._num_images += 1
        self._waiting.append(example)
        if len(self._waiting) >= _ROWS_AT_ONCE:
            self._store()

    def __len__(self) -> int:
        """Number of images so far."""
        return self._num_images

    def build(self) -> ImageTable:
        """Return the table; the builder is empty then."""
        self._store()
        numbers = np.concatenate([np.empty(0, self._dtype()), *self._numbers])
        self._numbers.clear()
        return ImageTable(
            pa.chunked_array(self._hashes, pa.string()),
            pa.chunked_array(self._filenames, pa.string()),
            numbers,
            tuple(self._class_ids),
            tuple(self._split_ids),
        )

    def _dtype(self) -> np.dtype:
        return _WITH_SIGNATURE if self.has_signatures else _NUMBERS

    def _store(self) -> None:
        rows = np.empty(len(self._waiting), self._dtype())
        for row, each in zip(rows, self._waiting, strict=True):
            statistics = each.statistics
            row["class_id"] = self._class_ids.setdefault(
                each.class_name, len(self._class_ids)
            )
            row["split_id"] = self._split_ids.setdefault(
                each.split, len(self._split_ids)
            )
            row["edge"] = statistics.edge
            row["brightness"] = statistics.brightness
            row["contrast"] = statistics.contrast
            row["sharpness"] = statistics.sharpness
            if self.has_signatures:
                row["signature"] = statistics.signature
        self._numbers.append(rows)
        waiting, self._waiting = self._waiting, []
        self._hashes.append(pa.array([e.content_hash for e in waiting], pa.string()))
        self._filenames.append(pa.array([e.filename for e in waiting], pa.string()))
