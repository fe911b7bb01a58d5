"""The pipeline: every node, wired here and nowhere else, the same on every platform."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence

from tfx.components.example_validator.component import ExampleValidator
from tfx.components.pusher.component import Pusher
from tfx.components.schema_gen.component import SchemaGen
from tfx.components.transform.component import Transform
from tfx.dsl.components.base import executor_spec
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.proto import trainer_pb2, transform_pb2

from graft.components import transform
from graft.components.canary.component import Canary
from graft.components.evaluation.component import Evaluator
from graft.components.features.component import BottleneckFeatures
from graft.components.ingestion.component import ImageExampleGen
from graft.components.publishing import executor as publishing
from graft.components.publishing import run_view
from graft.components.publishing.run_view import StoreView
from graft.components.publishing.served_model import (
    POSITION_NOW,
    SERVED_NOW,
    ServedModel,
)
from graft.components.quality.component import MEASURING_CODE, DataQuality
from graft.components.report.component import Report
from graft.components.training.component import Trainer
from graft.components.validation.anomaly_check import AnomalyCheck
from graft.components.validation.curated_schema import CuratedSchema, schema_fingerprint
from graft.components.validation.statistics import StatisticsGen
from graft.contract import example_keys, split_names
from graft.pipeline.code_fingerprint import CodeFingerprints
from graft.pipeline.config import PipelineConfig
from graft.trainer import custom_config
from graft.trainer.backbones.backbone import image_size_of
from graft.trainer.backbones.presets import get_preset
from graft.trainer.preprocessing.spec import PreprocessingSpec

CODE_FINGERPRINT_KEY = "code_fingerprint"
"""Execution property of every node: a hash of its code, for TFX's cache alone."""
_FUNCTION_KEYS = ("preprocessing_fn", "run_fn")
"""Execution properties of TFX's nodes that name a function of ours."""
_STATISTICS_KEYS = (
    example_keys.CLASS_NAME_KEY,
    example_keys.FORMAT_KEY,
    example_keys.HEIGHT_KEY,
    example_keys.WIDTH_KEY,
    example_keys.SOURCE_KEY,
)


