"""The Beam transform that gives each image of a shard its bottleneck features.

Features come from the store; what it lacks is computed and put there first. So a run
that is killed loses at most one file of the store, and a run with little new is little
work.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf

from components import progress
from components.bottleneck_features.store import FeatureStore
from trainer import features
from trainer.backbone import backbone_fingerprint, build_backbone
from trainer.config import ModelConfig
from trainer.errors import DataError
from trainer.feature_engine import (
    FeatureEngine,
    build_engine,
    engine_label,
    resolve_engine,
)
from trainer.preprocessing import (
    PreprocessingSpec,
    normalise_pixels,
    preprocessing_fingerprint,
    resize_image,
)

BATCH_SIZE = 32
PUT_EVERY = 1024
"""Images per file of the store: what a kill can cost, and 5 MiB for 1,280 features."""

_RECORD = {
    features.CONTENT_HASH_KEY: tf.io.FixedLenFeature([], tf.string),
    features.FILENAME_KEY: tf.io.FixedLenFeature([], tf.string),
    features.CLASS_NAME_KEY: tf.io.FixedLenFeature([], tf.string),
}
_IMAGE = {
    features.CONTENT_HASH_KEY: tf.io.FixedLenFeature([], tf.string),
    features.IMAGE_KEY: tf.io.FixedLenFeature([], tf.string),
}


@dataclass(frozen=True)
class Shard:
    """One shard of examples on its way to features.

    Attributes:
        metadata: TFRecord of the examples without their images.
        images: TFRecord of the same examples with them; read only for what is new.
        target: TFRecord to write; appears whole or not at all.
    """

    metadata: str
    images: str
    target: str


@dataclass(frozen=True)
class Extraction:
    """What decides features, as a worker gets it.

    Attributes:
        model_json: A `ModelConfig`; its head is not looked at.
        preprocessing_json: A `PreprocessingSpec`, the one that Transform applies.
        engine: See `trainer.feature_engine.build_engine`.
        precision: See `trainer.feature_engine.build_engine`.
        store_folder: Folder of the store.
        class_names: The label map.
    """

    model_json: str
    preprocessing_json: str
    engine: Any
    precision: Any
    store_folder: str
    class_names: tuple[str, ...]


class _Worker:
    """The backbone and the store, once per process however many threads Beam runs."""

    def __init__(self, extraction: Extraction) -> None:
        self.model = ModelConfig.model_validate_json(extraction.model_json)
        self.spec = PreprocessingSpec.from_json(extraction.preprocessing_json)
        self.extraction = extraction
        self.store = FeatureStore(extraction.store_folder, self._parts()).open()
        self._engine: FeatureEngine | None = None
        self.lock = threading.Lock()
        self.labels = {name: label for label, name in enumerate(extraction.class_names)}

    @property
    def engine(self) -> FeatureEngine:
        """The engine, built at the first image that is new: often there is none."""
        if self._engine is None:
            self._engine = build_engine(
                build_backbone(self.model),
                self.extraction.engine,
                self.extraction.precision,
            )
        return self._engine

    def _parts(self) -> dict[str, str]:
        return {
            "preprocessing": preprocessing_fingerprint(self.spec),
            "backbone": backbone_fingerprint(self.model),
            "preset": self.model.preset,
            "engine": engine_label(
                resolve_engine(self.extraction.engine), self.extraction.precision
            ),
        }


_workers: dict[Extraction, _Worker] = {}
_workers_lock = threading.Lock()


def _worker_for(extraction: Extraction) -> _Worker:
    with _workers_lock:
        if extraction not in _workers:
            _workers.clear()
            _workers[extraction] = _Worker(extraction)
        return _workers[extraction]


def release_workers() -> None:
    """Forget backbone and store, so that their memory is free for the next node."""
    with _workers_lock:
        _workers.clear()


class ExtractShard(beam.DoFn):
    """Write the features of a shard.

    Args:
        extraction: What decides features.
    """

    def __init__(self, extraction: Extraction) -> None:
        self._extraction = extraction
        self.num_cached = beam.metrics.Metrics.counter("graft", "features_from_store")
        self.num_computed = beam.metrics.Metrics.counter("graft", "features_computed")

    def setup(self) -> None:
        """Load the backbone and the store's index."""
        self._worker = _worker_for(self._extraction)

    def process(self, shard: Shard) -> Iterator[int]:
        """Yield the number of images of `shard` once their features are written.

        Raises:
            DataError: A class name has no image in the training split.
        """
        worker = self._worker
        records = list(_read_records(shard.metadata))
        keys = [bytes.fromhex(record[features.CONTENT_HASH_KEY]) for record in records]
        # One shard at a time: the engine uses every core by itself.
        with worker.lock:
            missing = {key for key in keys if key not in worker.store}
            self.num_cached.inc(len(keys) - len(missing))
            self.num_computed.inc(len(missing))
            progress.advance("images", len(keys) - len(missing))
            if missing:
                self._compute(shard.images, missing)
            _write(shard.target, records, keys, worker)
        yield len(records)

    def _compute(self, images: str, missing: set[bytes]) -> None:
        worker = self._worker
        batch_keys: list[Sequence[bytes]] = []

        def pixels() -> Iterator[np.ndarray]:
            for batch in _image_batches(images, missing, worker.spec):
                batch_keys.append(
                    [bytes.fromhex(key.decode()) for key in batch["keys"].tolist()]
                )
                yield batch["pixels"]

        pending_keys: list[bytes] = []
        pending_values: list[np.ndarray] = []

        def put() -> None:
            if pending_keys:
                worker.store.put(pending_keys, np.concatenate(pending_values))
            pending_keys.clear()
            pending_values.clear()

        for index, values in enumerate(worker.engine.run(pixels())):
            pending_keys += batch_keys[index]
            pending_values.append(values.reshape(len(values), -1))
            progress.advance("images", len(values))
            if len(pending_keys) >= PUT_EVERY:
                put()
        put()


