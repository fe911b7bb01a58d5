"""The Beam transform that gives each image of a shard its bottleneck features.

Features come from the store; what it lacks is computed and put there first. So a run
that is killed loses at most one file of the store, and a run with little new is little
work.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
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
from graft.components.features.image_batches import ImageReader, trace_preparation
from graft.components.features.output_properties import COMPUTED, DAMAGED, FROM_STORE
from graft.components.features.store import FeatureStore
from graft.components.progress import Progress
from graft.contract.label_map import LabelMap
from graft.storage.paths import is_remote
from graft.trainer.backbones.backbone import backbone_fingerprint, build_backbone
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
"""Features per file of the store: a kill costs the time to compute so many."""

METRICS_NAMESPACE = "graft.BottleneckFeatures"


@dataclass(frozen=True)
class Shard:
    """One shard of examples on its way to features.

    Attributes:
        metadata: TFRecord of the examples without their images.
        images: TFRecord of the same examples with them; read only for what is new.
        target: TFRecord to write; appears whole or not at all.
        may_be_unknown: Whether classes may lack training images; their label is
            `NO_LABEL`.
    """

    metadata: str
    images: str
    target: str
    may_be_unknown: bool = False


@dataclass(frozen=True)
class Extraction:
    """What decides features, as a worker gets it.

    Attributes:
        model_json: A `ModelConfig`; its head is not looked at.
        preprocessing_json: A `PreprocessingSpec`, the one that Transform applies.
        engine: See `graft.trainer.backbones.feature_engine.build_engine`.
        precision: See `graft.trainer.backbones.feature_engine.build_engine`.
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
        self._reader: ImageReader | None = None
        self._num_damaged_told = 0
        self.lock = threading.Lock()

    @property
    def engine(self) -> FeatureEngine:
        """The engine, built at the first image that is new: often there is none."""
        if self._engine is None:
            is_local = not is_remote(self.extraction.store_folder)
            self._engine = build_engine(
                lambda: build_backbone(self.model),
                self.extraction.engine,
                self.extraction.precision,
                cache_folder=self.store.namespace_folder if is_local else None,
            )
        return self._engine

    @property
    def reader(self) -> ImageReader:
        """The reader of images, built when they are needed."""
        if self._reader is None:
            prepare = trace_preparation(self.spec)
            self._reader = ImageReader(prepare, self.engine.batch_size)
        return self._reader

    def count_damaged(self) -> int:
        """Return how many files were found damaged since the last call."""
        number = len(self.store.damaged) - self._num_damaged_told
        self._num_damaged_told += number
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
    """Free backbone and store for the next node.

    Beam keeps alive what was acquired last: here that becomes something small.
    """
    Shared().acquire(set)


class ExtractShard(beam.DoFn):
    """Write the features of a shard.

    Args:
        extraction: What decides features.
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
        """Open the store; the backbone is loaded when something is missing in it."""
        self._worker: _Worker = self._shared_worker.acquire(
            lambda: _Worker(self._extraction)
        )

    def teardown(self) -> None:
        """Let go of backbone and store."""
        self.__dict__.pop("_worker", None)

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
        # One shard at a time: the engine uses every core by itself.
        with worker.lock:
            if any(key not in worker.store for key in records.keys):
                # Another run may have computed some in the meantime.
                worker.store.refresh()
            missing = {key for key in records.keys if key not in worker.store}
            num_known = sum(key not in missing for key in records.keys)
            self._num_from_store.inc(num_known)
            self._num_computed.inc(len(records.keys) - num_known)
            self._num_damaged.inc(worker.count_damaged())
            self._progress.advance("images", num_known)
            if missing:
                self._compute(shard.images, missing)
            write_features(shard.target, records, labels, worker.store.read)
        yield len(records.keys)

    def _compute(self, images: str, missing: set[bytes]) -> None:
        worker = self._worker
        keys: list[bytes] = []

        def pixels() -> Iterator[np.ndarray]:
            for batch in worker.reader.read(images, missing):
                keys.extend(batch.keys)
                yield batch.pixels

        pending: list[np.ndarray] = []

        def put() -> None:
            if pending:
                values = np.concatenate(pending)
                worker.store.put(keys[: len(values)], values)
                del keys[: len(values)]
                pending.clear()

        for values in worker.engine.run(pixels()):
            pending.append(values.reshape(len(values), -1))
            self._progress.advance("images", len(values))
            if sum(part.nbytes for part in pending) >= FILE_BYTES:
                put()
        put()
