"""Optimizers with separate learning rates for parts of the network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from graft.trainer.config import TrainingConfig


class RateSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A linear warm-up from zero, then a constant rate or a cosine decay to zero.

    `keras.optimizers.schedules.CosineDecay` has a warm-up, but no constant rate.

    Args:
        peak: Rate after the warm-up.
        total_steps: Steps of the phase.
        warmup_steps: Steps of the warm-up.
        is_cosine: Whether the rate decays.
    """

    def __init__(
        self, peak: float, *, total_steps: int, warmup_steps: int, is_cosine: bool
    ) -> None:
        super().__init__()
        self.peak = peak
        self.total_steps = max(1, total_steps)
        self.warmup_steps = min(warmup_steps, self.total_steps)
        self.is_cosine = is_cosine

    def __call__(self, step: Any) -> Any:
        """Return the rate at a step, a float32 scalar."""
        step = ops.cast(step, "float32")
        rate = self.peak * ops.ones_like(step)
        if self.is_cosine:
            length = max(1, self.total_steps - self.warmup_steps)
            share = ops.clip((step - self.warmup_steps) / length, 0.0, 1.0)
            rate = rate * 0.5 * (1.0 + ops.cos(math.pi * share))
        if self.warmup_steps:
            rate = rate * ops.minimum((step + 1.0) / self.warmup_steps, 1.0)
        return rate

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "peak": self.peak,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
            "is_cosine": self.is_cosine,
        }


class _RatePerVariable:
    """Optimizer mixin that scales the learning rate of each variable by its path.

    Keras's `MultiOptimizer` doesn't fit. It clips the gradients of each part
    separately. It has no `learning_rate`, which the plateau schedule sets.

    The mixin also stops Keras's `fit`, which runs once per epoch, from assigning
    averaged weights (EMA) at its end. `training_loop` does it when needed.
    """

    rate_factors: Mapping[str, float] = {}

    def build(self, variables: Any) -> None:
        super().build(variables)  # type: ignore[misc]
        # Keras calls `update_step` with TensorFlow's variables, which have no path. A
        # variable on several GPUs is one variable per GPU there.
        strategy = tf.distribute.get_strategy()
        self._factors = {
            part.ref(): self.rate_factors.get(variable.path, 1.0)
            for variable in variables
            for part in strategy.experimental_local_results(variable.value)
        }

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        # Keras documents this method for custom optimizers.
        rate = learning_rate * self._factors[variable.ref()]
        super().update_step(gradient, variable, rate)  # type: ignore[misc]

    def finalize_variable_values(self, var_list: Any) -> None:
        """Do nothing; see `assign_average`."""

    def assign_average(self, var_list: Any) -> None:
        """Overwrite weights with their averages (EMA)."""
        super().finalize_variable_values(var_list)  # type: ignore[misc]


class AdamByPart(_RatePerVariable, keras.optimizers.Adam):
    """Adam with a learning rate per variable."""


class AdamWByPart(_RatePerVariable, keras.optimizers.AdamW):
    """AdamW with a learning rate per variable."""


class SGDByPart(_RatePerVariable, keras.optimizers.SGD):
    """SGD with a learning rate per variable."""


class RMSpropByPart(_RatePerVariable, keras.optimizers.RMSprop):
    """RMSprop with a learning rate per variable."""


def build_optimizer(
    training: TrainingConfig,
    *,
    learning_rate: float,
    warmup_epochs: float,
    epochs: int,
    steps_per_epoch: int,
    rate_factors: Mapping[str, float] | None = None,
) -> keras.optimizers.Optimizer:
    """Build the optimizer of one training phase.

    Args:
        training: Kind of optimizer and schedule, weight decay, momentum, clipping, EMA.
        learning_rate: Peak learning rate.
        warmup_epochs: Length of the warm-up in epochs.
        epochs: Length of the phase in epochs.
        steps_per_epoch: Number of batches per epoch.
        rate_factors: Path of a variable to the factor on its rate; missing paths: 1.
    """
    rate: Any = learning_rate
    if training.schedule != "plateau":
        rate = RateSchedule(
            learning_rate,
            total_steps=epochs * steps_per_epoch,
            warmup_steps=round(warmup_epochs * steps_per_epoch),
            is_cosine=training.schedule == "cosine",
        )
    shared: dict[str, Any] = {
        "learning_rate": rate,
        "global_clipnorm": training.gradient_clip_norm,
    }
    if training.ema_momentum is not None:
        shared |= {"use_ema": True, "ema_momentum": training.ema_momentum}
    optimizer: Any
    match training.optimizer:
        case "adam":
            optimizer = AdamByPart(**shared)
        case "rmsprop":
            optimizer = RMSpropByPart(**shared)
        case "sgd":
            optimizer = SGDByPart(
                momentum=training.momentum, weight_decay=training.weight_decay, **shared
            )
        case _:
            optimizer = AdamWByPart(weight_decay=training.weight_decay, **shared)
    optimizer.rate_factors = dict(rate_factors or {})
    return optimizer


def gradient_optimizer(training: TrainingConfig) -> str:
    """Return the name of the optimizer that trains by gradient steps."""
    return "adamw" if training.optimizer == "auto" else training.optimizer
