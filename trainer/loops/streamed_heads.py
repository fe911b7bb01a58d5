"""Train a head on stored features in memory or, if they don't fit, from a stream."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from graft.contract.counts import counted
from graft.contract.errors import DataError, TrainingError
from graft.trainer.config import ModelConfig, TrainingConfig
from graft.trainer.heads.head import signed_power
from graft.trainer.heads.minibatch import Moments, fit_minibatch, measure
from graft.trainer.loops.early_checks import check_reading, stream_obstacle
from graft.trainer.loops.feature_source import Arrays, FeatureSource
from graft.trainer.loops.linear_heads import edge_notes, head_of
from graft.trainer.loops.training import (
    Fitted,
    check_labels,
    count_labels,
    fit_head,
    set_seed,
)
from graft.trainer.loops.training_loop import OnEpoch
from graft.trainer.training_facts import TrainingFacts

logger = logging.getLogger(__name__)

MOST_BYTES_IN_MEMORY = 2 * 2**30
"""Size of the features of `train` and `eval` up to which `auto` is `memory`."""
_BATCH_SIZE = 512


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

    Raises:
        UserError: `feature_reading` is `stream`, and the head can't be streamed.
    """
    is_pooled = len(feature_shape) == 1
    check_reading(model, training, is_pooled=is_pooled)
    if None not in feature_shape:
        width = math.prod(size or 0 for size in feature_shape)
        train, evaluation = (replace(each, width=width) for each in (train, evaluation))
    reading = training.feature_reading
    loaded = None
    if reading != "stream":
        is_limited = reading == "auto" and not stream_obstacle(
            model, training, is_pooled=is_pooled
        )
        limit = MOST_BYTES_IN_MEMORY if is_limited else np.inf
        loaded = _load(train, evaluation, limit)
    if loaded is not None:
        return fit_head(
            *loaded,
            model=model,
            training=training,
            num_classes=num_classes,
            feature_shape=feature_shape,
            checkpoint_dir=checkpoint_dir,
            on_epoch=on_epoch,
        )
    return fit_streamed_head(
        train,
        evaluation,
        model=model,
        training=training,
        num_classes=num_classes,
        on_epoch=on_epoch,
    )


def fit_streamed_head(
    train: FeatureSource,
    evaluation: FeatureSource,
    *,
    model: ModelConfig,
    training: TrainingConfig,
    num_classes: int,
    on_epoch: OnEpoch | None = None,
) -> Fitted:
    """Fit a linear head in mini-batches, in memory that is independent of the images.

    Args:
        train: Features to train on.
        evaluation: Features to choose the penalty on.
        model: `output` is read.
        training: Penalties, class weights, label smoothing, power, seed.
        num_classes: Number of classes, K.
        on_epoch: Callback with the metrics of all penalties, at the end.

    Raises:
        DataError: A class is missing from `train`, or a split is empty.
        TrainingError: Features are not finite.
    """
    started = time.monotonic()
    set_seed(training)
    power = training.feature_power
    first = _Pass("train", train, power, num_classes)
    moments = _measure(first, num_classes, training)
    judged = _Pass("eval", evaluation, power, num_classes)
    for _ in judged:
        pass
    weights = check_labels(first.counts, judged.counts, training)
    solution = fit_minibatch(
        lambda epoch: _shuffled(train, training, epoch),
        lambda: _Pass("eval", evaluation, power, num_classes),
        moments,
        penalties=training.regularization,
        class_weights=weights,
        label_smoothing=training.label_smoothing,
    )
    head = head_of(solution, model, training, num_classes)
    history = {key: [row[key] for row in solution.path] for key in solution.path[0]}
    if on_epoch:
        on_epoch("head", history)
    notes = _notes(training, solution.penalty)
    facts = TrainingFacts("minibatch", solution.penalty, "stream", notes)
    for note in facts.notes:
        logger.info("%s.", note[0].upper() + note[1:])
    return Fitted(head, history, time.monotonic() - started, facts)


def _load(
    train: FeatureSource, evaluation: FeatureSource, limit: float
) -> tuple[Arrays, Arrays] | None:
    """Load both splits; None if their features take more bytes than the limit."""
    one = train.load_within(limit)
    other = None if one is None else evaluation.load_within(limit - one[0].nbytes)
    return None if one is None or other is None else (one, other)


def _notes(training: TrainingConfig, penalty: float) -> tuple[str, ...]:
    why = "`training.feature_reading` is 'stream'"
    if training.feature_reading == "auto":
        why = f"they take more than {MOST_BYTES_IN_MEMORY / 2**30:g} GiB"
    notes: tuple[str, ...] = (
        "the features were read as a stream and the head was fitted in mini-batches, "
        f"because {why}",
    )
    if training.cross_validation_folds:
        notes += (
            "the penalty was chosen on `eval` alone: there is no cross-validation of a "
            "stream",
        )
    return (*notes, *edge_notes(training.regularization, penalty))


def _measure(batches: _Pass, num_classes: int, training: TrainingConfig) -> Moments:
    # The pass ends with a message if there is nothing to measure.
    return measure(batches, num_classes, standardize=training.standardize is not False)


def _shuffled(
    source: FeatureSource, training: TrainingConfig, epoch: int
) -> Iterator[Arrays]:
    for features, labels in source.batches(_BATCH_SIZE, (training.seed, epoch)):
        yield signed_power(features, training.feature_power), labels


class _Pass:
    """One pass over a split in its order, which checks and counts the examples.

    Args:
        split: Name of the split, for messages.
        source: The features.
        power: `feature_power`.
        num_classes: Number of classes, K.
    """

    def __init__(
        self, split: str, source: FeatureSource, power: float, num_classes: int
    ) -> None:
        self._split = split
        self._source = source
        self._power = power
        self._num_classes = num_classes
        self.counts = np.zeros(num_classes + 1, np.int64)
        """Examples of each class, int64 (K + 1,); the last is of no class."""

    def __iter__(self) -> Iterator[Arrays]:
        """Yield the examples of known classes."""
        self.counts[:] = 0
        for features, labels in self._source.batches(_BATCH_SIZE):
            self.counts += count_labels(labels, self._num_classes)
            broken = np.flatnonzero(~np.isfinite(features).all(1))
            if len(broken):
                raise TrainingError(
                    f"features of `{self._split}` are not finite: compute them again. "
                    f"Received: {counted(len(broken), 'such example')} among "
                    f"{self.counts.sum()}"
                )
            known = labels >= 0
            yield signed_power(features[known], self._power), labels[known]
        if not self.counts.sum():
            raise DataError(
                "A split has no images, but `train` and `eval` both need some. "
                "Add images, or change `data.splits`."
            )
