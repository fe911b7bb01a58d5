"""From a shard of raw examples to batches for the engine: read, decode, resize.

All of it runs in TensorFlow's threads while the engine computes. What waits for the
engine is a few batches and an image per core, however long the shard is: a full buffer
stops the reader.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from trainer import features
from trainer.preprocessing import PreprocessingSpec, normalise_pixels, resize_image

_BATCHES_AHEAD = 2

_IMAGE = {
    features.CONTENT_HASH_KEY: tf.io.FixedLenFeature([], tf.string),
    features.IMAGE_KEY: tf.io.FixedLenFeature([], tf.string),
}

Prepare = Callable[[tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class ImageBatch:
    """Images that are ready for the backbone.

    Attributes:
        keys: SHA-256 of each, 32 bytes.
        pixels: float32 (len(keys), H, W, 3), preprocessed.
    """

    keys: list[bytes]
    pixels: np.ndarray


def compression_of(path: str) -> str:
    """Return TensorFlow's name for the compression that a file's name tells."""
    return "GZIP" if path.endswith(".gz") else ""


def trace_preparation(spec: PreprocessingSpec) -> Prepare:
    """Trace the preprocessing of one encoded image; once per process is enough."""
    prepare: Prepare = tf.function(
        lambda encoded: normalise_pixels(resize_image(encoded, spec), spec.scaling),
        input_signature=[tf.TensorSpec([], tf.string)],
        autograph=False,
    )
    return prepare


def image_batches(
    path: str, wanted: set[bytes], prepare: Prepare, batch_size: int
) -> Iterator[ImageBatch]:
    """Yield the images whose key is in `wanted`, in the order of the file.

    Args:
        path: TFRecord of raw examples.
        wanted: SHA-256 of images, 32 bytes each.
        prepare: Made by `trace_preparation`.
        batch_size: What the engine likes.
    """
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(
            tf.constant([key.hex() for key in wanted]),
            tf.ones([len(wanted)], tf.int64),
        ),
        default_value=0,
    )

    @tf.autograph.experimental.do_not_convert
    def parse(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parsed = tf.io.parse_single_example(record, _IMAGE)
        return parsed[features.CONTENT_HASH_KEY], parsed[features.IMAGE_KEY]

    @tf.autograph.experimental.do_not_convert
    def is_wanted(key: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        return table.lookup(key) > 0

    @tf.autograph.experimental.do_not_convert
    def load(key: tf.Tensor, encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return key, prepare(encoded)

    dataset = (
        tf.data.TFRecordDataset(path, compression_type=compression_of(path))
        .map(parse)
        .filter(is_wanted)
        .map(load, num_parallel_calls=os.cpu_count(), deterministic=True)
        .batch(batch_size)
        .prefetch(_BATCHES_AHEAD)
    )
    for keys, pixels in dataset:
        # A view of the tensor's memory: a batch of 224 pixels is 18 MiB.
        yield ImageBatch(
            [bytes.fromhex(key.decode()) for key in keys.numpy()],
            np.asarray(memoryview(pixels)),
        )
