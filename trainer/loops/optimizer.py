"""Optimizers with a learning rate of their own for each part of the network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from graft.trainer.config import TrainingConfig


class RateSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A climb from zero over `warmup_steps`, then constant or a cosine down to zero."""

    def __init__(
        self, peak: float, *, total_steps: int, warmup_steps: int, is_cosine: bool
    ) -> None:
        """Keep the peak rate and the numbers of steps."""
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
    """Mixed into an optimizer: scales the rate by the variable's path.

    Keras' `MultiOptimizer` does not do. It is missing from the Keras that Python 3.10
    gets, clips each part's gradients on their own, and has no `learning_rate`, which
    the plateau schedule sets.

    It also leaves the averaged weights (EMA) alone at the end of Keras's `fit`, which
    the training loop calls once an epoch: `training_loop` decides when to take them.
    """

    rate_factors: Mapping[str, float] = {}

    def build(self, variables: Any) -> None:
        super().build(variables)  # type: ignore[misc]
        self._factors = [
            self.rate_factors.get(variable.path, 1.0) for variable in variables
        ]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        # How Keras documents an optimizer of one's own to find what is a variable's.
        index = self._get_variable_index(variable)  # type: ignore[attr-defined]
        rate = learning_rate * self._factors[index]
        super().update_step(gradient, variable, rate)  # type: ignore[misc]

    def finalize_variable_values(self, var_list: Any) -> None:
        """Do nothing; see `take_average`."""

    def take_average(self, var_list: Any) -> None:
        """Overwrite weights with their averages (EMA)."""
        super().finalize_variable_values(var_list)  # type: ignore[misc]


class AdamByPart(_RatePerVariable, keras.optimizers.Adam):
    """Adam with a rate for each part."""


class AdamWByPart(_RatePerVariable, keras.optimizers.AdamW):
    """AdamW with a rate for each part."""


class SGDByPart(_RatePerVariable, keras.optimizers.SGD):
    """SGD with a rate for each part."""


class RMSpropByPart(_RatePerVariable, keras.optimizers.RMSprop):
    """RMSprop with a rate for each part."""


def build_optimizer(
    training: TrainingConfig,
    *,
    learning_rate: float,
    warmup_epochs: float,
    epochs: int,
    steps_per_epoch: int,
    rate_factors: Mapping[str, float] | None = None,
) -> keras.optimizers.Optimizer:
    """Build the optimizer of one phase.

    Args:
        training: Kind of optimizer and schedule, weight decay, momentum, clipping, EMA.
        learning_rate: Peak rate.
        warmup_epochs: Length of the climb from zero.
        epochs: Length of the phase.
        steps_per_epoch: Batches of one epoch.
        rate_factors: Path of a variable to the factor on its rate.
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
