"""Adapt TFX's Trainer to the functions of this package."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from graft.contract.label_map import LabelMap
from graft.storage import atomic
from graft.trainer import warm_start
from graft.trainer.backbones.backbone import (
    backbone_fingerprint,
    build_backbone,
    shared_backbone,
)
from graft.trainer.config import ModelConfig, TrainingConfig
from graft.trainer.custom_config import (
    CHECKPOINTS_KEY,
    CODE_FINGERPRINT_KEY,
    HISTORY_FILE,
    MODEL_KEY,
    STORED_FEATURES_STRATEGIES,
    TENSORBOARD_FOLDER,
    TRAINING_KEY,
)
from graft.trainer.export.linear_head import LinearHead
from graft.trainer.export.saved_model import ServingModel, export_model
from graft.trainer.export.unknown import calibrate_threshold
from graft.trainer.heads.head import build_head
from graft.trainer.heads.objective import probabilities
from graft.trainer.loops.checkpoint import checkpoint_folder, remove_checkpoints
from graft.trainer.loops.devices import training_devices
from graft.trainer.loops.event_files import EventFiles
from graft.trainer.loops.feature_source import FeatureSource
from graft.trainer.loops.input_fn import files_digest, image_stream
from graft.trainer.loops.streamed_heads import fit_stored_features
from graft.trainer.loops.training import Fitted, fit_end_to_end
from graft.trainer.loops.training_loop import OnEpoch, fingerprint_of
from graft.trainer.preprocessing.transform_graph import read_label_map
from graft.trainer.training_facts import FACTS_FILE

if TYPE_CHECKING:
    from tfx.components.trainer.fn_args_utils import FnArgs

logger = logging.getLogger(__name__)


def run_fn(fn_args: FnArgs) -> None:
    """Train a model and export it as a SavedModel.

    Args:
        fn_args: TFX's arguments. `train_files` and `eval_files` are features for the
            strategies in `STORED_FEATURES_STRATEGIES`, and raw examples for others.
            `custom_config` has `MODEL_KEY` and `TRAINING_KEY`, and may have
            `CHECKPOINTS_KEY` and `CODE_FINGERPRINT_KEY`. `PREPROCESSING_KEY` and
            `PRODUCTION_KEY` are for `warm_start`.

    Raises:
        UserError: The config doesn't fit the data or contradicts itself.
    """
    config: dict[str, Any] = fn_args.custom_config
    model = ModelConfig.model_validate_json(config[MODEL_KEY])
    training = TrainingConfig.model_validate_json(config[TRAINING_KEY])
    label_map = read_label_map(fn_args.transform_graph_path)
    output = tft.TFTransformOutput(fn_args.transform_graph_path)
    transform = output.transform_features_layer()
    checkpoint_dir = _checkpoint_dir(fn_args, config, model, training)
    backbone, fitted, linear_head = _fit(
        fn_args,
        model=model,
        training=training,
        transform=transform,
        label_map=label_map,
        checkpoint_dir=checkpoint_dir,
    )
    history_path = os.path.join(fn_args.model_run_dir, HISTORY_FILE)
    atomic.write_text(history_path, json.dumps(fitted.history))
    facts_path = os.path.join(os.path.dirname(fn_args.serving_model_dir), FACTS_FILE)
    atomic.write_text(facts_path, fitted.facts.to_json())
    threshold = None
    if training.unknown_share is not None:
        scores = _greatest_probabilities(
            fn_args,
            training=training,
            transform=transform,
            backbone=backbone,
            head=fitted.head,
            label_map=label_map,
        )
        threshold = calibrate_threshold(
            scores, training.unknown_share, label_map.class_names
        )
    export_model(
        ServingModel(
            transform=transform,
            backbone=backbone,
            head=fitted.head,
            class_names=label_map.class_names,
            unknown_threshold=threshold,
        ),
        fn_args.serving_model_dir,
        linear_head,
    )
    if checkpoint_dir is not None:
        remove_checkpoints(checkpoint_dir)


def _fit(
    fn_args: FnArgs,
    *,
    model: ModelConfig,
    training: TrainingConfig,
    transform: Callable[..., Any],
    label_map: LabelMap,
    checkpoint_dir: str | None,
) -> tuple[keras.Model, Fitted, LinearHead | None]:
    """Train by the config's strategy.

    Returns:
        The backbone, the fitted head, and what a later training must know to start
        from it, if it can.
    """
    linear_head = None
    events = None
    if training.tensorboard:
        events = EventFiles(os.path.join(fn_args.model_run_dir, TENSORBOARD_FOLDER))
    if training.strategy in STORED_FEATURES_STRATEGIES:
        backbone = shared_backbone(model)
        is_pooled = len(backbone.output_shape) == 2
        start, told, features = None, "", ""
        obstacle = warm_start.obstacle_of(model, training, is_pooled=is_pooled)
        if obstacle:
            logger.info("The training starts from nothing: %s.", obstacle)
        else:
            config = fn_args.custom_config
            features = warm_start.features_fingerprint(model, training, config)
            start, told = warm_start.find_start(
                config, features, label_map.class_names, backbone.output_shape[1]
            )
        fitted = fit_stored_features(
            FeatureSource.of(fn_args.train_files),
            FeatureSource.of(fn_args.eval_files),
            model=model,
            training=training,
            num_classes=len(label_map),
            feature_shape=backbone.output_shape[1:],
            checkpoint_dir=checkpoint_dir,
            on_epoch=events,
            start=start,
        )
        fitted, linear_head = _tell_start(fitted, told, features)
    else:
        backbone, fitted = _fit_in_the_loop(
            fn_args,
            model=model,
            training=training,
            transform=transform,
            label_map=label_map,
            checkpoint_dir=checkpoint_dir,
            on_epoch=events,
        )
    if events is not None:
        events.close()
    return backbone, fitted, linear_head


def _tell_start(
    fitted: Fitted, told: str, features: str
) -> tuple[Fitted, LinearHead | None]:
    """Note in a result where its solver started, and what can start from it.

    Args:
        fitted: The result.
        told: The sentence of `warm_start.find_start`; empty if no solver could start.
        features: Fingerprint of the features.
    """
    penalty = fitted.facts.penalty
    if not told or penalty is None:
        return fitted, None
    if fitted.facts.reading == "stream":
        told = warm_start.nothing(warm_start.OF_A_STREAM)
    logger.info("The solver %s.", told)
    facts = replace(fitted.facts, start=told)
    return replace(fitted, facts=facts), LinearHead(features, penalty)


def _greatest_probabilities(
    fn_args: FnArgs,
    *,
    training: TrainingConfig,
    transform: Callable[..., Any],
    backbone: keras.Model,
    head: keras.Model,
    label_map: LabelMap,
) -> np.ndarray:
    """Return the fitted network's greatest probabilities on `eval`, float32 (N, 1)."""
    if training.strategy in STORED_FEATURES_STRATEGIES:
        source = FeatureSource.of(fn_args.eval_files)
        batches: Iterable[Any] = (
            tf.constant(features.reshape(-1, *backbone.output_shape[1:]))
            for features, _ in source.batches(training.batch_size)
        )
        network = head
    else:
        stream = image_stream(fn_args.eval_files, transform, label_map)
        batches = stream.batches(
            stream.records, training.batch_size, len(label_map)
        ).map(lambda pixels, _: pixels)
        network = keras.Model(backbone.inputs, head(backbone.outputs[0]))

    @tf.function(autograph=False, reduce_retracing=True)
    def predict(batch: tf.Tensor) -> tf.Tensor:
        scores = probabilities(network(batch, training=False))
        return tf.reduce_max(scores, axis=1, keepdims=True)

    return np.concatenate([predict(batch).numpy() for batch in batches])


