"""The work of the BottleneckFeatures component."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

import apache_beam as beam
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types import artifact, artifact_utils

from graft.components import progress
from graft.components.beam_jobs import job
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
from graft.contract import split_names
from graft.storage import files, tfrecords
from graft.storage.content_store.references import refer
from graft.trainer.backbones.feature_engine import engine_label, resolve_engine
from graft.trainer.loops.feature_reader import stored_files
from graft.trainer.preprocessing.transform_graph import read_label_map

logger = logging.getLogger(__name__)


def store_features(
    *,
    examples: artifact.Artifact,
    metadata: artifact.Artifact,
    transform_graph: artifact.Artifact,
    features: artifact.Artifact,
    model_json: str,
    preprocessing_json: str,
    engine: str,
    precision: str,
    cache_dir: str,
    copy_into_artifact: bool,
    pipeline: beam.Pipeline,
) -> None:
    """Write one shard of features beside each shard of raw examples.

    The arguments are those of `graft.components.features.component.BottleneckFeatures`.
    """
    features.split_names = artifact_utils.encode_split_names(list(split_names.SPLITS))
    examples_utils.set_payload_format(features, example_gen_pb2.FORMAT_TF_EXAMPLE)
    features.span = examples.span
    shards = _list_shards(examples, metadata, features)
    # Without a store the features are kept in the output until the node ends.
    store = cache_dir or os.path.join(features.uri, "store")
    is_reference = bool(cache_dir) and not copy_into_artifact
    extraction = Extraction(
        model_json=model_json,
        preprocessing_json=preprocessing_json,
        engine=engine,
        precision=precision,
        store_folder=store,
        class_names=read_label_map(transform_graph.uri).class_names,
        artifact=features.uri if is_reference else "",
    )
    counters = progress.current()
    counters.expect("images", _num_records(shards))
    try:
        with job(pipeline, counters, os.path.join(features.uri, "progress")) as running:
            _ = (
                pipeline
                | "Shards" >> beam.Create(shards)
                | "Spread" >> beam.Reshuffle()
                | "Extract" >> beam.ParDo(ExtractShard(extraction, counters))
            )
        _record_counts(running.result, extraction, features)
    finally:
        release_workers()
    if is_reference:
        refer(features.uri, store, stored_files([shard.target for shard in shards]))
    if not cache_dir:
        files.remove_folder(store)


def _list_shards(
    examples: artifact.Artifact,
    metadata: artifact.Artifact,
    features: artifact.Artifact,
) -> list[Shard]:
    """Return the shards of all splits, and make the folders of their features."""
    shards = []
    for split in split_names.SPLITS:
        source, images, target = (
            artifact_utils.get_split_uri([each], split)
            for each in (metadata, examples, features)
        )
        files.make_folder(target)
        shards += [
            Shard(
                metadata=os.path.join(source, name),
                images=os.path.join(images, name),
                target=os.path.join(target, name),
                # The gate reports such a class itself.
                may_be_unknown=split == split_names.TEST_SPLIT,
            )
            for name in files.list_folder(source)
        ]
    return shards


def _record_counts(
    result: beam.runners.runner.PipelineResult,
    extraction: Extraction,
    output: artifact.Artifact,
) -> None:
    """Write the counts and the engine to the log and to the artifact."""
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
        "Features of %d images came from the store, %d were computed by %s.",
        counts[FROM_STORE],
        counts[COMPUTED],
        engine,
    )
    if counts[DAMAGED]:
        logger.warning(
            "%d damaged files in the store %s were renamed. Their features were "
            "computed again.",
            counts[DAMAGED],
            extraction.store_folder,
        )


def _num_records(shards: Sequence[Shard]) -> int:
    """Count the records of all shards. It reads their metadata, which is small."""
    return sum(
        int(tfrecords.dataset([shard.metadata]).reduce(0, lambda count, _: count + 1))
        for shard in shards
    )
