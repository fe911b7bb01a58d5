"""The loop over epochs that every gradient-trained phase shares.

An epoch is one call of Keras's `fit` on data that depend on the seed and the epoch
alone, so that a run which was killed and resumed ends with the weights of an unbroken
one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.checkpoint import Checkpoint, LoopState
from trainer.config import ModelConfig, TrainingConfig
from trainer.errors import TrainingError

logger = logging.getLogger(__name__)

_PLATEAU_FACTOR = 1.0 / 3.0
History = dict[str, list[float]]


@dataclass(frozen=True)
class Phase:
    """One phase of training: its name, its length, and its data."""

    name: str
    epochs: int
    steps_per_epoch: int
    train_at: Callable[[int], tf.data.Dataset]
    """Epoch, counted from 0, to batches of (inputs, targets float32 (B, K))."""
    evaluation: tf.data.Dataset
    """Batches of (inputs, targets float32 (B, K))."""


def fingerprint_of(model: ModelConfig, training: TrainingConfig, *facts: Any) -> str:
    """Return what a checkpoint must have been written for, to be resumed."""
    text = json.dumps([model.model_dump(), training.model_dump(), facts], default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def run_phase(
    model: keras.Model,
    phase: Phase,
    training: TrainingConfig,
    checkpoint: Checkpoint,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
) -> History:
    """Train a compiled model, and leave it with its best weights.

    Args:
        model: A compiled model, its optimizer from `build_optimizer`.
        phase: Length and data.
        training: Early stopping, plateau, EMA and what to restore.
        checkpoint: Where to save after each epoch, and to resume from.
        callbacks: More callbacks of Keras.

    Returns:
        Per epoch: loss, accuracy, eval_loss, eval_accuracy, learning_rate, seconds.

    Raises:
        TrainingError: The loss is not finite; the last good checkpoint stays.
    """
    model.optimizer.build(model.trainable_variables)
    state = checkpoint.restore(model) or LoopState()
    if state.learning_rate is not None:
        model.optimizer.learning_rate = state.learning_rate
    guard = _FiniteLossGuard(phase, checkpoint.place)
    while state.epoch < phase.epochs and not state.is_finished:
        started = time.monotonic()
        guard.epoch = state.epoch
        _seed_layers(model, training.seed, state.epoch)
        logs = model.fit(
            phase.train_at(state.epoch),
            initial_epoch=state.epoch,
            epochs=state.epoch + 1,
            callbacks=[guard, *callbacks],
            shuffle=False,
            verbose=0,
        ).history
        raw = _take_average(model, training)
        scores = model.evaluate(phase.evaluation, verbose=0, return_dict=True)
        state.epoch += 1
        _record(state, logs, scores, model, time.monotonic() - started)
        is_best = scores["loss"] < state.best_loss
        if is_best:
            state.best_loss, state.best_epoch = float(scores["loss"]), state.epoch
            checkpoint.best = model.get_weights()
        if raw is not None:
            model.set_weights(raw)
        _adjust(model, state, training)
        checkpoint.save(model, state, is_best=is_best)
        logger.info(
            "%s epoch %d of %d: %s",
            phase.name,
            state.epoch,
            phase.epochs,
            {key: round(values[-1], 4) for key, values in state.history.items()},
        )
    if training.restore_best and checkpoint.best is not None:
        model.set_weights(checkpoint.best)
    else:
        _take_average(model, training)
    return state.history


def _seed_layers(model: keras.Model, seed: int, epoch: int) -> None:
    """Set the random state of dropout and augmentation for an epoch."""
    states = [variable for variable in model.variables if "seed_gen" in variable.path]
    rng = np.random.default_rng([seed, epoch])
    for state in states:
        state.assign(rng.integers(2**32, size=2, dtype=np.uint32))


def _take_average(model: keras.Model, training: TrainingConfig) -> list[Any] | None:
    """Put the averaged weights in; return the raw ones, or None without EMA."""
    if training.ema_momentum is None:
        return None
    raw: list[Any] = model.get_weights()
    model.optimizer.take_average(model.trainable_variables)
    return raw


def _record(
    state: LoopState,
    logs: Mapping[str, list[float]],
    scores: Mapping[str, float],
    model: keras.Model,
    seconds: float,
) -> None:
    row = {
        "loss": logs["loss"][-1],
        "accuracy": logs["accuracy"][-1],
        "eval_loss": scores["loss"],
        "eval_accuracy": scores["accuracy"],
        "learning_rate": float(
            keras.ops.convert_to_numpy(model.optimizer.learning_rate)
        ),
        "seconds": seconds,
    }
    for key, value in row.items():
        state.history.setdefault(key, []).append(float(value))


def _adjust(model: keras.Model, state: LoopState, training: TrainingConfig) -> None:
    """Lower the rate of a plateau schedule, or stop early."""
    waited = state.epoch - state.best_epoch
    if training.schedule == "plateau":
        rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
        if waited and waited % training.plateau_patience == 0:
            rate *= _PLATEAU_FACTOR
            model.optimizer.learning_rate = rate
        state.learning_rate = rate
    patience = training.early_stopping_patience
    state.is_finished = patience is not None and waited >= patience


class _FiniteLossGuard(keras.callbacks.Callback):
    """Stops with a message when the loss is NaN or infinite."""

    def __init__(self, phase: Phase, place: str) -> None:
        super().__init__()
        self._phase = phase
        self._place = place
        self.epoch = 0

    def on_train_batch_end(
        self, batch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            step = self.epoch * self._phase.steps_per_epoch + batch + 1
            raise TrainingError(
                f"the loss became {loss} at step {step} (epoch {self.epoch + 1}) of "
                f"{self._phase.name}: lower `learning_rate`, set `gradient_clip_norm`, "
                "or look for broken inputs. "
                f"The last good checkpoint is in {self._place}"
            )
