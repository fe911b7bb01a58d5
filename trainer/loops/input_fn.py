"""Read the images of training as a stream, and identify its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from graft.contract import example_keys
from graft.contract.label_map import NO_LABEL, LabelMap
from graft.storage import hashing, tfrecords
from graft.trainer.loops.feature_source import list_shards
from graft.trainer.loops.image_epochs import ImageStream

Transform = Callable[[Mapping[str, tf.Tensor]], Mapping[str, tf.Tensor]]


def image_stream(
    patterns: Sequence[str], transform: Transform, label_map: LabelMap
) -> ImageStream:
    """Stream images from shards of raw examples.

    Args:
        patterns: File patterns of TFRecord shards, written by ImageExampleGen.
        transform: The Transform graph as a layer.
        label_map: Label map of `train`. Other classes get the label `NO_LABEL`.
    """
    spec = {
        key: tf.io.FixedLenFeature([], tf.string)
        for key in (example_keys.IMAGE_KEY, example_keys.CLASS_NAME_KEY)
    }
    names = tf.constant(list(label_map))

    def parse(serialized: tf.Tensor) -> tuple[Mapping[str, tf.Tensor], tf.Tensor]:
        raw = tf.io.parse_single_example(serialized, spec)
        # The Transform graph has the label too, but would decode the image for it.
        matches = tf.equal(names, raw[example_keys.CLASS_NAME_KEY])
        label = tf.where(tf.reduce_any(matches), tf.argmax(matches), NO_LABEL)
        return raw, label

    def decode(raw: Mapping[str, tf.Tensor]) -> tf.Tensor:
        batch = {key: value[tf.newaxis] for key, value in raw.items()}
        return transform(batch)[example_keys.PIXELS_KEY][0]

    return ImageStream(tfrecords.dataset(list_shards(patterns)).map(parse), decode)


def files_digest(patterns: Sequence[str]) -> str:
    """Return the SHA-256 of the bytes of all matching files, 64 hexadecimal digits."""
    return hashing.hash_files(list_shards(patterns))
