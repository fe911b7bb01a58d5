"""Logistic regression on stored features, fitted by L-BFGS.

The penalties are tried from strong to weak. Each solution is the start of the next fit.
The penalty with the least log-loss on `eval` is chosen.

scikit-learn's `LogisticRegression` uses SciPy's L-BFGS-B, which accepts no
preconditioner. It has no label smoothing.
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
"""Relative progress of a step at which a fit ends: for each penalty on the path, where
the log-loss on `eval` is right to 1e-4, and for the chosen penalty."""
_PATIENCE = 2
"""Penalties without progress on `eval` before the path ends."""
_NUM_AXES = 128
"""Principal axes whose variance the preconditioner uses."""
_LEAST_CURVATURE = 1e-3
"""Lower limit of the mean curvature of an example's loss. It limits bias steps."""


@dataclass(frozen=True)
class LinearSolution:
    """A fitted linear head. Its logits are `features @ kernel + bias`."""

    kernel: np.ndarray
    """float32 (F, K)."""
    bias: np.ndarray
    """float32 (K,)."""
    penalty: float
    """The chosen penalty."""
    path: list[dict[str, float]]
    """Row per tried penalty: penalty, loss, accuracy, eval_loss, eval_accuracy."""


@dataclass(frozen=True)
class Prepared:
    """Standardised features and their principal axes, shared by all penalties."""

    mean: np.ndarray
    """Mean of each feature, float32 (F,)."""
    scale: np.ndarray
    """Inverse standard deviation of each feature, or 1, float32 (F,)."""
    train: np.ndarray
    """Standardised features of `train`, float32 (N, F)."""
    evaluation: np.ndarray | None
    """Standardised features of `eval`, float32 (M, F)."""
    axes: np.ndarray
    """Principal axes of `train` with the most variance, float32 (F, R)."""
    variances: np.ndarray
    """Variance along each axis, float32 (R,)."""
    other_variance: float
    """Mean variance along all other directions."""


def prepare(
    train: np.ndarray, evaluation: np.ndarray | None, *, standardize: bool = True
) -> Prepared:
    """Standardise features and find their principal axes.

    Args:
        train: Features of `train`, float32 (N, F).
        evaluation: Features of `eval`, float32 (M, F).
        standardize: Whether to scale features to variance 1. The mean is always 0.
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
    result. Its keyword arguments are the settings of the objective.

    Args:
        train: Features, float32 (N, F), and labels, int64 (N,).
        evaluation: Features and labels to choose the penalty on. None chooses the
            strongest penalty.
        penalties: Penalties to try.
        num_classes: Number of classes, K.
        class_weights: Weight of each class, K numbers.
        label_smoothing: Share of the target spread over all classes.
        standardize: Whether to scale features to variance 1 first.
        prepared: Result of `prepare` for the same features, to share it between fits.

    Returns:
        The solution with the least log-loss on `evaluation`.

    Raises:
        ValueError: `penalties` is empty.
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
        # Penalties fall by about the same factor, so extrapolate linearly.
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
    logger.info("Chose the L2 penalty %g of %d tried", best[1], len(path))
    return LinearSolution(kernel, bias, float(best[1]), path)


def _principal_axes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find approximate principal axes of centred features, float32 (N, F).

    The method is the randomised subspace iteration of Halko, Martinsson and Tropp,
    "Finding Structure with Randomness", SIAM Review 2011. The axes affect the number of
    steps to a solution, not the solution.

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
    """Softmax regression over standardised features.

    Solutions and gradients are float32 (F + 1, K). The last row is the bias.
    """

    def __init__(
        self, data: Prepared, targets: np.ndarray, weights: np.ndarray
    ) -> None:
        self._data = data
        self._targets = targets
        self._weights = weights[:, None]

    def solve(self, penalty: float, start: np.ndarray, progress: float) -> np.ndarray:
        """Minimise by L-BFGS from `start`.

        The preconditioner approximates the curvature along a principal axis by the
        variance along it, times the mean curvature of an example's loss, plus the
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
        """Return the loss's mean curvature over examples and directions of logits.

        The curvature of the cross-entropy is diag(p) - p p'. Its trace over K - 1
        directions is 1 - p'p.
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
