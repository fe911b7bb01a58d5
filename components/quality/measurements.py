"""What DataQuality measures of each image, kept from run to run.

A measurement depends on the image's bytes and on the code that measures. It lies beside
the features, see `graft.storage.content_store`: the namespace is a hash of the code,
and the key is the SHA-256 of the image. So a run measures only what is new.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
import tensorflow as tf

from graft.components.pictures import wanted_images
from graft.components.quality.image_statistics import ImageStatistics, measure_image
from graft.components.quality.signature import SIGNATURE
from graft.contract import example_keys
from graft.storage import tfrecords
from graft.storage.content_store import store
from graft.storage.content_store.store import ContentStore

MEASUREMENT = np.dtype(
    [
        ("signature", SIGNATURE),
        ("brightness", np.float64),
        ("contrast", np.float64),
        ("sharpness", np.float64),
        ("edge", np.int32),
    ]
)
"""One row: the fields of `ImageStatistics`, unchanged."""

_ROWS_A_FILE = 1 << 14
_RECORDS_AT_ONCE = 1024
_IMAGES_AT_ONCE = 32
# One thread measures smaller files, because two would wait for Python's lock
# (docs/decisions/0060-measured-choices.md).
_BYTES_WORTH_A_THREAD = 8 << 10
_TEXTS = {
    key: tf.io.FixedLenFeature([], tf.string)
    for key in (
        example_keys.CONTENT_HASH_KEY,
        example_keys.FILENAME_KEY,
        example_keys.CLASS_NAME_KEY,
        example_keys.FORMAT_KEY,
    )
}
_NUMBERS = {
    key: tf.io.FixedLenFeature([], tf.int64)
    for key in (example_keys.WIDTH_KEY, example_keys.HEIGHT_KEY)
}
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MeasuredImage:
    """An image as its record describes it, and what was measured of it."""

    content_hash: str
    filename: str
    class_name: str
    format: str
    width: int
    height: int
    statistics: ImageStatistics


class Measurements:
    """Measures images, unless an earlier run has.

    A store that can't be read or written stops nothing: the images are measured, and a
    warning tells why. Use it as a context manager: at its end the rest is stored.

    Args:
        folder: Folder or URI of the store; "" for none.
        code: Hash of the code that measures.

    Attributes:
        num_remembered: Images whose measurement was in the store.
        num_measured: Images that were measured.
    """

    def __init__(self, folder: str, code: str) -> None:
        self.num_remembered = self.num_measured = 0
        self._store: ContentStore | None = None
        self._waiting: dict[bytes, np.void] = {}
        self._pool = ThreadPoolExecutor(os.cpu_count())
        if not folder:
            return
        # The layout is a part, too: rows of another one could not be read.
        parts = {
            store.KIND: store.MEASUREMENTS,
            "code": code,
            "layout": str(MEASUREMENT),
        }
        found = ContentStore(folder, parts, MEASUREMENT)
        with self._tolerated():
            self._store = found.open()

    def __enter__(self) -> Measurements:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Store the rest, and end the threads."""
        self.store_new()
        self._pool.shutdown()

    def lacks_some_of(self, metadata: str) -> bool:
        """Return whether an image of a shard was never measured."""
        keys = [bytes.fromhex(each) for each in _read_records(metadata).content_hashes]
        if self._store is not None:
            with self._tolerated():
                return not self._store.which(keys).all()
        return True

    def of_shard(self, metadata: str, images: str) -> Iterator[MeasuredImage]:
        """Yield all images of a shard, in its order.

        Args:
            metadata: TFRecord of the examples, with or without the images.
            images: TFRecord of the same examples with their images; read only if one of
                them has to be measured.
        """
        records = _read_records(metadata)
        keys = [bytes.fromhex(each) for each in records.content_hashes]
        rows, missing = self._remembered(keys)
        if missing:
            rows |= self._measure(images, missing)
        for index, key in enumerate(keys):
            yield records.measured(index, rows[key])

    def _remembered(
        self, keys: Sequence[bytes]
    ) -> tuple[dict[bytes, np.void], set[bytes]]:
        """Return the known rows, and the keys of the images to measure."""
        rows = {key: self._waiting[key] for key in keys if key in self._waiting}
        if self._store is not None:
            wanted = [key for key in dict.fromkeys(keys) if key not in rows]
            with self._tolerated():
                is_there, stored = self._store.find(wanted)
                rows |= zip(compress(wanted, is_there), stored, strict=True)
        missing = {key for key in keys if key not in rows}
        num_missing = sum(key in missing for key in keys)
        self.num_measured += num_missing
        self.num_remembered += len(keys) - num_missing
        return rows, missing

    def _measure(self, path: str, wanted: set[bytes]) -> dict[bytes, np.void]:
        """Measure some images of a shard."""
        measured: dict[bytes, np.void] = {}
        hashes = [key.hex() for key in wanted]
        for part in _parts(wanted_images([path], hashes)):
            size = sum(len(encoded) for _, encoded in part) / len(part)
            use = self._pool.map if size >= _BYTES_WORTH_A_THREAD else map
            rows = use(_row_of, [encoded for _, encoded in part])
            for (key, encoded), row in zip(part, rows, strict=True):
                measured[key] = row
                # Nothing is stored under a key that was not computed here.
                if hashlib.sha256(encoded).digest() == key:
                    self._waiting[key] = row
        if len(self._waiting) >= _ROWS_A_FILE:
            self.store_new()
        return measured

    def store_new(self) -> None:
        """Store what was measured since the last time."""
        waiting, self._waiting = self._waiting, {}
        if self._store is not None and waiting:
            rows = np.array(list(waiting.values()), MEASUREMENT)
            with self._tolerated():
                self._store.put(list(waiting), rows)

    @contextlib.contextmanager
    def _tolerated(self) -> Iterator[None]:
        """Turn an error of the store into a warning, and use it no more."""
        try:
            yield
        except OSError as error:
            self._store = None
            logger.warning("Measurements of images can't be kept: %s", error)


