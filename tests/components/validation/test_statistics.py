"""The statistics counted in memory are those that TFX's own executor counts."""

from __future__ import annotations

import json

import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.components.statistics_gen import executor as tfx_executor
from tfx.types import artifact_utils, standard_artifacts

from graft.components.validation import statistics
from graft.pipeline.beam_settings import keep_beam_local

NUM_RECORDS = 300


def _record(index: int) -> bytes:
    def of(**values: tf.train.Feature) -> tf.train.Features:
        return tf.train.Features(
            feature={key.replace("_", "/"): value for key, value in values.items()}
        )

    name = (b"cat", b"dog", b"santa")[index % 3]
    features = of(
        image_class=tf.train.Feature(bytes_list=tf.train.BytesList(value=[name])),
        image_width=tf.train.Feature(
            int64_list=tf.train.Int64List(value=[100 + index % 7])
        ),
        other=tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"left out"])),
    )
    return tf.train.Example(features=features).SerializeToString()


@pytest.fixture(params=["", "GZIP"], ids=["plain", "gzip"])
def examples(tmp_path, request) -> standard_artifacts.Examples:
    artifact = standard_artifacts.Examples()
    artifact.uri = str(tmp_path / "examples")
    artifact.split_names = '["train", "eval"]'
    artifact.span = 7
    for split, numbers in (("train", range(NUM_RECORDS)), ("eval", range(20))):
        folder = tmp_path / "examples" / f"Split-{split}"
        folder.mkdir(parents=True)
        options = tf.io.TFRecordOptions(compression_type=request.param)
        path = str(folder / f"records-00000{'.gz' if request.param else ''}")
        with tf.io.TFRecordWriter(path, options) as writer:
            for number in numbers:
                writer.write(_record(number))
    return artifact


def _count(executor, examples, folder) -> standard_artifacts.ExampleStatistics:
    counted = standard_artifacts.ExampleStatistics()
    counted.uri = str(folder)
    options = tfdv.StatsOptions(feature_allowlist=["image/class", "image/width"])
    executor.Do(
        {"examples": [examples]},
        {"statistics": [counted]},
        {"stats_options_json": options.to_json(), "exclude_splits": json.dumps([])},
    )
    return counted


def _read(artifact, split) -> statistics_pb2.DatasetFeatureStatistics:
    folder = artifact_utils.get_split_uri([artifact], split)
    (dataset,) = tfdv.load_stats_binary(f"{folder}/FeatureStats.pb").datasets
    return dataset


@pytest.mark.parametrize("split", ["train", "eval"])
def test_both_executors_count_the_same(examples, tmp_path, split):
    keep_beam_local()
    by_beam = _count(tfx_executor.Executor(), examples, tmp_path / "beam")
    in_memory = _count(statistics.Executor(), examples, tmp_path / "memory")
    assert in_memory.split_names == by_beam.split_names
    assert in_memory.span == by_beam.span == 7

    def by_name(artifact):
        found = _read(artifact, split).features
        return {feature.path.step[0]: feature for feature in found}

    expected, found = by_name(by_beam), by_name(in_memory)
    assert set(found) == {"image/class", "image/width"}
    assert found["image/class"] == expected["image/class"]
    assert found["image/width"].num_stats.common_stats.num_non_missing in (300, 20)
    assert found == expected


def test_what_does_not_fit_goes_through_beam(examples, tmp_path, monkeypatch):
    keep_beam_local()
    monkeypatch.setattr(statistics, "MAX_BYTES_IN_MEMORY", 100)
    counted = _count(statistics.Executor(), examples, tmp_path / "memory")
    # Only TFX's own executor says at which rate it sampled.
    assert counted.has_custom_property(tfx_executor.SAMPLE_RATE_BY_SPLIT_PROPERTY_NAME)
    assert _read(counted, "train").num_examples == NUM_RECORDS
