"""The Beam transform that turns a shard of images into a shard of features."""

from __future__ import annotations

import collections
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from components import progress
from trainer import features
from trainer.backbone import build_backbone
from trainer.config import ModelConfig
from trainer.errors import DataError
from trainer.feature_engine import FeatureEngine, build_engine

BATCH_SIZE = 64

_CARRIED = {
    features.CONTENT_HASH_KEY: tf.io.FixedLenFeature([], tf.string),
    features.FILENAME_KEY: tf.io.FixedLenFeature([], tf.string),
    features.CLASS_NAME_KEY: tf.io.FixedLenFeature([], tf.string),
}
_RAW = {features.IMAGE_KEY: tf.io.FixedLenFeature([], tf.string), **_CARRIED}


@dataclass(frozen=True)
class Shard:
    """A file of raw examples and the file for their features.

    Attributes:
        source: TFRecord of raw examples (gzip when it ends in `.gz`).
        target: TFRecord to write, in the same compression; appears whole or not at all.
    """

    source: str
    target: str


class ExtractShard(beam.DoFn):
    """Write the features of a shard; the backbone is loaded once a worker.

    Args:
        transform_graph_uri: Folder of the Transform graph.
        model_json: A `ModelConfig` as JSON.
        engine: See `trainer.feature_engine.build_engine`.
        precision: See `trainer.feature_engine.build_engine`.
    """

    _lock = threading.Lock()

    def __init__(
        self, *, transform_graph_uri: str, model_json: str, engine: Any, precision: Any
    ) -> None:
        self._transform_graph_uri = transform_graph_uri
        self._model_json = model_json
        self._engine_name = engine
        self._precision = precision
        self._engine: FeatureEngine | None = None
        self._transform: Any = None

    def setup(self) -> None:
        """Load the Transform graph and the backbone."""
        model = ModelConfig.model_validate_json(self._model_json)
        backbone = build_backbone(model)
        self._engine = build_engine(backbone, self._engine_name, self._precision)
        output = tft.TFTransformOutput(self._transform_graph_uri)
        self._transform = output.transform_features_layer()

    def process(self, shard: Shard) -> Iterator[int]:
        """Yield the number of images of `shard` once their features are written.

        Raises:
            DataError: A class name has no image in the training split.
        """
        compression = "GZIP" if shard.source.endswith(".gz") else ""
        dataset = (
            tf.data.TFRecordDataset(shard.source, compression_type=compression)
            .batch(BATCH_SIZE)
            .map(self._prepare, num_parallel_calls=2)
            .prefetch(2)
        )
        waiting: collections.deque[dict[str, np.ndarray]] = collections.deque()

        def pixels() -> Iterator[np.ndarray]:
            for batch in dataset.as_numpy_iterator():
                waiting.append(batch)
                yield batch.pop(features.PIXELS_KEY)

        assert self._engine is not None  # noqa: S101 - set by setup()
        temporary = f"{shard.target}.{os.getpid()}.{threading.get_ident()}.partial"
        num_images = 0
        with tf.io.TFRecordWriter(temporary, compression) as writer:
            for values in self._engine.run(pixels()):
                batch = waiting.popleft()
                for index, value in enumerate(values):
                    writer.write(_example(batch, index, value))
                num_images += len(values)
                progress.advance("images", len(values))
        tf.io.gfile.rename(temporary, shard.target, overwrite=True)
        yield num_images

    def _prepare(self, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        raw = tf.io.parse_example(serialized, _RAW)
        transformed = self._transform(
            {
                features.IMAGE_KEY: raw[features.IMAGE_KEY],
                features.CLASS_NAME_KEY: raw[features.CLASS_NAME_KEY],
            }
        )
        return {
            features.PIXELS_KEY: transformed[features.PIXELS_KEY],
            features.LABEL_KEY: transformed[features.LABEL_KEY],
            **{key: raw[key] for key in _CARRIED},
        }


def _example(batch: dict[str, np.ndarray], index: int, value: np.ndarray) -> bytes:
    label = int(batch[features.LABEL_KEY][index])
    if label < 0:
        name = batch[features.CLASS_NAME_KEY][index].decode()
        raise DataError(
            f"Class {name!r} has images to evaluate but none in the `train` split. "
            "Add images of it, or leave the class out."
        )
    example = tf.train.Example()
    feature = example.features.feature
    feature[features.FEATURES_KEY].float_list.value.extend(value.ravel().tolist())
    feature[features.LABEL_KEY].int64_list.value.append(label)
    for key in (features.CONTENT_HASH_KEY, features.FILENAME_KEY):
        feature[key].bytes_list.value.append(batch[key][index])
    serialized: bytes = example.SerializeToString()
    return serialized
