"""Logistic regression in mini-batches, for features that don't fit in memory.

All penalties are trained at once, side by side, so that a pass over the features serves
all of them. The objective is that of `linear.py`. Adam minimises it (Kingma and Ba,
"Adam: A Method for Stochastic Optimization", ICLR 2015), with a rate that falls to zero
along a cosine. docs/decisions/0076-mini-batches.md has the figures.

Few examples are seen in smaller batches, so the number of epochs is limited. The rate
falls earlier if the log-loss on `eval` gets no better.

Memory doesn't depend on the number of examples. It is a few batches and about seven
times the kernels of all penalties.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf

from graft.trainer.heads.solution import LinearSolution

logger = logging.getLogger(__name__)

Batches = Iterable[tuple[np.ndarray, np.ndarray]]
"""Features, float32 (B, F), and labels, int64 (B,)."""

_FEWEST_EPOCHS, _MOST_EPOCHS = 4, 100
_STEPS = 2000
"""Steps to take at least, within `_MOST_EPOCHS`."""
_STEPS_OF_EPOCH = 40
"""Steps of an epoch at least, within the sizes of a batch."""
_SMALLEST_BATCH, _LARGEST_BATCH = 16, 512
_LEAST_GAIN = 1e-3
"""Relative progress of the log-loss on `eval` that counts as some."""
_PATIENCE = 3
"""Epochs without progress until the rate falls to zero."""
_LAST_EPOCHS = 5
"""Epochs in which it then falls."""
_RATE = 0.06
"""Greatest learning rate, for one feature. It falls with the root of their number,
since more features change a logit by more."""
_MOMENTUM, _SQUARES = 0.9, 0.99
"""Adam's decay of the mean gradient and of the mean squared gradient."""


@dataclass(frozen=True)
class Moments:
    """What one pass over `train` tells."""

    counts: np.ndarray
    """Examples of each class, int64 (K,)."""
    mean: np.ndarray
    """Mean of each feature, float32 (F,)."""
    scale: np.ndarray
    """Inverse standard deviation of each feature, or 1, float32 (F,)."""


def measure(batches: Batches, num_classes: int, *, standardize: bool) -> Moments:
    """Measure `train` in one pass.

    Args:
        batches: All examples, in any order. An example may have several rows.
        num_classes: Number of classes, K.
        standardize: Whether to scale features to variance 1.
    """
    counts = np.zeros(num_classes, np.int64)
    total = squares = shift = np.zeros(0)
    number = 0
    for features, labels in batches:
        if not counts.any():
            # Sums of squares about a typical value don't lose digits.
            shift = features.mean(0, dtype=np.float64)
            total, squares = np.zeros_like(shift), np.zeros_like(shift)
        counts += np.bincount(labels, minlength=num_classes)
        number += len(features)
        moved = features - shift
        total += moved.sum(0)
        squares += np.einsum("nf,nf->f", moved, moved)
    mean = shift + total / number
    deviation = np.sqrt(np.maximum(squares / number - (total / number) ** 2, 0))
    scale = np.ones_like(mean)
    if standardize:
        scale = 1 / np.maximum(deviation, 1e-6 + 1e-3 * deviation.mean())
    return Moments(counts, mean.astype(np.float32), scale.astype(np.float32))


@dataclass
class _Course:
    """How far a fit is, and how fast it goes on."""

    pace: float
    """Share of the fit that is an epoch."""
    epoch: float = 0
    """Number of finished epochs."""
    share: float = 0
    """Share of the fit that is done. The rate depends on it."""
    least: float = np.inf
    """Least log-loss on `eval` so far, of any penalty."""
    waited: float = 0
    """Epochs since it got better."""

    def rate(self, greatest: float, share_of_epoch: float) -> float:
        """Return the learning rate within an epoch."""
        share = self.share + self.pace * share_of_epoch
        return greatest * 0.5 * (1 + math.cos(math.pi * share))

    def advance(self, loss: float) -> None:
        """End an epoch after which the best log-loss on `eval` is `loss`."""
        self.epoch += 1
        self.share = min(self.share + self.pace, 1.0)
        self.waited = 0 if loss < self.least * (1 - _LEAST_GAIN) else self.waited + 1
        self.least = min(self.least, loss)
        if self.waited >= _PATIENCE:
            self.pace = max(self.pace, (1 - self.share) / _LAST_EPOCHS)
            self.waited = -math.inf

    @property
    def is_done(self) -> bool:
        """Whether the rate is zero."""
        return self.share > 1 - 1e-6


