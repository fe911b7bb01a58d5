"""Loss, probabilities and metrics of a classifier, the same in every phase.

A network ends in logits: (B, K) with output `softmax`, (B, 1) with `sigmoid`, which is
the logit of class 1. Targets are float32 (B, K): one-hot, or mixed by mixup and CutMix.
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
        UserError: There are fewer than two classes, or `sigmoid` meets more than two.
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
            "`output` 'sigmoid' is one logit for a task of two classes (an image with "
            "several labels at once is not supported): use 'softmax'. "
            f"Received: num_classes={num_classes!r}"
        )
    return 1


def two_column_logits(logits: Any) -> Any:
    """Turn one logit, (B, 1), into two that mean the same; leave (B, K) alone."""
    if logits.shape[-1] != 1:
        return logits
    return ops.concatenate([ops.zeros_like(logits), logits], axis=-1)


def probabilities(logits: Any) -> Any:
    """Turn logits, float32 (B, K) or (B, 1), into probabilities, float32 (B, K).

    K is 2 for one logit: softmax over (0, z) is (1 - sigmoid(z), sigmoid(z)).
    """
    return ops.softmax(ops.cast(two_column_logits(logits), "float32"), axis=-1)


@dataclass(frozen=True)
class Objective:
    """What a phase minimises and watches."""

    loss: keras.losses.Loss
    """What is minimised on `train`."""
    eval_loss: keras.losses.Loss
    """What is compared on `eval`: the cross-entropy with the labels as they are, so
    that the losses of models with more and with less smoothing can be compared."""
    metrics: list[keras.metrics.Metric]
    """`accuracy` and `eval_loss`, for Keras's `compile`."""


def build_objective(
    training: TrainingConfig, class_weights: Sequence[float] | None = None
) -> Objective:
    """Build loss and metrics; every phase of training calls this and nothing else.

    Args:
        training: `label_smoothing` is read.
        class_weights: Weight of each class, K numbers, as `resolve_class_weights`
            gives.
    """
    weights = None if class_weights is None else tuple(class_weights)
    eval_loss = LogitsCrossentropy(class_weights=weights)
    return Objective(
        LogitsCrossentropy(training.label_smoothing, weights),
        eval_loss,
        [
            keras.metrics.MeanMetricWrapper(is_right, name="accuracy"),
            keras.metrics.MeanMetricWrapper(eval_loss.call, name="eval_loss"),
        ],
    )


@keras.saving.register_keras_serializable(package="graft")
class LogitsCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits, (B, K) or (B, 1), with targets, float32 (B, K)."""

    def __init__(
        self,
        label_smoothing: float = 0.0,
        class_weights: tuple[float, ...] | None = None,
        name: str = "crossentropy",
        **kwargs: Any,
    ) -> None:
        """Keep the smoothing, in [0, 1), and the classes' weights."""
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


def is_right(y_true: Any, y_pred: Any) -> Any:
    """Return 1 where the answer is the target's class, else 0, float32 (B,)."""
    predicted = ops.argmax(two_column_logits(y_pred), axis=-1)
    return ops.cast(ops.equal(ops.argmax(y_true, axis=-1), predicted), "float32")


def resolve_class_weights(
    training: TrainingConfig, counts: Sequence[int]
) -> tuple[float, ...] | None:
    """Turn `class_weights` of a config into K numbers whose mean over `train` is 1.

    Args:
        training: `class_weights` is read.
        counts: Number of training examples of each class.

    Raises:
        DataError: A class has no example in `train`.
        UserError: There are more or fewer weights than classes.
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