def create_pipeline(
    config: PipelineConfig,
    *,
    data_fingerprint: str,
    look_at_store: Callable[[str, str], StoreView] | None = None,
    metadata_connection_config: object = None,
    beam_args: Sequence[str] = (),
) -> tfx_pipeline.Pipeline:
    """Wire the nodes.

    This function is long on purpose: it shows the whole pipeline in one place.

    Args:
        config: The run's config.
        data_fingerprint: `graft.components.ingestion.fingerprint.fingerprint`: a
            changed one makes ingestion run again.
        look_at_store: Returns what the run sees of the model store, given the run's
            `candidate_key` and `judge_key`; see `view_store`. None: the nodes look
            when they run.
        metadata_connection_config: Where a local runner keeps metadata.
        beam_args: Arguments for Beam in the nodes that use it.

    Returns:
        A pipeline that names no platform.
    """
    nodes: list[BaseNode] = []
    fingerprints = CodeFingerprints()
    preprocessing = preprocessing_spec(config).to_json()

    example_gen = ImageExampleGen(
        data_config=config.data,
        data_fingerprint=data_fingerprint,
    )
    nodes.append(example_gen)

    statistics_gen = StatisticsGen(
        examples=example_gen.outputs["metadata"],
        feature_names=_STATISTICS_KEYS,
    )
    nodes.append(statistics_gen)

    if schema_path := config.data_validation.schema_path:
        schema_gen = CuratedSchema(
            path=schema_path,
            content_fingerprint=schema_fingerprint(schema_path),
        )
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
    )
    nodes.append(anomaly_check)

    transform_node = Transform(
        examples=example_gen.outputs["examples"],
        # The contract of an example, not the schema of its values: the pixels' bytes
        # have no statistics.
        schema=example_gen.outputs["schema"],
        preprocessing_fn=f"{transform.__name__}.{transform.preprocessing_fn.__name__}",
        splits_config=transform_pb2.SplitsConfig(analyze=[split_names.TRAIN_SPLIT]),
        materialize=False,
        disable_statistics=True,
        custom_config={transform.PREPROCESSING_KEY: preprocessing},
    )
    # Nothing is trained on data that does not fit their schema.
    transform_node.add_upstream_node(anomaly_check)
    nodes.append(transform_node)

    training_examples = example_gen.outputs["examples"]
    stored_features = None
    if config.training.strategy in custom_config.STORED_FEATURES_STRATEGIES:
        bottleneck_features = BottleneckFeatures(
            examples=example_gen.outputs["examples"],
            metadata=example_gen.outputs["metadata"],
            transform_graph=transform_node.outputs["transform_graph"],
            model=config.model.model_dump_json(exclude={"head", "output"}),
            preprocessing=preprocessing,
            engine=config.features.engine,
            precision=config.features.precision,
            cache_dir=config.feature_cache,
            copy_into_artifact=config.features.copy_into_artifact,
        )
        nodes.append(bottleneck_features)
        stored_features = bottleneck_features.outputs["features"]
        training_examples = stored_features

    data_quality = DataQuality(
        examples=example_gen.outputs["examples"],
        metadata=example_gen.outputs["metadata"],
        training_examples=training_examples,
        config=config.data_quality.model_dump_json(),
        cache_dir=config.feature_cache,
        measuring_code=fingerprints.of(MEASURING_CODE),
    )
    nodes.append(data_quality)
    if config.data_quality.drops:
        training_examples = data_quality.outputs["checked_examples"]

    trainer = Trainer(
        run_fn=custom_config.RUN_FN,
        examples=training_examples,
        transform_graph=transform_node.outputs["transform_graph"],
        train_args=trainer_pb2.TrainArgs(splits=[split_names.TRAIN_SPLIT]),
        eval_args=trainer_pb2.EvalArgs(splits=[split_names.EVAL_SPLIT]),
        custom_config={
            custom_config.MODEL_KEY: config.model.model_dump_json(),
            custom_config.TRAINING_KEY: config.training.model_dump_json(
                exclude={"checkpoints"}
            ),
            custom_config.CHECKPOINTS_KEY: config.checkpoint_folder,
            custom_config.CODE_FINGERPRINT_KEY: fingerprints.of(custom_config.RUN_FN),
            **_warm_start(config, preprocessing),
        },
    )
    # A check whose policy is `fail` ends the run before the long part.
    trainer.add_upstream_node(data_quality)
    nodes.append(trainer)

    keys = (
        candidate_key(config, data_fingerprint, trainer, nodes, fingerprints),
        judge_key(config, fingerprints),
    )
    store = look_at_store(*keys) if look_at_store else None
    served_model = ServedModel(
        destination=config.push_destination,
        model_name=config.push.model_name,
        version=store.baseline_version if store else SERVED_NOW,
        audit_position=store.audit_position if store else POSITION_NOW,
    )
    nodes.append(served_model)

    evaluator = Evaluator(
        examples=example_gen.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=served_model.outputs["model"],
        quality=data_quality.outputs["quality"],
        features=stored_features,
        gate=config.gate.model_dump_json(),
        cache_dir=config.feature_cache,
    )
    nodes.append(evaluator)

    infra_blessing = None
    if config.canary.enabled:
        canary = Canary(
            model=trainer.outputs["model"],
            examples=example_gen.outputs["examples"],
            evaluation=evaluator.outputs["evaluation"],
            canary=config.canary.model_dump_json(),
        )
        nodes.append(canary)
        infra_blessing = canary.outputs["blessing"]

    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=infra_blessing,
        custom_executor_spec=executor_spec.ExecutorClassSpec(publishing.Executor),
        custom_config={
            publishing.PUSH_KEY: config.resolved_push.model_dump_json(),
            publishing.RECORD_KEY: json.dumps(
                _manifest_record(config, data_fingerprint, keys, store)
            ),
        },
    )
    nodes.append(pusher)

    report = Report(
        examples=example_gen.outputs["examples"],
        quarantine=example_gen.outputs["quarantine"],
        anomalies=example_validator.outputs["anomalies"],
        model=trainer.outputs["model"],
        model_run=trainer.outputs["model_run"],
        evaluation=evaluator.outputs["evaluation"],
        pushed_model=pusher.outputs["pushed_model"],
        infra_blessing=infra_blessing,
        quality=data_quality.outputs["quality"],
        features=stored_features,
        config=config.model_dump_json(),
        data_fingerprint=data_fingerprint,
    )
    nodes.append(report)

    for node in nodes:
        node.exec_properties[CODE_FINGERPRINT_KEY] = fingerprints.of(
            *names_of_code(node)
        )
    return tfx_pipeline.Pipeline(
        pipeline_name=config.name,
        pipeline_root=f"{config.pipeline_folder}/artifacts",
        components=nodes,
        enable_cache=True,
        metadata_connection_config=metadata_connection_config,
        beam_pipeline_args=list(beam_args),
    )


