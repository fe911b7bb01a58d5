"""StatisticsGen without a Beam job, if the records fit in memory.

The metadata of images are small. Starting a Beam job takes longer than counting them
(docs/decisions/0006-orchestration.md).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar

import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics import stats_impl
from tfx.components.statistics_gen import executor
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import (
    artifact_utils,
    channel,
    component_spec,
    standard_artifacts,
    standard_component_specs,
)
from tfx_bsl.coders import example_coder

from graft.storage import atomic, tfrecords
from graft.storage.files import files_below, size_of

MAX_BYTES_IN_MEMORY = 1 << 28
"""Beam counts the records if their files are larger than this."""


class Executor(executor.Executor):
    """Count small data in memory. TFX's own executor counts larger data."""

    def Do(
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Write the statistics of every split.

        Args:
            input_dict: `examples`: TFRecord files of tf.Example, by split.
            output_dict: `statistics`: a FeatureStats.pb per split.
            exec_properties: `stats_options_json`, as StatisticsGen writes it.
        """
        examples = artifact_utils.get_single_instance(
            input_dict[standard_component_specs.EXAMPLES_KEY]
        )
        files = {
            split: files_below(artifact_utils.get_split_uri([examples], split))
            for split in artifact_utils.decode_split_names(examples.split_names)
        }
        total = sum(size_of(path) for paths in files.values() for path in paths)
        if total > MAX_BYTES_IN_MEMORY:
            super().Do(input_dict, output_dict, exec_properties)
            return
        options = tfdv.StatsOptions.from_json(
            exec_properties[standard_component_specs.STATS_OPTIONS_JSON_KEY]
        )
        statistics = artifact_utils.get_single_instance(
            output_dict[standard_component_specs.STATISTICS_KEY]
        )
        statistics.split_names = examples.split_names
        statistics.span = examples.span
        for split, paths in files.items():
            folder = artifact_utils.get_split_uri([statistics], split)
            path = os.path.join(folder, executor.DEFAULT_FILE_NAME)
            atomic.write_bytes(path, _count(paths, options).SerializeToString())


def _count(paths: list[str], options: tfdv.StatsOptions) -> Any:
    """Return the DatasetFeatureStatisticsList of TFRecord files of tf.Examples."""
    records: list[bytes] = []
    for path in sorted(paths):
        records += tfrecords.read(path)
    batch = example_coder.ExamplesToRecordBatchDecoder().DecodeBatch(records)
    return stats_impl.generate_statistics_in_memory(batch, options)


class StatisticsGenSpec(component_spec.ComponentSpec):
    """The interface of TFX's StatisticsGen: examples in, statistics out."""

    PARAMETERS: ClassVar[dict[str, component_spec.ExecutionParameter]] = {
        standard_component_specs.STATS_OPTIONS_JSON_KEY: (
            component_spec.ExecutionParameter(type=str)
        ),
    }
    INPUTS: ClassVar[dict[str, component_spec.ChannelParameter]] = {
        standard_component_specs.EXAMPLES_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Examples
        ),
    }
    OUTPUTS: ClassVar[dict[str, component_spec.ChannelParameter]] = {
        standard_component_specs.STATISTICS_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.ExampleStatistics
        ),
    }


class StatisticsGen(base_beam_component.BaseBeamComponent):
    """Count the values of the metadata, per split.

    TFX's decorator form takes no executor class, and this one extends StatisticsGen's.

    Component `outputs` contains:
      - `statistics`: Channel of `standard_artifacts.ExampleStatistics`.
    """

    SPEC_CLASS = StatisticsGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        *,
        examples: channel.BaseChannel,
        feature_names: Sequence[str],
    ) -> None:
        """Declare the node.

        Args:
            examples: The `metadata` of ImageExampleGen.
            feature_names: The features to count.
        """
        options = tfdv.StatsOptions(feature_allowlist=list(feature_names))
        super().__init__(
            spec=StatisticsGenSpec(
                **{
                    standard_component_specs.EXAMPLES_KEY: examples,
                    standard_component_specs.STATS_OPTIONS_JSON_KEY: options.to_json(),
                    standard_component_specs.STATISTICS_KEY: channel.Channel(
                        type=standard_artifacts.ExampleStatistics
                    ),
                }
            )
        )
