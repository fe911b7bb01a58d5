"""Executor of the BottleneckFeatures component."""

from __future__ import annotations

import os
from typing import Any

import apache_beam as beam
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact, artifact_utils

from components import progress
from components.bottleneck_features.extraction import ExtractShard, Shard
from trainer import features

EXAMPLES_KEY = "examples"
TRANSFORM_GRAPH_KEY = "transform_graph"
FEATURES_KEY = "features"
MODEL_KEY = "model"
ENGINE_KEY = "engine"
PRECISION_KEY = "precision"
CACHE_DIR_KEY = "cache_dir"
CODE_FINGERPRINT_KEY = "code_fingerprint"

FEATURE_SPLITS = (features.TRAIN_SPLIT, features.EVAL_SPLIT)
"""`test` has none: the gate asks the exported model, which takes images."""


class Executor(base_beam_executor.BaseBeamExecutor):
    """Write one shard of features beside each shard of raw examples."""

    def Do(  # noqa: N802, D102 - TFX's name; documented below
        self,
        input_dict: dict[str, list[artifact.Artifact]],
        output_dict: dict[str, list[artifact.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Extract the features of `train` and `eval`.

        Args:
            input_dict: `examples`, one `Examples` artifact of raw examples;
                `transform_graph`, the `TransformGraph` to preprocess them with.
            output_dict: `features`, an `Examples` artifact with splits `train` and
                `eval`; each record holds `features`, float32 of the backbone's output,
                and `image/class/label`, `image/key`, `image/filename`.
            exec_properties: `model`, a `ModelConfig` as JSON; `engine` and `precision`,
                see `trainer.feature_engine`; `cache_dir`, folder of the store of
                features or empty; `code_fingerprint`, read by TFX's cache alone.
        """
        examples = artifact_utils.get_single_instance(input_dict[EXAMPLES_KEY])
        graph = artifact_utils.get_single_instance(input_dict[TRANSFORM_GRAPH_KEY])
        output = artifact_utils.get_single_instance(output_dict[FEATURES_KEY])
        output.split_names = artifact_utils.encode_split_names(list(FEATURE_SPLITS))
        examples_utils.set_payload_format(output, example_gen_pb2.FORMAT_TF_EXAMPLE)
        output.span = examples.span
        shards = []
        for split in FEATURE_SPLITS:
            source = artifact_utils.get_split_uri([examples], split)
            target = artifact_utils.get_split_uri([output], split)
            fileio.makedirs(target)
            shards += [
                Shard(os.path.join(source, name), os.path.join(target, name))
                for name in sorted(fileio.listdir(source))
            ]
        progress.reset()
        with self._make_beam_pipeline() as pipeline:
            (
                pipeline
                | "Shards" >> beam.Create(shards)
                | "Spread" >> beam.Reshuffle()
                | "Extract"
                >> beam.ParDo(
                    ExtractShard(
                        transform_graph_uri=graph.uri,
                        model_json=exec_properties[MODEL_KEY],
                        engine=exec_properties[ENGINE_KEY],
                        precision=exec_properties[PRECISION_KEY],
                    )
                )
            )
