"""Read and write TFRecords, compressed if the file's name ends in `.gz`.

TensorFlow is imported at the first call, since its import takes seconds.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from graft.storage.atomic import replacing
from graft.storage.files import local_copy
from graft.storage.paths import is_remote

if TYPE_CHECKING:
    import tensorflow as tf


def compression_of(path: str) -> str:
    """Return the TFRecord compression type for a path: `GZIP` or `""`."""
    return "GZIP" if path.endswith(".gz") else ""


@contextlib.contextmanager
def writer(path: str) -> Iterator[Any]:
    """Open a TFRecord file that is written atomically.

    Example:
        with writer("images.tfrecord.gz") as records:
            records.write(example.SerializeToString())

    Raises:
        OSError: The disk is full, or `path` isn't writable.
    """
    import tensorflow as tf

    options = tf.io.TFRecordOptions(compression_type=compression_of(path))
    with replacing(path) as unfinished, tf.io.TFRecordWriter(unfinished, options) as it:
        yield it


def read(path: str) -> Iterator[bytes]:
    """Yield the records of a TFRecord file.

    Raises:
        OSError: The file can't be fetched.
        tf.errors.DataLossError: The file is damaged.
    """
    import tensorflow as tf

    with local_copy(path) as local:
        yield from tf.data.TFRecordDataset(
            local, compression_type=compression_of(path)
        ).as_numpy_iterator()


def dataset(paths: Sequence[str]) -> tf.data.Dataset:
    """Return the records of TFRecord files as a dataset of strings.

    The records keep the order of the files. Remote files are fetched one at a time.
    """
    import tensorflow as tf

    if any(map(is_remote, paths)):
        return tf.data.Dataset.from_generator(
            lambda: (record for path in paths for record in read(path)),
            output_signature=tf.TensorSpec([], tf.string),
        )
    kinds = [compression_of(path) for path in paths]
    if len(set(kinds)) < 2:
        return tf.data.TFRecordDataset(list(paths), compression_type="".join(kinds[:1]))
    named = tf.data.Dataset.from_tensor_slices((list(paths), kinds))
    return named.flat_map(
        lambda path, kind: tf.data.TFRecordDataset(path, compression_type=kind)
    )
