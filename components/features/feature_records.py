"""Read the records of a shard of examples, and write its records of features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tfx_bsl.coders import example_coder

from graft.contract import example_keys
from graft.contract.errors import DataError
from graft.contract.label_map import NO_LABEL, LabelMap
from graft.storage import files, tfrecords
from graft.storage.content_store.store import ContentStore

_METADATA = {
    key: tf.io.FixedLenFeature([], tf.string)
    for key in (
        example_keys.CONTENT_HASH_KEY,
        example_keys.FILENAME_KEY,
        example_keys.CLASS_NAME_KEY,
    )
}
_READ_BATCH = 1024
_MOST_RECORDS = 1 << 40
_WRITE_BATCH = 256


@dataclass(frozen=True)
class Records:
    """The examples of a shard without their images, in order.

    Attributes:
        keys: SHA-256 of each image, 32 bytes.
        filenames: Path of each image, UTF-8.
        class_names: Class name of each image, UTF-8.
    """

    keys: list[bytes]
    filenames: list[bytes]
    class_names: list[bytes]


def read_records(path: str) -> Records:
    """Read a TFRecord of examples. Images in it are skipped."""
    with files.local_copy(path) as local:
        found = _read_columns(local, tfrecords.compression_of(path))
    columns = {key: column.numpy().tolist() for key, column in found.items()}
    return Records(
        keys=[
            bytes.fromhex(key.decode())
            for key in columns[example_keys.CONTENT_HASH_KEY]
        ],
        filenames=columns[example_keys.FILENAME_KEY],
        class_names=columns[example_keys.CLASS_NAME_KEY],
    )


# Traced once, because building an eager dataset takes longer than reading a shard.
@tf.function(
    input_signature=[tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.string)],
    autograph=False,
)
def _read_columns(path: tf.Tensor, compression: tf.Tensor) -> dict[str, tf.Tensor]:
    no_conversion = tf.autograph.experimental.do_not_convert

    @no_conversion
    def parse(batch: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed: dict[str, tf.Tensor] = tf.io.parse_example(batch, _METADATA)
        return parsed

    records = tf.data.TFRecordDataset(path, compression_type=compression)
    # `get_single_element` fails on an empty shard, so an empty record comes first.
    columns: dict[str, tf.Tensor] = (
        tf.data.Dataset.from_tensors(dict.fromkeys(_METADATA, ""))
        .concatenate(records.batch(_READ_BATCH).map(parse).unbatch())
        .batch(_MOST_RECORDS)
        .get_single_element()
    )
    return {key: column[1:] for key, column in columns.items()}


def labels_of(
    records: Records, label_map: LabelMap, *, may_be_unknown: bool = False
) -> np.ndarray:
    """Return the label of each record, int64 (N,).

    Args:
        records: The examples of a shard.
        label_map: The label map of the training split.
        may_be_unknown: Return `NO_LABEL` for an unknown class instead of raising.

    Raises:
        DataError: A class has no image in the training split.
    """
    labels = label_map.labels_of(records.class_names)
    if NO_LABEL in labels and not may_be_unknown:
        name = records.class_names[labels.index(NO_LABEL)]
        raise DataError(
            f"Class {name.decode(errors='replace')!r} has images to evaluate but "
            "none in the `train` split. Add images of it, or leave the class out."
        )
    return np.array(labels, np.int64)


def write_features(
    target: str,
    records: Records,
    labels: np.ndarray,
    store: ContentStore,
    *,
    as_references: bool,
) -> None:
    """Write a TFRecord of features atomically.

    Args:
        target: Path of the file.
        records: The examples of the shard.
        labels: int64 (N,), the label of each record.
        store: Has the features of all records.
        as_references: Write where the features are in the store, not the features.
    """
    encoder = example_coder.RecordBatchToExamplesEncoder(None)
    with tfrecords.writer(target) as writer:
        for start in range(0, len(records.keys), _WRITE_BATCH):
            part = slice(start, start + _WRITE_BATCH)
            keys = records.keys[part]
            columns: Mapping[str, pa.Array] = {
                **(_references if as_references else _features)(store, keys),
                example_keys.LABEL_KEY: _lists(labels[part, None]),
                example_keys.CONTENT_HASH_KEY: _strings([key.hex() for key in keys]),
                example_keys.FILENAME_KEY: _strings(records.filenames[part]),
            }
            for example in encoder.encode(pa.RecordBatch.from_pydict(columns)):
                writer.write(example)


def _features(store: ContentStore, keys: Sequence[bytes]) -> dict[str, pa.Array]:
    return {example_keys.FEATURES_KEY: _lists(store.read(keys))}


def _references(store: ContentStore, keys: Sequence[bytes]) -> dict[str, pa.Array]:
    names, rows = store.places(keys)
    return {
        example_keys.FEATURES_FILE_KEY: _strings(names),
        example_keys.FEATURES_ROW_KEY: _lists(np.array(rows, np.int64)[:, None]),
    }


def _lists(values: np.ndarray) -> pa.Array:
    """Convert an array (N, F) to N lists of F values."""
    offsets = np.arange(len(values) + 1, dtype=np.int64) * values.shape[1]
    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values.ravel()))


def _strings(values: Sequence[bytes | str]) -> pa.Array:
    """Convert N strings to N lists of one string."""
    return pa.array([[value] for value in values], pa.large_list(pa.large_binary()))