class Keeper(Protocol):
    """Keeps the state of a fit, so that it can go on after its process was killed."""

    def restore(self) -> Mapping[str, np.ndarray] | None:
        """Return the arrays that were saved last; None if there are none."""

    def save(self, epoch: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Save arrays after an epoch."""


def fit_minibatch(
    train: Callable[[int, int], Batches],
    evaluation: Callable[[], Batches],
    moments: Moments,
    *,
    penalties: Sequence[float],
    class_weights: Sequence[float] | None = None,
    label_smoothing: float = 0.0,
    keeper: Keeper | None = None,
) -> LinearSolution:
    """Fit a softmax regression and choose its L2 penalty.

    Args:
        train: Takes the number of an epoch and the size of a batch, and returns the
            epoch's batches, in mixed order.
        evaluation: Returns the batches to choose the penalty on.
        moments: Result of `measure` for `train`.
        penalties: Penalties to try.
        class_weights: Weight of each class, K numbers.
        label_smoothing: Share of the target spread over all classes.
        keeper: Keeps the state after each epoch.

    Returns:
        The solution with the least log-loss on `evaluation`.
    """
    number = int(moments.counts.sum())
    size, num_epochs = plan(number)
    problem = _Problem(moments, sorted(penalties, reverse=True), label_smoothing)
    weights = np.ones(len(moments.counts), np.float32)
    if class_weights is not None:
        weights = np.asarray(class_weights, np.float32)
        weights *= number / float(weights @ moments.counts)
    scores, judged = np.zeros((2, 2, len(penalties)))
    course = _Course(1 / num_epochs)
    saved = None if keeper is None else keeper.restore()
    if saved is not None:
        course = _Course(*saved["course"].tolist())
        scores, judged = saved["scores"]
        problem.restore(saved)
    greatest = _RATE / math.sqrt(len(moments.mean))
    while not course.is_done:
        scores[:] = seen = 0
        for features, labels in train(int(course.epoch), size):
            rate = course.rate(greatest, min(seen / number, 1.0))
            scores += problem.step(features, labels, weights[labels], rate)
            seen += len(labels)
        scores /= number
        judged = _judge(problem, evaluation())
        course.advance(float(judged[0].min()))
        logger.info(
            "Epoch %d, %.0f %% done: log-losses on `eval` %s",
            course.epoch,
            100 * course.share,
            np.round(judged[0], 4).tolist(),
        )
        if keeper is not None:
            state = problem.state()
            state["course"] = np.array(astuple(course))
            state["scores"] = np.array([scores, judged])
            keeper.save(int(course.epoch), state)
    return _choose(problem, scores, judged)


def plan(number: int) -> tuple[int, int]:
    """Return the size of a batch and the number of epochs for so many examples."""
    size = min(max(number // _STEPS_OF_EPOCH, _SMALLEST_BATCH), _LARGEST_BATCH)
    steps = -(-number // size)
    return size, min(max(-(-_STEPS // steps), _FEWEST_EPOCHS), _MOST_EPOCHS)


def _judge(problem: _Problem, evaluation: Batches) -> np.ndarray:
    """Return each penalty's mean log-loss and accuracy on `eval`, float (2, P)."""
    sums = np.zeros((2, len(problem.penalties)))
    seen = 0
    for features, labels in evaluation:
        sums += problem.scores(features, labels)
        seen += len(labels)
    return sums / seen


def _choose(
    problem: _Problem, scores: np.ndarray, judged: np.ndarray
) -> LinearSolution:
    path = [
        {
            "penalty": float(penalty),
            "loss": float(scores[0, index]),
            "accuracy": float(scores[1, index]),
            "eval_loss": float(judged[0, index]),
            "eval_accuracy": float(judged[1, index]),
        }
        for index, penalty in enumerate(problem.penalties)
    ]
    best = int(np.argmin(judged[0]))
    kernel, bias = problem.solution(best)
    return LinearSolution(kernel, bias, float(problem.penalties[best]), path)


class _Problem:
    """The kernels of all penalties, (F, P * K), and Adam's state.

    They are for standardised features.
    """

    def __init__(
        self, moments: Moments, penalties: Sequence[float], smoothing: float
    ) -> None:
        self.penalties = penalties
        self._moments = moments
        self._smoothing = smoothing
        width, self._classes = len(moments.mean), len(moments.counts)
        size = len(penalties) * self._classes
        self._penalties = tf.constant(
            np.repeat(np.array(penalties, np.float32), self._classes)
        )
        self._variables = [tf.Variable(tf.zeros((width, size)))]
        self._variables += [tf.Variable(tf.zeros(size))]
        self._means = [tf.Variable(tf.zeros_like(each)) for each in self._variables]
        self._squares = [tf.Variable(tf.zeros_like(each)) for each in self._variables]
        self._state = {
            "variables": self._variables,
            "means": self._means,
            "squares": self._squares,
        }
        self._num_steps = 0
        # The last batch of an epoch has another size, but needs no graph of its own.
        batch = [tf.TensorSpec((None, width)), tf.TensorSpec((None,), tf.int64)]
        numbers = [tf.TensorSpec((None,)), *(tf.TensorSpec(()) for _ in range(3))]
        self._run = tf.function(self._step, [*batch, *numbers], autograph=False)
        self._judge = tf.function(self._score, batch, autograph=False)

    def step(
        self, features: np.ndarray, labels: np.ndarray, weights: np.ndarray, rate: float
    ) -> np.ndarray:
        """Take a step; return the sums of losses and right answers, float (2, P)."""
        self._num_steps += 1
        corrections = (
            1 - _MOMENTUM**self._num_steps,
            1 - _SQUARES**self._num_steps,
        )
        sums: np.ndarray = self._run(
            features, labels, weights, np.float32(rate), *map(np.float32, corrections)
        ).numpy()
        return sums

    def scores(self, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the sums of losses and of right answers, float (2, P)."""
        sums: np.ndarray = self._judge(features, labels).numpy()
        return sums

    def state(self) -> dict[str, np.ndarray]:
        """Return all that `restore` needs."""
        arrays = {
            f"{name}-{index}": variable.numpy()
            for name, variables in self._state.items()
            for index, variable in enumerate(variables)
        }
        return {**arrays, "steps": np.array(self._num_steps)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on where `state` was called."""
        self._num_steps = int(state["steps"])
        for name, variables in self._state.items():
            for index, variable in enumerate(variables):
                variable.assign(state[f"{name}-{index}"])

    def solution(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return kernel and bias of a penalty for features as they are stored."""
        part = slice(index * self._classes, (index + 1) * self._classes)
        kernel = self._moments.scale[:, None] * self._variables[0][:, part].numpy()
        bias = self._variables[1][part].numpy() - self._moments.mean @ kernel
        return kernel, bias

    def _logits(self, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return standardised features, (B, F), and logits, (B, P, K)."""
        x = (features - self._moments.mean) * self._moments.scale
        kernels, biases = self._variables
        logits = tf.matmul(x, kernels) + biases
        return x, tf.reshape(logits, (-1, len(self.penalties), self._classes))

    def _sums(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        hits = tf.one_hot(labels, self._classes)[:, tf.newaxis]
        losses = -tf.reduce_sum(hits * tf.nn.log_softmax(logits), 2)
        answers = tf.argmax(logits, 2, output_type=labels.dtype)
        is_right = tf.cast(answers == labels[:, tf.newaxis], tf.float32)
        return tf.stack([tf.reduce_sum(losses, 0), tf.reduce_sum(is_right, 0)])

    def _score(self, features: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return self._sums(self._logits(features)[1], labels)

    def _step(  # noqa: PLR0917 - the state of one step
        self,
        features: tf.Tensor,
        labels: tf.Tensor,
        weights: tf.Tensor,
        rate: tf.Tensor,
        mean_correction: tf.Tensor,
        square_correction: tf.Tensor,
    ) -> tf.Tensor:
        x, logits = self._logits(features)
        targets = tf.one_hot(labels, self._classes) * (1 - self._smoothing)
        targets += self._smoothing / self._classes
        residual = tf.nn.softmax(logits) - targets[:, tf.newaxis]
        share = weights / tf.cast(tf.shape(labels)[0], tf.float32)
        residual = tf.reshape(
            residual * share[:, tf.newaxis, tf.newaxis], (-1, len(self._penalties))
        )
        sums = self._sums(logits, labels)
        pull = self._penalties * self._variables[0]
        gradients = (
            tf.matmul(x, residual, transpose_a=True) + pull,
            tf.reduce_sum(residual, 0),
        )
        for variable, gradient, mean, square in zip(
            self._variables, gradients, self._means, self._squares, strict=True
        ):
            mean.assign(_MOMENTUM * mean + (1 - _MOMENTUM) * gradient)
            square.assign(_SQUARES * square + (1 - _SQUARES) * gradient**2)
            size = tf.sqrt(square / square_correction) + 1e-8
            variable.assign_sub(rate * (mean / mean_correction) / size)
        return sums
