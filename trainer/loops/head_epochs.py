"""Train a head on stored features by gradient steps, in epochs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras

from graft.trainer.config import ModelConfig, TrainingConfig
from graft.trainer.heads.head import Standardization, build_head
from graft.trainer.heads.objective import Objective, build_objective
from graft.trainer.loops.checkpoint import Checkpoint
from graft.trainer.loops.optimizer import build_optimizer
from graft.trainer.loops.training_loop import (
    Epochs,
    History,
    OnEpoch,
    Phase,
    fingerprint_of,
    run_phase,
)


def fit_by_epochs(
    *,
    shape: Sequence[int],
    num_examples: int,
    num_classes: int,
    adapt: Callable[[Standardization], None],
    epochs_of: Callable[[keras.Model, Objective], Epochs],
    model: ModelConfig,
    training: TrainingConfig,
    class_weights: Sequence[float] | None,
    checkpoint_dir: str | None,
    on_epoch: OnEpoch | None,
) -> tuple[keras.Model, History]:
    """Train a head by gradient steps; see `fit_head`.

    The many arguments are independent settings of one training, so they are not
    grouped.

    Args:
        shape: Shape of one example's features.
        num_examples: Number of examples of `train`.
        num_classes: Number of classes, K.
        adapt: Sets mean and scale of features after `feature_power`.
        epochs_of: Takes the compiled head and its objective and returns what runs its
            epochs.
        model: `head` and `output` are read.
        training: Optimizer, epochs and the like.
        class_weights: Weight of each class, K numbers.
        checkpoint_dir: Folder to save to after each epoch and to resume from.
        on_epoch: Callback after each epoch.
    """
    standardize = training.standardize
    if standardize is None:
        standardize = len(shape) == 1
    head = build_head(
        model,
        shape,
        num_classes,
        with_standardization=standardize,
        feature_power=training.feature_power,
    )
    if standardize:
        adapt(head.get_layer("standardization"))
    objective = compile_network(head, training, class_weights, num_examples)
    fingerprint = fingerprint_of(model, training, shape, num_classes, num_examples)
    history = run_phase(
        head,
        Phase(
            "head",
            training.epochs,
            num_steps(num_examples, training),
            epochs_of(head, objective),
        ),
        training,
        Checkpoint(checkpoint_dir, "head", fingerprint),
        on_epoch,
    )
    return head, history


def compile_network(
    network: keras.Model,
    training: TrainingConfig,
    class_weights: Sequence[float] | None,
    num_examples: int,
    *,
    factors: dict[str, float] | None = None,
) -> Objective:
    """Compile for the first phase, or for the second if there are rate factors."""
    spec = training if factors is None else training.fine_tune
    objective = build_objective(training, class_weights)
    network.compile(
        optimizer=build_optimizer(
            training,
            learning_rate=spec.learning_rate,
            warmup_epochs=spec.warmup_epochs,
            epochs=spec.epochs,
            steps_per_epoch=num_steps(num_examples, training),
            rate_factors=factors or {},
        ),
        loss=objective.loss,
        metrics=objective.metrics,
    )
    return objective


def num_steps(num_examples: int, training: TrainingConfig) -> int:
    """Return the number of steps of an epoch."""
    return -(-num_examples // training.batch_size)