def _warm_start(config: PipelineConfig, preprocessing: str) -> dict[str, str]:
    """Return what the Trainer needs to start from the head in production."""
    keys = {custom_config.PREPROCESSING_KEY: preprocessing}
    if config.training.warm_start:
        store = {
            "destination": config.push_destination,
            "model_name": config.push.model_name,
        }
        keys[custom_config.MODEL_STORE_KEY] = json.dumps(store)
    return keys


def names_of_code(node: BaseNode) -> list[str]:
    """Return the dotted names of a node's executor and of a function that it calls."""
    functions = [node.exec_properties.get(key) for key in _FUNCTION_KEYS]
    return [node.executor_spec.class_path, *filter(None, functions)]


def candidate_key(
    config: PipelineConfig,
    data_fingerprint: str,
    trainer: BaseNode,
    nodes: Sequence[BaseNode],
    fingerprints: CodeFingerprints,
) -> str:
    """Return a hash of all that decides which model a run makes: data, config, code.

    Args:
        config: The run's config.
        data_fingerprint: See `create_pipeline`.
        trainer: The node that makes the model.
        nodes: All nodes that were made before it.
        fingerprints: Hashes the code of the nodes.
    """
    decisive = config.model_dump_json(
        include={
            "data",
            "data_quality",
            "data_validation",
            "features",
            "model",
            "training",
        },
        exclude={"training": {"checkpoints"}},
    )
    code = {
        node.id: fingerprints.of(*names_of_code(node))
        for node in _producers(trainer, nodes)
    }
    parts = [data_fingerprint, decisive, json.dumps(code, sort_keys=True)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def judge_key(config: PipelineConfig, fingerprints: CodeFingerprints) -> str:
    """Return a hash of all that decides how a model is judged: the gate's config, code.

    Args:
        config: The run's config.
        fingerprints: Hashes the gate's code.
    """
    code = fingerprints.of(Evaluator.EXECUTOR_SPEC.class_path)
    return hashlib.sha256(
        f"{config.gate.model_dump_json()}\n{code}".encode()
    ).hexdigest()


def _producers(node: BaseNode, nodes: Sequence[BaseNode]) -> list[BaseNode]:
    """Return a node and all whose artifacts it reads, directly or not.

    A node that must only end before it, such as a check, makes nothing that it reads.
    """
    by_id = {each.id: each for each in nodes}
    found: dict[str, BaseNode] = {}
    waiting = [node.id]
    while waiting:
        current = by_id[waiting.pop()]
        if current.id not in found:
            found[current.id] = current
            waiting += [
                channel.producer_component_id for channel in current.inputs.values()
            ]
    return list(found.values())


def _manifest_record(
    config: PipelineConfig,
    data_fingerprint: str,
    keys: tuple[str, str],
    store: StoreView | None,
) -> dict[str, object]:
    """Return what the manifest of a pushed version says about its run."""
    record: dict[str, object] = {
        "config": json.loads(config.model_dump_json()),
        "pipeline": config.name,
        "data_fingerprint": data_fingerprint,
    }
    if store is not None:
        record |= {
            run_view.CANDIDATE_KEY: keys[0],
            run_view.JUDGE_KEY: keys[1],
            run_view.BASELINE_VERSION: store.baseline_version,
            run_view.AUDIT_POSITION: store.audit_position,
            run_view.STORE_STATE: store.store_state,
        }
    return record


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
