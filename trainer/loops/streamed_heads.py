"""Train a head on stored features: mapped where they fit, else from a stream."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import keras
import numpy as np

from graft.trainer.config import ModelConfig, TrainingConfig
from graft.trainer.heads.head import Standardization
from graft.trainer.heads.minibatch import Moments, fit_minibatch
from graft.trainer.heads.solution import LinearSolution
from graft.trainer.heads.streamed_ridge import fit_streamed_ridge
from graft.trainer.heads.warm_start import Start
from graft.trainer.loops.array_checkpoint import ArrayCheckpoint
from graft.trainer.loops.early_checks import (
    check_reading,
    check_solver,
    has_solver,
    stream_obstacle,
)
from graft.trainer.loops.feature_source import Arrays, FeatureSource
from graft.trainer.loops.feature_streams import Streams
from graft.trainer.loops.head_epochs import fit_by_epochs
from graft.trainer.loops.linear_heads import edge_notes, head_of
from graft.trainer.loops.optimizer import gradient_optimizer
from graft.trainer.loops.stream_epochs import StreamEpochs
from graft.trainer.loops.training import Fitted, check_labels, fit_head, set_seed
from graft.trainer.loops.training_loop import History, OnEpoch, fingerprint_of
from graft.trainer.training_facts import TrainingFacts

logger = logging.getLogger(__name__)

MOST_BYTES_IN_MEMORY = 2 * 2**30
"""Size of the features of `train` and `eval` up to which `auto` is `memory`."""
_BATCH_SIZE = 512
_ROWS_OF_PRODUCTS = 4096
"""Examples whose products are computed at once. Fewer take longer."""


def fit_stored_features(
    train: FeatureSource,
    evaluation: FeatureSource,
    *,
    model: ModelConfig,
    training: TrainingConfig,
    num_classes: int,
    feature_shape: Sequence[int | None],
    checkpoint_dir: str | None = None,
    on_epoch: OnEpoch | None = None,
    start: Start | None = None,
) -> Fitted:
    """Train a head by `fit_head`, or by `fit_streamed_head` if the features are large.

    It takes the arguments of `fit_head`.

    Args:
        train: Features to train on.
        evaluation: Features of `eval`.
        model: `head` and `output` are read.
        training: `feature_reading` decides; see `fit_head` for the rest.
        num_classes: Number of classes, K.
        feature_shape: Shape of one example's features.
        checkpoint_dir: See `fit_head`.
        on_epoch: See `fit_head`.
        start: See `fit_head`. A stream starts from nothing.

    Raises:
        UserError: `feature_reading` is `stream`, and the training can't be streamed.
    """
    is_pooled = len(feature_shape) == 1
    check_reading(model, training, is_pooled=is_pooled)
    shape = tuple(int(size or 0) for size in feature_shape)
    if all(shape):
        train, evaluation = (
            replace(each, width=math.prod(shape)) for each in (train, evaluation)
        )
    loaded = load_unless_large(
        train, evaluation, model=model, training=training, is_pooled=is_pooled
    )
    if loaded is not None:
        return fit_head(
            *loaded,
            model=model,
            training=training,
            num_classes=num_classes,
            feature_shape=feature_shape,
            checkpoint_dir=checkpoint_dir,
            on_epoch=on_epoch,
            in_place=True,
            start=start,
        )
    return fit_streamed_head(
        train,
        evaluation,
        model=model,
        training=training,
        num_classes=num_classes,
        feature_shape=shape,
        checkpoint_dir=checkpoint_dir,
        on_epoch=on_epoch,
    )


def load_unless_large(
    train: FeatureSource,
    evaluation: FeatureSource,
    *,
    model: ModelConfig,
    training: TrainingConfig,
    is_pooled: bool,
) -> tuple[Arrays, Arrays] | None:
    """Load the features of both splits, unless they are to be streamed.

    Args:
        train: Features of `train`.
        evaluation: Features of `eval`.
        model: `head` is read.
        training: `feature_reading` decides.
        is_pooled: Whether features are vectors, not maps.

    Returns:
        The features and labels of both splits, which may be changed; None for a stream.
    """
    reading = training.feature_reading
    loaded = None
    if reading != "stream":
        is_limited = reading == "auto" and not stream_obstacle(
            model, training, is_pooled=is_pooled
        )
        limit = MOST_BYTES_IN_MEMORY if is_limited else np.inf
        one = train.load_within(limit)
        other = None if one is None else evaluation.load_within(limit - one[0].nbytes)
        loaded = None if one is None or other is None else (one, other)
    logger.info(
        "`training.feature_reading` %r: the features are read as `%s`",
        reading,
        "stream" if loaded is None else "memory",
    )
    return loaded


def fit_streamed_head(
    train: FeatureSource,
    evaluation: FeatureSource,
    *,
    model: ModelConfig,
    training: TrainingConfig,
    num_classes: int,
    feature_shape: Sequence[int],
    checkpoint_dir: str | None = None,
    on_epoch: OnEpoch | None = None,
) -> Fitted:
    """Train a head in memory that is independent of the number of images.

    A linear head is fitted in mini-batches, or by `ridge` from sums over the examples.
    Other heads are trained by gradient steps. It takes the arguments of `fit_head`.

    Args:
        train: Features to train on.
        evaluation: Features to choose the penalty or the epoch on.
        model: `head` and `output` are read.
        training: Optimizer, penalties, epochs and the like.
        num_classes: Number of classes, K.
        feature_shape: Shape of one example's features.
        checkpoint_dir: Folder to save to after each epoch and to resume from.
        on_epoch: Callback after each epoch, or with the metrics of all penalties.

    Raises:
        DataError: A class is missing from `train`, or a split is empty.
        TrainingError: Features are not finite, or the loss isn't.
    """
    started = time.monotonic()
    set_seed(training)
    is_pooled = len(feature_shape) == 1
    check_solver(model, training, is_pooled=is_pooled)
    streams = Streams(train, evaluation, training, num_classes)
    moments = streams.measure(feature_shape[-1])
    weights = check_labels(streams.counts, streams.count_evaluation(), training)
    penalty = None
    solver = gradient_optimizer(training)
    if not has_solver(model, training, is_pooled=is_pooled):
        head, history = _fit_by_epochs(
            streams,
            moments,
            model=model,
            training=training,
            feature_shape=feature_shape,
            class_weights=weights,
            checkpoint_dir=checkpoint_dir,
            on_epoch=on_epoch,
        )
    else:
        solver = "ridge" if training.optimizer == "ridge" else "minibatch"
        fingerprint = fingerprint_of(model, training, moments.counts.tolist())
        keeper = ArrayCheckpoint(checkpoint_dir, "head", fingerprint)
        solution = _solve(streams, moments, training, weights, keeper)
        head = head_of(solution, model, training, num_classes)
        history = {key: [row[key] for row in solution.path] for key in solution.path[0]}
        penalty = solution.penalty
        if on_epoch:
            on_epoch("head", history)
    facts = TrainingFacts(solver, penalty, "stream", _notes(training, solver, penalty))
    for note in facts.notes:
        logger.info("%s.", note[0].upper() + note[1:])
    return Fitted(head, history, time.monotonic() - started, facts)


def _solve(
    streams: Streams,
    moments: Moments,
    training: TrainingConfig,
    class_weights: Sequence[float] | None,
    keeper: ArrayCheckpoint,
) -> LinearSolution:
    """Fit a linear head by `ridge` or in mini-batches."""
    if training.optimizer == "ridge":
        return fit_streamed_ridge(
            lambda: streams.powered("train", _ROWS_OF_PRODUCTS),
            lambda: streams.powered("eval", _ROWS_OF_PRODUCTS),
            moments,
            penalties=training.regularization,
            class_weights=class_weights,
        )
    return fit_minibatch(
        lambda epoch, size: streams.shuffled(epoch, size, is_powered=True),
        lambda: streams.powered("eval", _BATCH_SIZE),
        moments,
        penalties=training.regularization,
        class_weights=class_weights,
        label_smoothing=training.label_smoothing,
        keeper=keeper,
    )


def _fit_by_epochs(
    streams: Streams,
    moments: Moments,
    *,
    model: ModelConfig,
    training: TrainingConfig,
    feature_shape: Sequence[int],
    class_weights: Sequence[float] | None,
    checkpoint_dir: str | None,
    on_epoch: OnEpoch | None,
) -> tuple[keras.Model, History]:
    """Train a head by gradient steps; its arguments are those of `fit_head`."""

    def shaped(batches: Iterator[Arrays]) -> Iterator[Arrays]:
        return ((x.reshape(len(x), *feature_shape), y) for x, y in batches)

    def adapt(layer: Standardization) -> None:
        layer.set(moments.mean, moments.scale)

    return fit_by_epochs(
        shape=feature_shape,
        num_examples=int(moments.counts.sum()),
        num_classes=len(moments.counts),
        adapt=adapt,
        epochs_of=lambda head, objective: StreamEpochs(
            head,
            objective,
            lambda epoch: shaped(streams.shuffled(epoch, training.batch_size)),
            lambda: shaped(streams.plain("eval", _BATCH_SIZE)),
            num_classes=len(moments.counts),
        ),
        model=model,
        training=training,
        class_weights=class_weights,
        checkpoint_dir=checkpoint_dir,
        on_epoch=on_epoch,
    )


def _notes(
    training: TrainingConfig, solver: str, penalty: float | None
) -> tuple[str, ...]:
    why = "`training.feature_reading` is 'stream'"
    if training.feature_reading == "auto":
        why = f"they take more than {MOST_BYTES_IN_MEMORY / 2**30:g} GiB"
    how = " and the head was fitted in mini-batches" if solver == "minibatch" else ""
    notes: tuple[str, ...] = (
        f"the features were read as a stream{how}, because {why}",
    )
    if penalty is None:
        return notes
    if training.cross_validation_folds:
        notes += (
            "the penalty was chosen on `eval` alone: there is no cross-validation of a "
            "stream",
        )
    return (*notes, *edge_notes(training.regularization, penalty))
