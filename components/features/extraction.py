"""The Beam transform that writes the bottleneck features of a shard.

Features are read from the store. Missing ones are computed and stored first. So a run
computes only the features of new images. A killed run loses at most one file of the
store.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.utils.shared import Shared

from graft.components.features.feature_records import (
    labels_of,
    read_records,
    write_features,
)
from graft.components.features.image_batches import (
    ImageBatch,
    ImageReader,
    trace_preparation,
)
from graft.components.features.output_properties import COMPUTED, DAMAGED, FROM_STORE
from graft.components.progress import Progress
from graft.contract.label_map import LabelMap
from graft.storage.content_store.pins import pin
from graft.storage.content_store.store import ContentStore
from graft.storage.paths import is_remote
from graft.trainer.backbones.backbone import backbone_fingerprint, shared_backbone
from graft.trainer.backbones.feature_engine import (
    FeatureEngine,
    build_engine,
    engine_label,
    resolve_engine,
)
from graft.trainer.config import ModelConfig
from graft.trainer.preprocessing.image_preprocessing import preprocessing_fingerprint
from graft.trainer.preprocessing.spec import PreprocessingSpec

FILE_BYTES = 16 << 20
"""Size of a file of the store. A kill loses the features of at most one file."""

_ATTEMPTS = 3
"""Most attempts to write a shard while files of the store prove to be damaged."""

METRICS_NAMESPACE = "graft.BottleneckFeatures"


@dataclass(frozen=True)
class Shard:
    """The input and output files of one shard.

    Attributes:
        metadata: TFRecord of the examples without their images.
        images: TFRecord of the same examples with their images; read only for images
            that the store lacks.
        target: TFRecord to write atomically.
        may_be_unknown: Whether a class may have no training image; its label is
            `NO_LABEL`.
    """

    metadata: str
    images: str
    target: str
    may_be_unknown: bool = False


@dataclass(frozen=True)
class Extraction:
    """The settings that decide features; Beam sends them to its workers.

    Attributes:
        model_json: A `ModelConfig` as JSON; its head is ignored.
        preprocessing_json: The `PreprocessingSpec` that Transform applies, as JSON.
        engine: See `graft.trainer.backbones.feature_engine.build_engine`.
        precision: See `graft.trainer.backbones.feature_engine.build_engine`.
        store_folder: Folder of the store.
        class_names: The label map.
        artifact: Folder or URI of the artifact whose records refer to the store; "" to
            write the features into the records.
    """

    model_json: str
    preprocessing_json: str
    engine: Any
    precision: Any
    store_folder: str
    class_names: tuple[str, ...]
    artifact: str = ""


class _Worker:
    """The backbone and the store, which all Beam threads of a process share."""

    def __init__(self, extraction: Extraction) -> None:
        self.model = ModelConfig.model_validate_json(extraction.model_json)
        self.spec = PreprocessingSpec.from_json(extraction.preprocessing_json)
        self.extraction = extraction
        self.store = ContentStore(extraction.store_folder, self._parts()).open()
        if extraction.artifact:
            # Before the features are there: nobody may prune them meanwhile.
            pin(extraction.store_folder, self.store.namespace, extraction.artifact)
        self._engine: FeatureEngine | None = None
        self._reader: ImageReader | None = None
        self._num_damaged_counted = 0
        self.lock = threading.Lock()

    @property
    def engine(self) -> FeatureEngine:
        """The engine, built for the first missing image; often none is missing."""
        if self._engine is None:
            is_local = not is_remote(self.extraction.store_folder)
            self._engine = build_engine(
                lambda: shared_backbone(self.model),
                self.extraction.engine,
                self.extraction.precision,
                cache_folder=self.store.namespace_folder if is_local else None,
            )
        return self._engine

    @property
    def reader(self) -> ImageReader:
        """The reader of images. It is built for the first missing image."""
        if self._reader is None:
            prepare = trace_preparation(self.spec)
            self._reader = ImageReader(prepare, self.engine.batch_size)
        return self._reader

    def close_reader(self) -> None:
        """End the threads of the reader. The next missing image starts them again."""
        # Another thread of Beam may still read.
        with self.lock:
            if self._reader is not None:
                self._reader.close()

    def count_damaged(self) -> int:
        """Return the number of damaged files found since the last call."""
        number = len(self.store.damaged) - self._num_damaged_counted
        self._num_damaged_counted += number
        return number

    def _parts(self) -> dict[str, str]:
        return {
            "preprocessing": preprocessing_fingerprint(self.spec),
            "backbone": backbone_fingerprint(self.model),
            "preset": self.model.preset,
            "engine": engine_label(
                resolve_engine(self.extraction.engine), self.extraction.precision
            ),
        }


def release_workers() -> None:
    """Free the memory of the backbone and the store before the next node.

    Beam keeps the last acquired object alive, so this acquires a small one.
    """
    Shared().acquire(set)


class ExtractShard(beam.DoFn):
    """Write the features of a shard.

    Args:
        extraction: The settings that decide features.
        progress: Counts the images.
    """

    def __init__(
        self, extraction: Extraction, progress: Progress | None = None
    ) -> None:
        self._extraction = extraction
        self._progress = progress or Progress()
        self._shared_worker = Shared()
        self._label_map = LabelMap(extraction.class_names)
        self._num_from_store, self._num_computed, self._num_damaged = (
            beam.metrics.Metrics.counter(METRICS_NAMESPACE, name)
            for name in (FROM_STORE, COMPUTED, DAMAGED)
        )

    def setup(self) -> None:
        """Open the store. The backbone is loaded only if an image is missing in it."""
        self._worker: _Worker = self._shared_worker.acquire(
            lambda: _Worker(self._extraction)
        )

    def teardown(self) -> None:
        """Release the backbone and the store, and end the reader's threads."""
        worker: _Worker | None = self.__dict__.pop("_worker", None)
        if worker is not None:
            worker.close_reader()

    def process(self, shard: Shard) -> Iterator[int]:
        """Yield the number of images of `shard` once their features are written.

        Raises:
            DataError: A class name has no image in the training split.
        """
        worker = self._worker
        records = read_records(shard.metadata)
        labels = labels_of(
            records, self._label_map, may_be_unknown=shard.may_be_unknown
        )
        # One shard at a time, because the engine already uses every core.
        with worker.lock:
            missing = self._lacking(records.keys)
            computed = set(missing)
            num_known = sum(key not in missing for key in records.keys)
            self._progress.advance("images", num_known)
            for attempt in range(_ATTEMPTS):
                if missing:
                    self._compute(shard.images, missing)
                try:
                    write_features(
                        shard.target,
                        records,
                        labels,
                        worker.store,
                        as_references=bool(self._extraction.artifact),
                    )
                    break
                except KeyError:
                    # A file of a bucket is verified when its rows are read.
                    missing = worker.store.lacking(records.keys)
                    computed |= missing
                    if attempt == _ATTEMPTS - 1:
                        raise
            num_computed = sum(key in computed for key in records.keys)
            self._num_from_store.inc(len(records.keys) - num_computed)
            self._num_computed.inc(num_computed)
            self._num_damaged.inc(worker.count_damaged())
        yield len(records.keys)

    def _lacking(self, keys: list[bytes]) -> set[bytes]:
        store = self._worker.store
        missing = store.lacking(keys)
        if missing:
            # Another run may have computed some in the meantime.
            store.refresh()
            missing = store.lacking(list(missing))
        return missing

    def _compute(self, images: str, missing: set[bytes]) -> None:
        worker = self._worker
        keys: list[bytes] = []

        def pixels(batches: Iterator[ImageBatch]) -> Iterator[np.ndarray]:
            for batch in batches:
                keys.extend(batch.keys)
                yield batch.pixels

        pending: list[np.ndarray] = []

        def put() -> None:
            if pending:
                values = np.concatenate(pending)
                worker.store.put(keys[: len(values)], values)
                del keys[: len(values)]
                pending.clear()

        # Closed in reverse order: the engine first finishes the batches that it has.
        with (
            closing(worker.reader.read(images, missing)) as batches,
            closing(worker.engine.run(pixels(batches))) as features,
        ):
            for values in features:
                pending.append(values.reshape(len(values), -1))
                self._progress.advance("images", len(values))
                if sum(part.nbytes for part in pending) >= FILE_BYTES:
                    put()
            put()
