"""Read the records of features that BottleneckFeatures writes.

All that read stored features do it here: the Trainer, `graft tune`, DataQuality, the
gate and the report. A record holds its features, or tells where they are in the store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import tensorflow as tf

from graft.contract import example_keys
from graft.contract.counts import counted
from graft.contract.errors import DamagedFileError, DataError
from graft.contract.label_map import NO_LABEL
from graft.storage import tfrecords
from graft.storage.content_store.references import (
    STORE_FILE,
    MissingFileError,
    StoreReference,
    read_reference,
    rows_of,
)
from graft.storage.paths import join, parent_of

Mix = Callable[[tf.data.Dataset, int], tf.data.Dataset]
"""Takes records and the bytes of one image's features; returns the records mixed."""

_RECORDS_AT_ONCE = 1024
_SPEC = {
    example_keys.CONTENT_HASH_KEY: tf.io.FixedLenFeature([], tf.string, ""),
    example_keys.LABEL_KEY: tf.io.FixedLenFeature([], tf.int64, NO_LABEL),
    example_keys.FEATURES_FILE_KEY: tf.io.FixedLenFeature([], tf.string, ""),
    example_keys.FEATURES_ROW_KEY: tf.io.FixedLenFeature([], tf.int64, -1),
    example_keys.FEATURES_KEY: tf.io.RaggedFeature(
        tf.float32, row_splits_dtype=tf.int64
    ),
}


@dataclass(frozen=True)
class FeatureBatch:
    """The features of some images.

    Attributes:
        content_hashes: SHA-256 of each image, hexadecimal.
        labels: int64 (N,).
        values: float32 (N, F); F is 0 for records without features, as raw examples.
    """

    content_hashes: list[bytes]
    labels: np.ndarray
    values: np.ndarray


def read_batches(
    shards: Sequence[str], batch_size: int, *, most: int = -1, mix: Mix | None = None
) -> Iterator[FeatureBatch]:
    """Yield the features of images in batches.

    Args:
        shards: TFRecords of one artifact, of one split or several.
        batch_size: Images per batch; the last batch may have fewer.
        most: Number of images to read at most; -1 for all.
        mix: Changes the order of the images; None keeps it.

    Raises:
        DataError: Records have different numbers of features, or the store that they
            refer to lacks some.
    """
    if not shards:
        return
    records = tfrecords.dataset(shards)
    reference = _reference_of(shards)
    if mix is not None:
        first = next(_parse(records.take(1), 1), None)
        size = 0 if first is None else _values_of(first, reference, shards).nbytes
        records = mix(records, size)
    width = None
    for parsed in _parse(records.take(most), batch_size):
        values = _values_of(parsed, reference, shards)
        width = values.shape[1] if width is None else width
        if values.shape[1] != width:
            _refuse_different(shards)
        yield FeatureBatch(parsed.content_hashes.tolist(), parsed.labels, values)


def stored_files(shards: Sequence[str]) -> set[str]:
    """Return the files of the store that records refer to."""
    return set(_count_files(shards))


@dataclass(frozen=True)
class _Parsed:
    """Some records as they are."""

    content_hashes: np.ndarray
    labels: np.ndarray
    files: np.ndarray
    rows: np.ndarray
    values: np.ndarray
    """All features, one after the other."""
    lengths: np.ndarray


def _parse(records: tf.data.Dataset, batch_size: int) -> Iterator[_Parsed]:
    def parse(serialized: tf.Tensor) -> tuple[tf.Tensor, ...]:
        parsed = tf.io.parse_example(serialized, _SPEC)
        features = parsed[example_keys.FEATURES_KEY]
        return (
            parsed[example_keys.CONTENT_HASH_KEY],
            parsed[example_keys.LABEL_KEY],
            parsed[example_keys.FEATURES_FILE_KEY],
            parsed[example_keys.FEATURES_ROW_KEY],
            features.flat_values,
            features.row_lengths(),
        )

    batches = records.batch(batch_size).map(parse).prefetch(1)
    for batch in batches.as_numpy_iterator():
        yield _Parsed(*batch)


def _reference_of(shards: Sequence[str]) -> StoreReference | None:
    artifacts = {parent_of(parent_of(shard)) for shard in shards}
    found = []
    for artifact in artifacts:
        try:
            found.append(read_reference(artifact))
        except ValueError as error:
            raise DamagedFileError(join(artifact, STORE_FILE)) from error
    if len(found) > 1 and any(found):
        raise DataError(
            "Features that lie in a store must be read of one artifact at a time. "
            f"Received: {sorted(artifacts)}"
        )
    return found[0]


def _values_of(
    parsed: _Parsed, reference: StoreReference | None, shards: Sequence[str]
) -> np.ndarray:
    """Return the features of records, float32 (N, F)."""
    number = len(parsed.labels)
    refers = parsed.files != b""
    if not refers.any():
        if (parsed.lengths != parsed.lengths[0]).any():
            _refuse_different(shards)
        values: np.ndarray = parsed.values.reshape(number, int(parsed.lengths[0]))
        return values
    if reference is None or not refers.all() or len(parsed.values):
        raise DataError(
            f"Records of {parent_of(shards[0])!r} refer to a store, and "
            + (f"{STORE_FILE} is missing there" if reference is None else "others not")
            + ". Move the folder away and run `graft run` again: the node that wrote "
            "it runs anew."
        )
    keys = [bytes.fromhex(each.decode()) for each in parsed.content_hashes]
    names = [each.decode() for each in parsed.files]
    try:
        return rows_of(reference).read(names, parsed.rows, keys)
    except MissingFileError as error:
        _refuse_missing(shards, reference, error)


def _refuse_missing(
    shards: Sequence[str], reference: StoreReference, error: MissingFileError
) -> NoReturn:
    counts = _count_files(shards)
    gone = set(reference.missing())
    lost = sum(number for file, number in counts.items() if file in gone)
    artifact = parent_of(parent_of(shards[0]))
    what = f"{counted(lost, 'image')} of {counts.total()}" if lost else "some images"
    raise DataError(
        f"The store {reference.folders[0]!r} lacks the features of {what}, which "
        f"{artifact!r} refers to: {error}. Put the files back, or move {artifact!r} "
        "away and run `graft run` again, which computes what is missing. With "
        "`features.copy_into_artifact: true` a run keeps a copy of its own."
    ) from error


def _count_files(shards: Sequence[str]) -> Counter[str]:
    """Count the images of each file of the store."""
    counts: Counter[str] = Counter()
    for parsed in _parse(tfrecords.dataset(shards), _RECORDS_AT_ONCE):
        counts.update(each.decode() for each in parsed.files if each)
    return counts


def _refuse_different(shards: Sequence[str]) -> NoReturn:
    """Name the first record with another number of features than the first one."""
    first: tuple[str, int] | None = None
    reference = _reference_of(shards)
    for shard in shards:
        for number, parsed in enumerate(_parse(tfrecords.dataset([shard]), 1)):
            found = _values_of(parsed, reference, [shard]).shape[1]
            first = first or (shard, found)
            if found != first[1]:
                raise DataError(
                    "All records of features must have the same number of features. "
                    f"Received: {found} in record {number} of {shard!r}, {first[1]} in "
                    f"record 0 of {first[0]!r}. Move the folder of the damaged file "
                    "away and run `graft run` again: the node that wrote it runs anew."
                )
    raise AssertionError("the records have changed")
