"""`run_fn`, the adapter between TFX's Trainer and the functions of this package."""

from __future__ import annotations

import json
import os
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from trainer import features
from trainer.backbone import build_backbone
from trainer.config import ModelConfig, TrainingConfig
from trainer.custom_config import (
    HISTORY_FILE,
    MODEL_KEY,
    STORED_FEATURES_STRATEGIES,
    TRAINING_KEY,
)
from trainer.export import ServingModel, export_model
from trainer.input_fn import image_dataset, load_features
from trainer.training import fit_end_to_end, fit_head


def run_fn(fn_args: FnArgs) -> None:
    """Train as the config says, and export.

    Args:
        fn_args: TFX's arguments. `train_files` and `eval_files` are features for the
            strategies in `STORED_FEATURES_STRATEGIES`, raw examples for the others;
            `custom_config` holds `MODEL_KEY` and `TRAINING_KEY`.
    """
    config: dict[str, Any] = fn_args.custom_config
    model = ModelConfig.model_validate_json(config[MODEL_KEY])
    training = TrainingConfig.model_validate_json(config[TRAINING_KEY])
    output = tft.TFTransformOutput(fn_args.transform_graph_path)
    names = output.vocabulary_by_name(features.CLASS_NAMES_VOCABULARY)
    class_names = [name.decode() for name in names]
    transform = output.transform_features_layer()
    backbone = build_backbone(model)
    if training.strategy in STORED_FEATURES_STRATEGIES:
        fitted = fit_head(
            train=load_features(fn_args.train_files),
            evaluation=load_features(fn_args.eval_files),
            model=model,
            training=training,
            num_classes=len(class_names),
            feature_shape=backbone.output_shape[1:],
        )
    else:
        fitted = fit_end_to_end(
            train=image_dataset(fn_args.train_files, transform),
            evaluation=image_dataset(fn_args.eval_files, transform),
            backbone=backbone,
            model=model,
            training=training,
            num_classes=len(class_names),
            checkpoint_dir=os.path.join(fn_args.model_run_dir, "checkpoints"),
        )
    tf.io.gfile.makedirs(fn_args.model_run_dir)
    history_path = os.path.join(fn_args.model_run_dir, HISTORY_FILE)
    with tf.io.gfile.GFile(history_path, "w") as file:
        json.dump(fitted.history, file)
    export_model(
        ServingModel(
            transform=transform,
            backbone=backbone,
            head=fitted.head,
            class_names=class_names,
        ),
        fn_args.serving_model_dir,
    )
