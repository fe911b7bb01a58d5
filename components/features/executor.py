"""Executor of the BottleneckFeatures component."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact, artifact_utils

from graft.components import progress
from graft.components.features.extraction import (
    METRICS_NAMESPACE,
    Extraction,
    ExtractShard,
    Shard,
    release_workers,
)
from graft.components.features.output_properties import (
    COMPUTED,
    DAMAGED,
    ENGINE,
    FROM_STORE,
)
from graft.contract import example_keys, split_names
from graft.contract.label_map import LabelMap
from graft.trainer.backbones.feature_engine import engine_label, resolve_engine

EXAMPLES_KEY = "examples"
METADATA_KEY = "metadata"
TRANSFORM_GRAPH_KEY = "transform_graph"
FEATURES_KEY = "features"
MODEL_KEY = "model"
PREPROCESSING_KEY = "preprocessing"
ENGINE_KEY = "engine"
PRECISION_KEY = "precision"
CACHE_DIR_KEY = "cache_dir"

logger = logging.getLogger(__name__)


class Executor(base_beam_executor.BaseBeamExecutor):
    """Write one shard of features beside each shard of raw examples."""

    def Do(
        self,
        input_dict: dict[str, list[artifact.Artifact]],
        output_dict: dict[str, list[artifact.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Extract the features of all splits.

        Those of `test` are for DataQuality alone, which looks for copies of training
        images: nothing is trained on them, and the gate asks the exported model.

        Args:
            input_dict: `examples`, one `Examples` artifact of raw examples; `metadata`,
                the same without images; `transform_graph`, for its label map.
            output_dict: `features`, an `Examples` artifact with all splits; each record
                holds `features`, float32 of the backbone's output, `image/class/label`
                (-1 for a class of `test` that has no training image), `image/key` and
                `image/filename`. Its custom properties tell the `engine`, the numbers
                of images `from_store` and `computed`, and of the store's
                `damaged_files`.
            exec_properties: `model`, a `ModelConfig` as JSON; `preprocessing`, the
                `PreprocessingSpec` that Transform applies, as JSON; `engine` and
                `precision`, see `graft.trainer.backbones.feature_engine`; `cache_dir`,
                folder of the feature store, or empty.
        """
        examples = artifact_utils.get_single_instance(input_dict[EXAMPLES_KEY])
        metadata = artifact_utils.get_single_instance(input_dict[METADATA_KEY])
        graph = artifact_utils.get_single_instance(input_dict[TRANSFORM_GRAPH_KEY])
        output = artifact_utils.get_single_instance(output_dict[FEATURES_KEY])
        output.split_names = artifact_utils.encode_split_names(list(split_names.SPLITS))
        examples_utils.set_payload_format(output, example_gen_pb2.FORMAT_TF_EXAMPLE)
        output.span = examples.span
        shards = []
        for split in split_names.SPLITS:
            source = artifact_utils.get_split_uri([metadata], split)
            images = artifact_utils.get_split_uri([examples], split)
            target = artifact_utils.get_split_uri([output], split)
            fileio.makedirs(target)
            shards += [
                Shard(
                    metadata=os.path.join(source, name),
                    images=os.path.join(images, name),
                    target=os.path.join(target, name),
                    # The gate has a verdict for such a class.
                    may_be_unknown=split == split_names.TEST_SPLIT,
                )
                for name in sorted(fileio.listdir(source))
            ]
        names = tft.TFTransformOutput(graph.uri).vocabulary_by_name(
            example_keys.CLASS_NAMES_VOCABULARY
        )
        # Without a store the features live in the output for as long as this takes.
        store = exec_properties[CACHE_DIR_KEY] or os.path.join(output.uri, "store")
        extraction = Extraction(
            model_json=exec_properties[MODEL_KEY],
            preprocessing_json=exec_properties[PREPROCESSING_KEY],
            engine=exec_properties[ENGINE_KEY],
            precision=exec_properties[PRECISION_KEY],
            store_folder=store,
            class_names=LabelMap.from_lines(names).class_names,
        )
        counters = progress.current()
        counters.expect("images", _num_records(shards))
        try:
            with self._make_beam_pipeline() as pipeline:
                (
                    pipeline
                    | "Shards" >> beam.Create(shards)
                    | "Spread" >> beam.Reshuffle()
                    | "Extract" >> beam.ParDo(ExtractShard(extraction, counters))
                )
            _tell(pipeline.result, extraction, output)
        finally:
            release_workers()
        if not exec_properties[CACHE_DIR_KEY]:
            fileio.rmtree(store)


def _tell(
    result: beam.runners.runner.PipelineResult,
    extraction: Extraction,
    output: artifact.Artifact,
) -> None:
    """Say in the log and on the artifact what was computed, and by which engine."""
    engine = engine_label(resolve_engine(extraction.engine), extraction.precision)
    found = result.metrics().query(
        beam.metrics.MetricsFilter().with_namespace(METRICS_NAMESPACE)
    )
    counts = dict.fromkeys((FROM_STORE, COMPUTED, DAMAGED), 0)
    for counter in found["counters"]:
        counts[counter.key.metric.name] += counter.committed or counter.attempted
    output.set_string_custom_property(ENGINE, engine)
    for name, count in counts.items():
        output.set_int_custom_property(name, count)
    logger.info(
        "Features of %d images from the store, of %d computed by %s.",
        counts[FROM_STORE],
        counts[COMPUTED],
        engine,
    )
    if counts[DAMAGED]:
        logger.warning(
            "%d damaged files of the store %s were set aside and computed anew.",
            counts[DAMAGED],
            extraction.store_folder,
        )


def _num_records(shards: Sequence[Shard]) -> int:
    """Count the records of all shards by their metadata, which is small."""
    return sum(
        int(dataset.reduce(0, lambda count, _: count + 1))
        for dataset in (
            tf.data.TFRecordDataset(
                shard.metadata,
                compression_type="GZIP" if shard.metadata.endswith(".gz") else "",
            )
            for shard in shards
        )
    )
