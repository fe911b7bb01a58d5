"""Logistic regression on stored features, by L-BFGS: a first answer in seconds.

The penalty is chosen on `eval` by its log-loss along a path from strong to weak, each
solution showing where the next begins.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graft.trainer.heads.lbfgs import minimise

logger = logging.getLogger(__name__)

_MAX_STEPS = 200
_ROUGH, _EXACT = 1e-6, 1e-8
"""Relative progress of a step below which a solution is taken: on the path, where its
log-loss on `eval` is right to 1e-4, and for the penalty that is chosen."""
_PATIENCE = 2
"""Penalties without progress on `eval` before the path ends."""
_NUM_AXES = 128
"""Principal axes along which the curvature is told apart."""
_LEAST_CURVATURE = 1e-3
"""Of an example's loss, as a share of the features' variance; for the bias's sake."""


@dataclass(frozen=True)
class LinearSolution:
    """Logits are `features @ kernel + bias`."""

    kernel: np.ndarray
    """float32 (F, K)."""
    bias: np.ndarray
    """float32 (K,)."""
    penalty: float
    """The penalty that was taken."""
    path: list[dict[str, float]]
    """Per penalty tried: penalty, loss, accuracy, eval_loss, eval_accuracy."""


@dataclass(frozen=True)
class Prepared:
    """Standardised features, and their principal axes, which every penalty shares."""

    mean: np.ndarray
    """Of the features, float32 (F,)."""
    scale: np.ndarray
    """One by their deviation, or 1, float32 (F,)."""
    train: np.ndarray
    """float32 (N, F)."""
    evaluation: np.ndarray | None
    """The same for choosing."""
    axes: np.ndarray
    """The principal axes of `train` that hold most variance, float32 (F, R)."""
    variances: np.ndarray
    """Along each of them, float32 (R,)."""
    other_variance: float
    """Along any other direction, on average."""


def prepare(
    train: np.ndarray, evaluation: np.ndarray | None, *, standardize: bool = True
) -> Prepared:
    """Standardise features, float32 (N, F), and find their principal axes.

    Args:
        train: Features.
        evaluation: Features for choosing.
        standardize: Whether to bring them to variance 1 too, not to mean 0 alone.
    """
    mean = train.mean(0, dtype=np.float64).astype(np.float32)
    x = train - mean
    scale = np.ones_like(mean)
    if standardize:
        deviation = np.sqrt(np.einsum("nf,nf->f", x, x) / np.float32(len(x)))
        scale = 1 / np.maximum(deviation, 1e-6 + np.float32(1e-3) * deviation.mean())
        x *= scale
    axes, variances = _principal_axes(x)
    total = float(np.vdot(x, x)) / len(x)
    num_others = max(x.shape[1] - len(variances), 1)
    return Prepared(
        mean,
        scale,
        x,
        None if evaluation is None else (evaluation - mean) * scale,
        axes,
        variances,
        max(total - float(variances.sum()), 0.0) / num_others,
    )


def fit_logistic_regression(
    train: tuple[np.ndarray, np.ndarray],
    evaluation: tuple[np.ndarray, np.ndarray] | None,
    *,
    penalties: Sequence[float],
    num_classes: int,
    class_weights: Sequence[float] | None = None,
    label_smoothing: float = 0.0,
    standardize: bool = True,
    prepared: Prepared | None = None,
) -> LinearSolution:
    """Fit a softmax regression and choose its L2 penalty.

    The objective is the mean cross-entropy plus `penalty / 2` times the squared norm of
    the kernel over standardised features. The standardisation is folded into the
    result.

    Args:
        train: Features, float32 (N, F), and labels, int64 (N,).
        evaluation: The same for choosing; None takes the strongest penalty.
        penalties: What to try.
        num_classes: K.
        class_weights: Weight of each class, K numbers.
        label_smoothing: Share of the target spread over all classes.
        standardize: Whether to bring features to mean 0 and variance 1 first.
        prepared: From `prepare` of the same features, where there are more fits to
            them.

    Returns:
        The solution that has the least log-loss on `evaluation`.
    """
    if prepared is None:
        judged = None if evaluation is None else evaluation[0]
        prepared = prepare(train[0], judged, standardize=standardize)
    return _fit_path(
        prepared,
        train[1],
        None if evaluation is None else evaluation[1],
        penalties=penalties,
        num_classes=num_classes,
        class_weights=class_weights,
        label_smoothing=label_smoothing,
    )


