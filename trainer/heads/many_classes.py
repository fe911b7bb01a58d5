"""Logistic regression with many classes: the path of penalties at a lower cost.

The cost of a step is images times features times classes. So the whole path is first
solved on a few principal axes. That tells which penalties matter, and where to start.
Only these are solved on all features, from the strong to the weak, until the log-loss
on `eval` gets worse.

The objective and the solution are those of `linear.py`; a test compares them.
docs/decisions/0074-many-classes.md has the figures and what else was tried.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from graft.trainer.heads.prepared import Prepared, prepare, principal_axes
from graft.trainer.heads.shared_tensor import as_tensor
from graft.trainer.heads.softmax_regression import (
    Labels,
    Problem,
    Search,
    log_softmax,
    step_from,
)

logger = logging.getLogger(__name__)

_LARGE_PROBLEM = 1e10
"""Multiplications for the logits of `train` from which this way is faster."""
_NUM_AXES = 256
"""Principal axes of the first, rough path."""
ROUGH, EXACT = 1e-5, 1e-7
"""Relative progress of a step at which a fit ends: on the path, and for the chosen
penalty. docs/decisions/0074-many-classes.md has the accuracy of others."""
_PATIENCE = 2
"""Penalties without progress on `eval` before the rough path ends."""

Found = tuple[np.ndarray, list[dict[str, float]]]
"""The best solution, float32 (F + 1, K), and a row per tried penalty."""


def is_large(train: np.ndarray, num_classes: int) -> bool:
    """Return whether a path over these features, (N, F), is better solved here."""
    return train.size * num_classes >= _LARGE_PROBLEM


def fit_large_path(
    data: Prepared, labels: Labels, penalties: Sequence[float]
) -> tuple[np.ndarray, float, list[dict[str, float]]]:
    """Fit the penalties that matter, and choose the one with the least log-loss.

    Args:
        data: Standardised features.
        labels: Their labels. Without those of `eval`, the strongest penalty is chosen.
        penalties: Penalties to try.

    Returns:
        The best solution, float32 (F + 1, K), its penalty, and a row for each penalty
        that was solved on all features, from strong to weak.
    """
    ordered = sorted(penalties, reverse=True)
    if labels.evaluation is None:
        del ordered[1:]
    data = _with_axes(data, _NUM_AXES)
    rough = _RoughPath(data, labels, ordered)
    problem = TensorProblem(data, labels)
    solutions: dict[int, np.ndarray] = {}
    rows: dict[int, dict[str, float]] = {}

    def solve(index: int, neighbour: int | None) -> tuple[float, Search]:
        start = rough.start(index, neighbour, solutions)
        search = Search(problem, ordered[index], start)
        solutions[index] = search.run(progress=ROUGH)
        rows[index] = problem.row(ordered[index], solutions[index])
        return rows[index].get("eval_loss", 0.0), search

    first = best = max(rough.best - 1, 0)
    least, search = solve(first, None)
    for index in range(first + 1, len(ordered)):
        loss, next_search = solve(index, index - 1)
        if loss >= least:
            break
        best, least, search = index, loss, next_search
    # The rough path was wrong: stronger penalties are better.
    while best == first and first > 0:
        first -= 1
        loss, next_search = solve(first, first + 1)
        if loss < least:
            best, least, search = first, loss, next_search
    logger.info(
        "%d penalties were compared on %d principal axes, %d of them on all features",
        len(rough.rows),
        len(data.variances),
        len(rows),
    )
    return (
        search.run(progress=EXACT),
        ordered[best],
        [rows[index] for index in sorted(rows)],
    )


def fit_penalty(
    features: np.ndarray, labels: np.ndarray, penalty: float
) -> Callable[[np.ndarray], np.ndarray]:
    """Fit a softmax regression with one penalty, without standardising the features.

    Args:
        features: float32 (N, F).
        labels: int64 (N,), from 0.
        penalty: L2 penalty for the mean of the losses.

    Returns:
        A function from features, (M, F), to probabilities, float32 (M, K).
    """
    num_classes = int(labels.max()) + 1
    data = prepare(features, None, standardize=False)
    made = Labels.of(
        labels, None, num_classes=num_classes, class_weights=None, label_smoothing=0.0
    )
    problem = TensorProblem(data, made)
    solution = problem.solve(penalty, problem.zeros(), EXACT)

    def predict(others: np.ndarray) -> np.ndarray:
        logits = problem.logits(others - data.mean, solution)
        return np.asarray(np.exp(log_softmax(logits)))

    return predict


class TensorProblem(Problem):
    """A `Problem` whose products are TensorFlow's, which has the faster kernels.

    Args:
        data: Features of `train` and `eval`.
        labels: Their labels.
    """

    def __init__(self, data: Prepared, labels: Labels) -> None:
        super().__init__(data, labels)
        # With many classes, the curvature of the loss is below the usual limit.
        self.least_curvature = Problem.least_curvature / labels.targets.shape[1]
        self._train = as_tensor(data.train)
        self._constants = tf.constant(labels.targets), tf.constant(labels.weights)
        self._run = tf.function(self._loss_and_residual, autograph=False)

    def logits(self, x: np.ndarray, solution: np.ndarray) -> np.ndarray:
        """Return logits, float32 (N, K), of features, float32 (N, F)."""
        source = self._train if x is self.data.train else as_tensor(x)
        logits: np.ndarray = tf.matmul(source, solution[:-1]).numpy()
        logits += solution[-1]
        return logits

    def loss_and_gradient(
        self, solution: np.ndarray, penalty: float
    ) -> tuple[float, np.ndarray]:
        """Return the value of the objective and its gradient."""
        loss, gradient = self._run(tf.constant(solution))
        kernel, gradient = solution[:-1], gradient.numpy()
        gradient[:-1] += np.float32(penalty) * kernel
        return float(loss) + 0.5 * penalty * float(np.vdot(kernel, kernel)), gradient

    def _loss_and_residual(self, solution: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        targets, weights = self._constants
        logits = tf.matmul(self._train, solution[:-1]) + solution[-1]
        losses, residual = tf.raw_ops.SoftmaxCrossEntropyWithLogits(
            features=logits, labels=targets
        )
        loss = tf.reduce_sum(tf.cast(weights * losses, tf.float64))
        residual *= weights[:, tf.newaxis]
        kernel = tf.matmul(self._train, residual, transpose_a=True)
        bias = tf.reduce_sum(residual, 0, keepdims=True)
        return loss, tf.concat([kernel, bias], 0)


class _RoughPath:
    """The path on the principal axes of the features.

    A rotation doesn't change the objective, so the penalties mean the same there.
    """

    def __init__(
        self, data: Prepared, labels: Labels, penalties: Sequence[float]
    ) -> None:
        self._axes = data.axes
        self._labels = labels
        problem = TensorProblem(_projected(data), labels)
        self._solutions: list[np.ndarray] = []
        self.rows: list[dict[str, float]] = []
        self.best = 0
        for index, penalty in enumerate(penalties):
            start = self._extrapolate(penalties[: index + 1], problem)
            solution = problem.solve(penalty, start, ROUGH)
            self._solutions.append(solution)
            self.rows.append(problem.row(penalty, solution))
            losses = [row.get("eval_loss", 0.0) for row in self.rows]
            self.best = int(np.argmin(losses))
            if index - self.best == _PATIENCE:
                break

    def start(
        self, index: int, neighbour: int | None, solutions: dict[int, np.ndarray]
    ) -> np.ndarray:
        """Return where to start on all features: a solution, float32 (F + 1, K).

        Args:
            index: The penalty to solve.
            neighbour: A penalty that is solved on all features.
            solutions: The solutions on all features.
        """
        is_known = index < len(self._solutions)
        if neighbour is None:
            return self._lift(self._solutions[index])
        if not is_known:
            return solutions[neighbour]
        step = self._solutions[index] - self._solutions[neighbour]
        return np.asarray(solutions[neighbour] + self._lift(step))

    def _extrapolate(self, penalties: Sequence[float], problem: Problem) -> np.ndarray:
        """Extrapolate linearly in the logarithm of the penalty."""
        if not self._solutions:
            return problem.zeros()
        if len(self._solutions) == 1:
            return self._solutions[0]
        earlier, last, next_ = np.log(penalties[-3:])
        share = np.float32((next_ - last) / (last - earlier)) if last != earlier else 0
        earlier_solution, solution = self._solutions[-2:]
        step = step_from(earlier_solution, solution, self._labels)
        return np.asarray(solution + share * step)

    def _lift(self, solution: np.ndarray) -> np.ndarray:
        return np.concatenate([self._axes @ solution[:-1], solution[-1:]])


def _with_axes(data: Prepared, num_axes: int) -> Prepared:
    """Return the same features with another number of principal axes."""
    axes, variances = principal_axes(data.train, num_axes)
    total = float(np.vdot(data.train, data.train)) / len(data.train)
    num_others = max(data.train.shape[1] - len(variances), 1)
    rest = max(total - float(variances.sum()), 0.0)
    return replace(
        data, axes=axes, variances=variances, other_variance=rest / num_others
    )


def _projected(data: Prepared) -> Prepared:
    size = len(data.variances)
    evaluation = data.evaluation
    return Prepared(
        mean=np.zeros(size, np.float32),
        scale=np.ones(size, np.float32),
        train=data.train @ data.axes,
        evaluation=None if evaluation is None else evaluation @ data.axes,
        axes=np.eye(size, dtype=np.float32),
        variances=data.variances,
        other_variance=0.0,
    )