def _checkpoint_dir(
    fn_args: FnArgs,
    config: dict[str, Any],
    model: ModelConfig,
    training: TrainingConfig,
) -> str | None:
    """Return the checkpoint folder of this training on this data, or None for none."""
    root = config.get(CHECKPOINTS_KEY)
    if not root:
        return None
    return checkpoint_folder(
        root,
        fingerprint_of(model, training),
        backbone_fingerprint(model),
        files_digest(fn_args.train_files),
        files_digest(fn_args.eval_files),
        str(config.get(CODE_FINGERPRINT_KEY)),
    )


def _fit_in_the_loop(
    fn_args: FnArgs,
    *,
    model: ModelConfig,
    training: TrainingConfig,
    transform: Callable[..., Any],
    label_map: LabelMap,
    checkpoint_dir: str | None,
    on_epoch: OnEpoch | None,
) -> tuple[keras.Model, Fitted]:
    """Train on this machine's devices; return a backbone and head in plain float32."""
    with training_devices(training) as is_plain:
        backbone = build_backbone(model)
        fitted = fit_end_to_end(
            train=image_stream(fn_args.train_files, transform, label_map),
            evaluation=image_stream(fn_args.eval_files, transform, label_map),
            backbone=backbone,
            model=model,
            training=training,
            num_classes=len(label_map),
            checkpoint_dir=checkpoint_dir,
            on_epoch=on_epoch,
        )
    if is_plain:
        return backbone, fitted
    plain = build_backbone(model)
    head = build_head(model, plain.output_shape[1:], len(label_map))
    plain.set_weights(backbone.get_weights())
    head.set_weights(fitted.head.get_weights())
    return plain, Fitted(head, fitted.history, fitted.seconds, fitted.facts)
