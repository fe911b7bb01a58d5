"""Loss, probabilities and metrics of a classifier, for all phases of training.

A network returns logits: (B, K) with output `softmax`; (B, 1) with `sigmoid`, the logit
of class 1. Targets are float32 (B, K), one-hot or mixed by mixup and CutMix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from graft.contract.errors import DataError, UserError
from graft.trainer.config import TrainingConfig

_TWO = 2


def num_logits(output: Literal["softmax", "sigmoid"], num_classes: int) -> int:
    """Return the width of the output layer.

    Raises:
        UserError: There are fewer than two classes, or more than two with `sigmoid`.
    """
    if num_classes < _TWO:
        raise UserError(
            "a classifier needs 2 classes or more. "
            f"Received: num_classes={num_classes!r}"
        )
    if output == "softmax":
        return num_classes
    if num_classes != _TWO:
        raise UserError(
            "`output` 'sigmoid' is one logit, for two classes only (several labels "
            "per image are not supported): use 'softmax'. "
            f"Received: num_classes={num_classes!r}"
        )
    return 1


def two_column_logits(logits: Any) -> Any:
    """Convert one logit, (B, 1), into two equivalent ones; (B, K) stays unchanged."""
    if logits.shape[-1] != 1:
        return logits
    return ops.concatenate([ops.zeros_like(logits), logits], axis=-1)


def probabilities(logits: Any) -> Any:
    """Convert logits, float32 (B, K) or (B, 1), into probabilities, float32 (B, K).

    One logit z gives two classes: softmax over (0, z) is (1 - sigmoid(z), sigmoid(z)).
    """
    return ops.softmax(ops.cast(two_column_logits(logits), "float32"), axis=-1)


@dataclass(frozen=True)
class Objective:
    """Losses and metrics of a training phase."""

    loss: keras.losses.Loss
    """Loss to minimise on `train`."""
    eval_loss: keras.losses.Loss
    """Loss on `eval`: the cross-entropy without label smoothing, so that models with
    different smoothing are comparable."""
    metrics: list[keras.metrics.Metric]
    """`accuracy` and `eval_loss`, for Keras's `compile`."""


def build_objective(
    training: TrainingConfig, class_weights: Sequence[float] | None = None
) -> Objective:
    """Build the losses and metrics. All phases of training use this function.

    Args:
        training: `label_smoothing` is read.
        class_weights: Weight of each class, K numbers, from `resolve_class_weights`.
    """
    weights = None if class_weights is None else tuple(class_weights)
    eval_loss = LogitsCrossentropy(class_weights=weights)
    return Objective(
        LogitsCrossentropy(training.label_smoothing, weights),
        eval_loss,
        [
            keras.metrics.MeanMetricWrapper(is_correct, name="accuracy"),
            keras.metrics.MeanMetricWrapper(eval_loss.call, name="eval_loss"),
        ],
    )


@keras.saving.register_keras_serializable(package="graft")
class LogitsCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits, (B, K) or (B, 1), with targets, float32 (B, K).

    `keras.losses.CategoricalCrossentropy` has no class weights and can't take (B, 1).

    Args:
        label_smoothing: Share of the target spread over all classes, in [0, 1).
        class_weights: Weight of each class, K numbers.
        name: Name of the loss.
        **kwargs: Arguments of `keras.losses.Loss`.
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        class_weights: tuple[float, ...] | None = None,
        name: str = "crossentropy",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing
        self.class_weights = class_weights

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each example, float32 (B,)."""
        logits = ops.cast(two_column_logits(y_pred), "float32")
        targets = ops.cast(y_true, "float32")
        weights = (
            None
            if self.class_weights is None
            else ops.matmul(targets, ops.convert_to_tensor(self.class_weights))
        )
        if self.label_smoothing:
            share = self.label_smoothing / targets.shape[-1]
            targets = targets * (1.0 - self.label_smoothing) + share
        losses = -ops.sum(targets * ops.log_softmax(logits, axis=-1), axis=-1)
        return losses if weights is None else losses * weights

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "label_smoothing": self.label_smoothing,
            "class_weights": self.class_weights,
        }


def is_correct(y_true: Any, y_pred: Any) -> Any:
    """Return 1 for each correct prediction and 0 for others, float32 (B,)."""
    predicted = ops.argmax(two_column_logits(y_pred), axis=-1)
    return ops.cast(ops.equal(ops.argmax(y_true, axis=-1), predicted), "float32")


def resolve_class_weights(
    training: TrainingConfig, counts: Sequence[int]
) -> tuple[float, ...] | None:
    """Convert a config's `class_weights` to K numbers whose mean over `train` is 1.

    Args:
        training: `class_weights` is read.
        counts: Number of training examples of each class.

    Raises:
        DataError: A class has no example in `train`.
        UserError: The number of weights isn't the number of classes.
    """
    missing = [label for label, count in enumerate(counts) if count == 0]
    if missing:
        raise DataError(
            "every class needs images in `train`. Received: none of the classes "
            f"{missing} (indices in the label map)"
        )
    if training.class_weights is None:
        return None
    if training.class_weights == "balanced":
        raw = 1.0 / np.asarray(counts, np.float64)
    else:
        raw = np.asarray(training.class_weights, np.float64)
        if len(raw) != len(counts):
            raise UserError(
                f"`class_weights` must hold {len(counts)} numbers, one for each class. "
                f"Received: {training.class_weights!r}"
            )
    total = float(np.dot(raw, counts))
    return tuple(float(weight) for weight in raw * sum(counts) / total)
