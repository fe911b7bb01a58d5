"""Find mistakes in a config of the network before the first image is read.

Without these checks, a missing layer is found only after all images are decoded. A head
that doesn't fit is found only after feature extraction.
"""

from __future__ import annotations

import keras

from graft.contract.errors import UserError
from graft.trainer.backbones.backbone import build_backbone, image_size_of
from graft.trainer.backbones.presets import get_preset
from graft.trainer.backbones.weights import find_weights
from graft.trainer.config import SOLVERS, ModelConfig, TrainingConfig
from graft.trainer.heads.head import build_head
from graft.trainer.loops.fine_tuning import unfreeze


def check_network(model: ModelConfig, training: TrainingConfig) -> None:
    """Check a config by building its network on the machine that will train it.

    A preset without changes and with a linear head isn't built: only its weights are
    checked. The number of classes isn't known yet, so it isn't checked.

    Args:
        model: The network.
        training: Strategy, optimizer and blocks to unfreeze.

    Raises:
        UserError: A layer or block doesn't exist, the input is too small, or the head
            or the optimizer doesn't fit the features.
        WeightsError: The weights are missing, damaged or for another architecture.
    """
    preset = get_preset(model.preset)
    image_size_of(model)
    check_solver(model, training, is_pooled=model.pooling != "none")
    check_reading(model, training, is_pooled=model.pooling != "none")
    is_fine_tuned = training.strategy == "fine_tune"
    if not (model.weights or model.cut or model.head or is_fine_tuned):
        find_weights(preset, model)
        return
    backbone = build_backbone(model)
    build_head(model, backbone.output_shape[1:], num_classes=2)
    if is_fine_tuned:
        unfreeze(backbone, preset, training.fine_tune)
    # Reset the numbers in the names of layers for the models that are built next.
    keras.utils.clear_session()


def check_solver(
    model: ModelConfig, training: TrainingConfig, *, is_pooled: bool
) -> None:
    """Check that `lbfgs` or `ridge` has a linear head on pooled features.

    Args:
        model: `head` and `pooling` are read.
        training: `optimizer` and `strategy` are read.
        is_pooled: Whether features are vectors, not maps.

    Raises:
        UserError: The head has layers, or features are maps.
    """
    if training.optimizer not in SOLVERS and training.strategy != "linear":
        return
    if model.head or not is_pooled:
        raise UserError(
            "`lbfgs` and `ridge` fit a linear head on pooled features: leave "
            "`head` empty and `pooling` 'avg' or 'max'. "
            f"Received: head={model.head!r}, pooling={model.pooling!r}"
        )


def check_reading(
    model: ModelConfig, training: TrainingConfig, *, is_pooled: bool
) -> None:
    """Check that features to be streamed can be.

    Args:
        model: `head` is read.
        training: `feature_reading` and what it must fit are read.
        is_pooled: Whether features are vectors, not maps.

    Raises:
        UserError: `feature_reading` is `stream`, and the training needs all features.
    """
    obstacle = stream_obstacle(model, training, is_pooled=is_pooled)
    if training.feature_reading == "stream" and obstacle:
        raise UserError(
            "`training.feature_reading` 'stream' takes the examples as they come: "
            "choose 'memory' or 'auto', or `class_weights: balanced` instead of "
            f"`balanced_sampling`. Received: {obstacle}"
        )


def stream_obstacle(
    model: ModelConfig, training: TrainingConfig, *, is_pooled: bool
) -> str | None:
    """Return why features can't be streamed; None if they can."""
    if training.balanced_sampling and not has_solver(
        model, training, is_pooled=is_pooled
    ):
        return f"balanced_sampling={training.balanced_sampling!r}"
    return None


def has_solver(
    model: ModelConfig, training: TrainingConfig, *, is_pooled: bool
) -> bool:
    """Return whether a head on stored features is solved, not trained by epochs."""
    is_linear = not model.head and is_pooled
    return is_linear and training.optimizer in ("auto", *SOLVERS)