@dataclass(frozen=True)
class _Records:
    """Some records without their images, in columns."""

    content_hashes: list[str]
    filenames: list[str]
    class_names: list[str]
    formats: list[str]
    widths: list[int]
    heights: list[int]

    def measured(self, index: int, row: np.void) -> MeasuredImage:
        return MeasuredImage(
            self.content_hashes[index],
            self.filenames[index],
            self.class_names[index],
            self.formats[index],
            self.widths[index],
            self.heights[index],
            ImageStatistics(
                signature=row["signature"],
                brightness=float(row["brightness"]),
                contrast=float(row["contrast"]),
                sharpness=float(row["sharpness"]),
                edge=int(row["edge"]),
            ),
        )


def _read_records(path: str) -> _Records:
    columns: dict[str, list[Any]] = {key: [] for key in (*_TEXTS, *_NUMBERS)}
    for batch in tfrecords.dataset([path]).batch(_RECORDS_AT_ONCE):
        parsed = tf.io.parse_example(batch, {**_TEXTS, **_NUMBERS})
        for key in _TEXTS:
            columns[key] += [each.decode() for each in parsed[key].numpy().tolist()]
        for key in _NUMBERS:
            columns[key] += parsed[key].numpy().tolist()
    return _Records(*columns.values())


def _parts(
    images: Iterable[tuple[str, bytes]],
) -> Iterator[list[tuple[bytes, bytes]]]:
    """Yield the images in parts. A pool takes all of its input at once."""
    part: list[tuple[bytes, bytes]] = []
    for content_hash, encoded in images:
        part.append((bytes.fromhex(content_hash), encoded))
        if len(part) == _IMAGES_AT_ONCE:
            yield part
            part = []
    if part:
        yield part


def _row_of(encoded: bytes) -> np.void:
    statistics = measure_image(encoded)
    row = np.zeros((), MEASUREMENT)
    for name in MEASUREMENT.names or ():
        row[name] = getattr(statistics, name)
    scalar: Any = row[()]
    return scalar  # type: ignore[no-any-return]