def _compression(path: str) -> str:
    return "GZIP" if path.endswith(".gz") else ""


def _read_records(path: str) -> Iterator[dict[str, str]]:
    dataset = tf.data.TFRecordDataset(path, compression_type=_compression(path))
    parsed = dataset.batch(1024).map(lambda batch: tf.io.parse_example(batch, _RECORD))
    for batch in parsed.as_numpy_iterator():
        columns = {
            key: [value.decode("utf-8", "surrogateescape") for value in batch[key]]
            for key in _RECORD
        }
        for index in range(len(batch[features.CONTENT_HASH_KEY])):
            yield {key: column[index] for key, column in columns.items()}


def _image_batches(
    path: str, missing: set[bytes], spec: PreprocessingSpec
) -> Iterator[Mapping[str, np.ndarray]]:
    """Yield preprocessed images whose key is in `missing`, in the order of the file.

    Reading, decoding and resizing run in TensorFlow's threads while the engine
    computes; a few batches are in memory, whatever the size of the file.
    """
    wanted = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(
            tf.constant([key.hex() for key in missing]),
            tf.ones([len(missing)], tf.int64),
        ),
        default_value=0,
    )
    dataset = (
        tf.data.TFRecordDataset(path, compression_type=_compression(path))
        .map(lambda record: tf.io.parse_single_example(record, _IMAGE))
        .filter(lambda row: wanted.lookup(row[features.CONTENT_HASH_KEY]) > 0)
        .map(
            lambda row: {
                "keys": row[features.CONTENT_HASH_KEY],
                "pixels": resize_image(row[features.IMAGE_KEY], spec),
            },
            num_parallel_calls=os.cpu_count(),
            deterministic=True,
        )
        .batch(BATCH_SIZE)
        .map(
            lambda batch: {
                "keys": batch["keys"],
                "pixels": normalise_pixels(batch["pixels"], spec.scaling),
            }
        )
        .prefetch(2)
    )
    yield from dataset.as_numpy_iterator()


def _write(
    target: str,
    records: Sequence[Mapping[str, str]],
    keys: Sequence[bytes],
    worker: _Worker,
) -> None:
    temporary = f"{target}.{os.getpid()}.partial"
    with tf.io.TFRecordWriter(temporary, _compression(target)) as writer:
        for record, key in zip(records, keys, strict=True):
            writer.write(_example(record, worker.store.get(key), worker.labels))
    tf.io.gfile.rename(temporary, target, overwrite=True)


def _example(
    record: Mapping[str, str], value: np.ndarray, labels: Mapping[str, int]
) -> bytes:
    name = record[features.CLASS_NAME_KEY]
    if name not in labels:
        raise DataError(
            f"Class {name!r} has images to evaluate but none in the `train` split. "
            "Add images of it, or leave the class out."
        )
    example = tf.train.Example()
    feature = example.features.feature
    feature[features.FEATURES_KEY].float_list.value.extend(value)
    feature[features.LABEL_KEY].int64_list.value.append(labels[name])
    for key in (features.CONTENT_HASH_KEY, features.FILENAME_KEY):
        feature[key].bytes_list.value.append(
            record[key].encode("utf-8", "surrogateescape")
        )
    serialized: bytes = example.SerializeToString()
    return serialized