def _fit_path(
    data: Prepared,
    labels: np.ndarray,
    eval_labels: np.ndarray | None,
    *,
    penalties: Sequence[float],
    num_classes: int,
    class_weights: Sequence[float] | None,
    label_smoothing: float,
) -> LinearSolution:
    targets = np.eye(num_classes, dtype=np.float32)[labels]
    weights = (
        np.ones(len(labels), np.float32)
        if class_weights is None
        else np.asarray(class_weights, np.float32)[labels]
    )
    smoothed = targets * (1 - label_smoothing) + label_smoothing / num_classes
    problem = _Problem(data, smoothed.astype(np.float32), weights / weights.sum())
    previous = solution = np.zeros((data.train.shape[1] + 1, num_classes), np.float32)
    best: tuple[float, float, np.ndarray] | None = None
    since_best = 0
    path = []
    for penalty in sorted(penalties, reverse=True):
        # Penalties fall by factors, and solutions go on as they went.
        start = solution + (solution - previous)
        previous, solution = solution, problem.solve(penalty, start, _ROUGH)
        row = {"penalty": float(penalty)}
        row["loss"], row["accuracy"] = _score(data.train, labels, solution)
        if data.evaluation is not None and eval_labels is not None:
            row["eval_loss"], row["eval_accuracy"] = _score(
                data.evaluation, eval_labels, solution
            )
        path.append(row)
        score = row.get("eval_loss", 0.0)
        if best is None or score < best[0]:
            best, since_best = (score, penalty, solution), 0
        else:
            since_best += 1
        if eval_labels is None or since_best == _PATIENCE:
            break
    if best is None:
        raise ValueError(f"`penalties` must not be empty. Received: {penalties!r}")
    solution = problem.solve(best[1], best[2], _EXACT)
    kernel = data.scale[:, None] * solution[:-1]
    bias = solution[-1] - data.mean @ kernel
    logger.info("Took the L2 penalty %g of %d tried", best[1], len(path))
    return LinearSolution(kernel, bias, float(best[1]), path)


def _principal_axes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return some principal axes of centred features, float32 (N, F).

    By the randomised subspace iteration of Halko, Martinsson and Tropp, "Finding
    Structure with Randomness", SIAM Review 2011. They need not be exact: a solution
    does not depend on them, only the number of steps to it.

    Returns:
        Orthonormal axes, float32 (F, R), and the variance along each, float32 (R,).
    """
    num_examples, width = x.shape
    rng = np.random.default_rng(0)
    axes = rng.standard_normal((width, min(_NUM_AXES, width)), np.float32)
    for _ in range(2):
        axes = x.T @ (x @ axes) / np.float32(x.size)
    axes, _ = np.linalg.qr(axes)
    along = x @ axes
    variances, turn = np.linalg.eigh(along.T @ along / np.float32(num_examples))
    return axes @ turn, np.maximum(variances, 0)


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted: np.ndarray = logits - logits.max(1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(1, keepdims=True)))


def _score(
    x: np.ndarray, labels: np.ndarray, solution: np.ndarray
) -> tuple[float, float]:
    """Return mean log-loss and accuracy."""
    logits = x @ solution[:-1] + solution[-1]
    losses = -_log_softmax(logits)[np.arange(len(labels)), labels]
    return float(losses.mean()), float((logits.argmax(1) == labels).mean())


class _Problem:
    """Softmax regression over standardised features, ready to be solved.

    Solutions and gradients are float32 (F + 1, K), the bias last.
    """

    def __init__(
        self, data: Prepared, targets: np.ndarray, weights: np.ndarray
    ) -> None:
        self._data = data
        self._targets = targets
        self._weights = weights[:, None]

    def solve(self, penalty: float, start: np.ndarray, progress: float) -> np.ndarray:
        """Minimise by L-BFGS from `start`.

        What the first step knows of the curvature is the variance of the features along
        their axes times the curvature of an example's loss on average, besides the
        penalty: Frangella, Tropp and Udell, "Randomized Nystroem Preconditioning", SIAM
        Journal on Matrix Analysis and Applications 2023.
        """
        axes = self._data.axes
        curvature = self._mean_curvature(start)
        elsewhere = np.float32(1 / (self._data.other_variance * curvature + penalty))
        along = 1 / (self._data.variances * np.float32(curvature) + np.float32(penalty))
        surplus = (along - elsewhere)[:, None]

        def precondition(gradient: np.ndarray) -> np.ndarray:
            kernel = gradient[:-1]
            result = np.empty_like(gradient)
            result[:-1] = elsewhere * kernel + axes @ (surplus * (axes.T @ kernel))
            result[-1] = gradient[-1] / np.float32(curvature)
            return result

        return minimise(
            lambda solution: self._loss_and_gradient(solution, penalty),
            start,
            precondition=precondition,
            progress=progress,
            max_steps=_MAX_STEPS,
        )

    def _log_probabilities(self, solution: np.ndarray) -> np.ndarray:
        return _log_softmax(self._data.train @ solution[:-1] + solution[-1])

    def _mean_curvature(self, solution: np.ndarray) -> float:
        """Return the mean over examples and directions of logits.

        The curvature of the cross-entropy is diag(p) - p p', whose trace, for K - 1
        directions, is 1 - p'p.
        """
        squares = np.exp(2 * self._log_probabilities(solution)).sum(1)
        trace = 1 - float(squares.mean())
        return float(max(trace / (solution.shape[1] - 1), _LEAST_CURVATURE))

    def _loss_and_gradient(
        self, solution: np.ndarray, penalty: float
    ) -> tuple[float, np.ndarray]:
        kernel = solution[:-1]
        log_p = self._log_probabilities(solution)
        loss = -float(np.sum(self._weights * self._targets * log_p, dtype=np.float64))
        loss += 0.5 * penalty * float(np.sum(kernel**2, dtype=np.float64))
        residual = self._weights * (np.exp(log_p) - self._targets)
        gradient = np.empty_like(solution)
        gradient[:-1] = self._data.train.T @ residual + np.float32(penalty) * kernel
        gradient[-1] = residual.sum(0)
        return loss, gradient
