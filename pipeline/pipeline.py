"""The pipeline: every node, wired here and nowhere else, the same on every platform."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow_data_validation as tfdv
from tfx.components.evaluator.component import Evaluator
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.pusher.component import Pusher
from tfx.components.schema_gen.component import SchemaGen
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.components.trainer.component import Trainer
from tfx.components.transform.component import Transform
from tfx.dsl.components.base import executor_spec
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.proto import trainer_pb2, transform_pb2

from components import transform
from components.bottleneck_features.component import BottleneckFeatures
from components.code_fingerprint import code_fingerprint
from components.data_validation.anomaly_check import AnomalyCheck
from components.gate.eval_config import build_eval_config
from components.image_example_gen.component import ImageExampleGen
from components.publishing import executor as publishing
from pipeline.config import PipelineConfig
from trainer import custom_config, features
from trainer.backbone import image_size_of
from trainer.preprocessing import PreprocessingSpec
from trainer.presets import get_preset

_TRAINER_CODE = ("trainer",)
_STATISTICS_KEYS = (
    features.CLASS_NAME_KEY,
    features.FORMAT_KEY,
    features.HEIGHT_KEY,
    features.WIDTH_KEY,
    features.SOURCE_KEY,
)


def create_pipeline(
    config: PipelineConfig,
    *,
    data_fingerprint: str,
    destination_state: str = "",
    metadata_connection_config: object = None,
    beam_args: Sequence[str] = (),
) -> tfx_pipeline.Pipeline:
    """Wire the nodes.

    Args:
        config: The run's config.
        data_fingerprint: `components.image_example_gen.fingerprint.fingerprint`: a
            changed one makes ingestion run again.
        destination_state: A hash of what the model store holds: a changed one makes
            publishing look again.
        metadata_connection_config: Where a local runner keeps metadata.
        beam_args: Arguments for Beam in the nodes that use it.

    Returns:
        A pipeline that names no platform.
    """
    nodes: list[BaseNode] = []

    example_gen = ImageExampleGen(
        data_config=config.data,
        data_fingerprint=data_fingerprint,
        code_fingerprint=code_fingerprint(
            "components.image_example_gen", "trainer.features", "trainer.image_decoding"
        ),
    )
    nodes.append(example_gen)

    statistics_gen = StatisticsGen(
        examples=example_gen.outputs["metadata"],
        stats_options=tfdv.StatsOptions(feature_allowlist=list(_STATISTICS_KEYS)),
    )
    nodes.append(statistics_gen)

    if config.data_validation.schema_path:
        schema_gen = ImportSchemaGen(schema_file=config.data_validation.schema_path)
    else:
        schema_gen = SchemaGen(statistics=statistics_gen.outputs["statistics"])
    nodes.append(schema_gen)

    example_validator = ExampleValidator(
        statistics=statistics_gen.outputs["statistics"],
        schema=schema_gen.outputs["schema"],
    )
    nodes.append(example_validator)

    anomaly_check = AnomalyCheck(
        anomalies=example_validator.outputs["anomalies"],
        code_fingerprint=code_fingerprint("components.data_validation"),
    )
    nodes.append(anomaly_check)

    transform_node = Transform(
        examples=example_gen.outputs["examples"],
        # The contract of an example, not the schema of its values: the pixels' bytes
        # have no statistics.
        schema=example_gen.outputs["schema"],
        preprocessing_fn=f"{transform.__name__}.{transform.preprocessing_fn.__name__}",
        splits_config=transform_pb2.SplitsConfig(analyze=[features.TRAIN_SPLIT]),
        materialize=False,
        disable_statistics=True,
        custom_config={
            transform.PREPROCESSING_KEY: preprocessing_spec(config).to_json(),
            "code_fingerprint": code_fingerprint(
                "components.transform",
                "trainer.features",
                "trainer.image_decoding",
                "trainer.preprocessing",
            ),
        },
    )
    # Nothing is trained on data that does not fit their schema.
    transform_node.add_upstream_node(anomaly_check)
    nodes.append(transform_node)

    training_examples = example_gen.outputs["examples"]
    if config.training.strategy in custom_config.STORED_FEATURES_STRATEGIES:
        bottleneck_features = BottleneckFeatures(
            examples=example_gen.outputs["examples"],
            transform_graph=transform_node.outputs["transform_graph"],
            model=config.model,
            engine=config.features.engine,
            precision=config.features.precision,
            cache_dir=config.feature_cache,
            code_fingerprint=code_fingerprint(
                "components.bottleneck_features", "trainer"
            ),
        )
        nodes.append(bottleneck_features)
        training_examples = bottleneck_features.outputs["features"]

    trainer = Trainer(
        run_fn=custom_config.RUN_FN,
        examples=training_examples,
        transform_graph=transform_node.outputs["transform_graph"],
        train_args=trainer_pb2.TrainArgs(splits=[features.TRAIN_SPLIT]),
        eval_args=trainer_pb2.EvalArgs(splits=[features.EVAL_SPLIT]),
        custom_config={
            custom_config.MODEL_KEY: config.model.model_dump_json(),
            custom_config.TRAINING_KEY: config.training.model_dump_json(),
            "code_fingerprint": code_fingerprint(*_TRAINER_CODE),
        },
    )
    nodes.append(trainer)

    evaluator = Evaluator(
        examples=example_gen.outputs["examples"],
        model=trainer.outputs["model"],
        eval_config=build_eval_config(config.gate),
        example_splits=[features.TEST_SPLIT],
    )
    nodes.append(evaluator)

    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        custom_executor_spec=executor_spec.ExecutorClassSpec(publishing.Executor),
        custom_config={
            publishing.PUSH_KEY: config.push.model_copy(
                update={"destination": config.push_destination}
            ).model_dump_json(),
            publishing.RECORD_KEY: config.model_dump_json(),
            publishing.DESTINATION_STATE_KEY: destination_state,
            "code_fingerprint": code_fingerprint("components.publishing"),
        },
    )
    nodes.append(pusher)

    return tfx_pipeline.Pipeline(
        pipeline_name=config.name,
        pipeline_root=f"{config.pipeline_folder}/artifacts",
        components=nodes,
        enable_cache=True,
        metadata_connection_config=metadata_connection_config,
        beam_pipeline_args=list(beam_args),
    )


def preprocessing_spec(config: PipelineConfig) -> PreprocessingSpec:
    """Return what Transform applies: the preset's preprocessing at the model's size."""
    preset = get_preset(config.model.preset)
    size = image_size_of(config.model)
    return PreprocessingSpec(
        height=size,
        width=size,
        scaling=preset.scaling,
        interpolation=preset.interpolation,
    )
