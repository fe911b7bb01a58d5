"""Run the epochs of a training phase: schedules, early stopping, checkpoints.

The randomness of an epoch depends only on the seed and the epoch's number. So a run
that was killed and resumed ends with the weights of an uninterrupted one.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np

from graft.contract.errors import TrainingError
from graft.storage import hashing
from graft.trainer.config import ModelConfig, TrainingConfig
from graft.trainer.loops.checkpoint import Checkpoint, LoopState

logger = logging.getLogger(__name__)

_PLATEAU_FACTOR = 1.0 / 3.0
Logs = Mapping[str, float]
History = dict[str, list[float]]
OnEpoch = Callable[[str, History], None]
"""Callback with a phase's name and its history so far.

It is called after each epoch and after resuming. It may raise to end the training.
"""


class NonFiniteLoss(Exception):
    """The loss of a step is NaN or infinite.

    Args:
        step: Step within the epoch, from 1.
        loss: The loss.
    """

    def __init__(self, step: int, loss: float) -> None:
        super().__init__(step, loss)
        self.step = step
        self.loss = loss


class Epochs(Protocol):
    """Runs epochs over the data of a phase."""

    def train(self, epoch: int) -> Logs:
        """Train for one epoch.

        Args:
            epoch: Number of the epoch, from 0.

        Returns:
            `loss` and `accuracy`, averaged over examples.

        Raises:
            NonFiniteLoss: The loss of a step is NaN or infinite.
        """

    def evaluate(self) -> Logs:
        """Return `loss` and `accuracy` on `eval`."""


@dataclass(frozen=True)
class Phase:
    """A training phase: its name, its length, and its data."""

    name: str
    epochs: int
    steps_per_epoch: int
    data: Epochs


def fingerprint_of(model: ModelConfig, training: TrainingConfig, *facts: Any) -> str:
    """Return a hash that identifies a training. A checkpoint resumes only the same one.

    Args:
        model: The network.
        training: All settings count except for where to write files.
        *facts: Other values that the training depends on.
    """
    settings = training.model_dump(exclude={"checkpoints", "tensorboard"})
    text = json.dumps([model.model_dump(), settings, facts], default=str)
    return hashing.hash_bytes(text.encode())


def run_phase(
    model: keras.Model,
    phase: Phase,
    training: TrainingConfig,
    checkpoint: Checkpoint,
    on_epoch: OnEpoch | None = None,
) -> History:
    """Train a compiled model, and restore its best weights.

    Training resumes from the checkpoint if there is one.

    Args:
        model: A compiled model with an optimizer from `build_optimizer`.
        phase: Length and data.
        training: Early stopping, plateau, EMA, and whether to restore the best weights.
        checkpoint: Checkpoint to resume from and to save after each epoch.
        on_epoch: Callback after each epoch.

    Returns:
        Per epoch: loss, accuracy, eval_loss, eval_accuracy, learning_rate, seconds.

    Raises:
        TrainingError: The loss is not finite. The last good checkpoint stays.
    """
    model.optimizer.build(model.trainable_variables)
    state = checkpoint.restore(model) or LoopState()
    if state.learning_rate is not None:
        model.optimizer.learning_rate = state.learning_rate
    if on_epoch and state.epoch:
        on_epoch(phase.name, state.history)
    while state.epoch < phase.epochs and not state.is_finished:
        is_best = _run_epoch(model, phase, training, checkpoint, state)
        if on_epoch:
            on_epoch(phase.name, state.history)
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
        _assign_average(model, training)
    return state.history


def _run_epoch(
    model: keras.Model,
    phase: Phase,
    training: TrainingConfig,
    checkpoint: Checkpoint,
    state: LoopState,
) -> bool:
    """Train and evaluate for one epoch, and update `state`.

    Returns:
        Whether the epoch is the best so far.
    """
    started = time.monotonic()
    _seed_layers(model, training.seed, state.epoch)
    try:
        logs = phase.data.train(state.epoch)
    except NonFiniteLoss as error:
        raise _non_finite(error, phase, state.epoch, checkpoint.location) from None
    raw = _assign_average(model, training)
    scores = phase.data.evaluate()
    state.epoch += 1
    _record(state, logs, scores, model, time.monotonic() - started)
    is_best = bool(scores["loss"] < state.best_loss)
    if is_best:
        state.best_loss, state.best_epoch = float(scores["loss"]), state.epoch
        checkpoint.best = model.get_weights()
    if raw is not None:
        model.set_weights(raw)
    _update_schedule(model, state, training)
    return is_best


def _non_finite(
    error: NonFiniteLoss, phase: Phase, epoch: int, location: str
) -> TrainingError:
    step = epoch * phase.steps_per_epoch + error.step
    return TrainingError(
        f"the loss became {error.loss} at step {step} (epoch {epoch + 1}) of "
        f"{phase.name}: lower `learning_rate`, set `gradient_clip_norm`, or look for "
        f"broken inputs. The last good checkpoint is {location}"
    )


def _seed_layers(model: keras.Model, seed: int, epoch: int) -> None:
    """Seed dropout and augmentation for an epoch."""
    states = [variable for variable in model.variables if "seed_gen" in variable.path]
    rng = np.random.default_rng([seed, epoch])
    for state in states:
        state.assign(rng.integers(2**32, size=2, dtype=np.uint32))


def _assign_average(model: keras.Model, training: TrainingConfig) -> list[Any] | None:
    """Assign the averaged weights; return the raw ones, or None without EMA."""
    if training.ema_momentum is None:
        return None
    raw: list[Any] = model.get_weights()
    # With float16, Keras wraps the optimizer in one that scales the loss.
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    optimizer.assign_average(model.trainable_variables)
    return raw


def _record(
    state: LoopState, logs: Logs, scores: Logs, model: keras.Model, seconds: float
) -> None:
    row = {
        "loss": logs["loss"],
        "accuracy": logs["accuracy"],
        "eval_loss": scores["loss"],
        "eval_accuracy": scores["accuracy"],
        "learning_rate": float(
            keras.ops.convert_to_numpy(model.optimizer.learning_rate)
        ),
        "seconds": seconds,
    }
    for key, value in row.items():
        state.history.setdefault(key, []).append(float(value))


def _update_schedule(
    model: keras.Model, state: LoopState, training: TrainingConfig
) -> None:
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
