"""Logistic regression on stored features, by L-BFGS: a first answer in seconds.

The penalty is chosen on `eval` by its log-loss along a path from strong to weak, each
solution being the start of the next.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

logger = logging.getLogger(__name__)

_LARGE_PROBLEM = 1e8
"""Multiplications of one step from which several BLAS threads pay."""
_MAX_ITERATIONS = 200
_ROUGH, _EXACT = 1e-6, 1e-8
"""Relative progress of a step below which a solution is taken: on the path, where its
log-loss on `eval` is right to 1e-4, and for the penalty that is chosen."""
_PATIENCE = 2
"""Penalties without progress on `eval` before the path ends."""


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
class Axes:
    """Standardised features along their principal axes, which every penalty shares."""

    mean: np.ndarray
    """Of the features, float32 (F,)."""
    directions: np.ndarray
    """float32 (F, R), standardisation folded in."""
    variances: np.ndarray
    """Along each axis, float32 (R,)."""
    train: np.ndarray
    """float32 (N, R)."""
    evaluation: np.ndarray | None
    """The same for choosing."""


def principal_axes(
    train: np.ndarray, evaluation: np.ndarray | None, *, standardize: bool = True
) -> Axes:
    """Bring features, float32 (N, F), to the axes that `train` has any variance along.

    Args:
        train: Features.
        evaluation: Features for choosing.
        standardize: Whether to bring them to mean 0 and variance 1 first.
    """
    mean, scale = _moments(train, standardize=standardize)
    basis, variances = _basis((train - mean) * scale)
    directions = scale[:, None] * basis
    return Axes(
        mean,
        directions,
        variances,
        (train - mean) @ directions,
        None if evaluation is None else (evaluation - mean) @ directions,
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
    axes: Axes | None = None,
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
        axes: From `principal_axes` of the same features, where there are more fits to
            them.

    Returns:
        The solution that has the least log-loss on `evaluation`.
    """
    if axes is None:
        judged = None if evaluation is None else evaluation[0]
        axes = principal_axes(train[0], judged, standardize=standardize)
    # BLAS threads that wait for each other cost more than they bring where a step is
    # short.
    is_small = train[0].size * num_classes < _LARGE_PROBLEM
    with threadpool_limits(1 if is_small else None):
        return _fit_path(
            axes,
            train[1],
            None if evaluation is None else evaluation[1],
            penalties=penalties,
            num_classes=num_classes,
            class_weights=class_weights,
            label_smoothing=label_smoothing,
        )


def _fit_path(
    axes: Axes,
    labels: np.ndarray,
    eval_labels: np.ndarray | None,
    *,
    penalties: Sequence[float],
    num_classes: int,
    class_weights: Sequence[float] | None,
    label_smoothing: float,
) -> LinearSolution:
    x = axes.train
    targets = np.eye(num_classes, dtype=np.float32)[labels]
    weights = (
        np.ones(len(labels), np.float32)
        if class_weights is None
        else np.asarray(class_weights, np.float32)[labels]
    )
    smoothed = targets * (1 - label_smoothing) + label_smoothing / num_classes
    problem = _Problem(x, smoothed, weights / weights.sum(), axes.variances)
    solution = np.zeros((x.shape[1] + 1, num_classes), np.float32)
    best: tuple[float, float, np.ndarray] | None = None
    since_best = 0
    path = []
    for penalty in sorted(penalties, reverse=True):
        solution = problem.solve(penalty, solution, _ROUGH)
        row = {"penalty": float(penalty)}
        row["loss"], row["accuracy"] = _score(x, labels, solution)
        if axes.evaluation is not None and eval_labels is not None:
            row["eval_loss"], row["eval_accuracy"] = _score(
                axes.evaluation, eval_labels, solution
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
    kernel = axes.directions @ solution[:-1]
    bias = solution[-1] - axes.mean @ kernel
    logger.info("Took the L2 penalty %g of %d tried", best[1], len(path))
    return LinearSolution(kernel, bias, float(best[1]), path)


def _moments(
    features: np.ndarray, *, standardize: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and inverse deviation (1 without `standardize`), float32 (F,) each."""
    mean = features.mean(0, dtype=np.float64)
    if not standardize:
        return mean.astype(np.float32), np.ones(features.shape[1], np.float32)
    deviation = features.std(0, dtype=np.float64)
    floor = 1e-6 + 1e-3 * deviation.mean()
    return (
        mean.astype(np.float32),
        (1.0 / np.maximum(deviation, floor)).astype(np.float32),
    )


def _basis(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the axes of centred features, float32 (N, F), that hold any variance.

    The kernel lies in their span whatever the penalty, so nothing is lost; there are no
    more of them than examples, and along them the curvature of the loss is known.

    Returns:
        Orthonormal axes, float32 (F, R), and the variance along each, float32 (R,).
    """
    num_examples, width = x.shape
    if num_examples < width:
        values, vectors = np.linalg.eigh(x @ x.T / np.float32(num_examples))
    else:
        values, vectors = np.linalg.eigh(x.T @ x / np.float32(num_examples))
    kept = values > 1e-6 * values[-1]
    values, vectors = values[kept], vectors[:, kept]
    if num_examples < width:
        vectors = (x.T @ vectors) / np.sqrt(values * np.float32(num_examples))
    return np.asarray(vectors, np.float32), np.asarray(values, np.float32)


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
    """Softmax regression over principal axes, float32 (N, R), ready to be solved."""

    def __init__(
        self,
        x: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray,
        variances: np.ndarray,
    ) -> None:
        self.x = x
        self.targets = targets
        self.weights = weights[:, None]
        self.variances = variances

    def solve(self, penalty: float, start: np.ndarray, progress: float) -> np.ndarray:
        """Minimise by L-BFGS from `start`, float32 (R + 1, K), the bias last.

        The unknowns are scaled by the root of the curvature that the loss has along
        each axis at equal probabilities: an ill-conditioned problem takes tens of steps
        so, instead of hundreds.
        """
        num_classes = start.shape[1]
        curvature = np.append(self.variances, 1.0) / num_classes
        curvature[:-1] += penalty
        steps = (1.0 / np.sqrt(curvature))[:, None]
        result = minimize(
            lambda flat: self._loss_and_gradient(flat, penalty, steps),
            (start / steps).ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": _MAX_ITERATIONS, "ftol": progress, "gtol": 1e-6},
        )
        return np.asarray(result.x.reshape(start.shape) * steps, np.float32)

    def _loss_and_gradient(
        self, flat: np.ndarray, penalty: float, steps: np.ndarray
    ) -> tuple[float, np.ndarray]:
        solution = flat.reshape(len(steps), -1) * steps
        kernel, bias = solution[:-1], solution[-1]
        logits = self.x @ kernel.astype(np.float32) + bias.astype(np.float32)
        log_p = _log_softmax(logits)
        loss = -float(np.sum(self.weights * self.targets * log_p, dtype=np.float64))
        loss += 0.5 * penalty * float(np.sum(kernel**2))
        residual = self.weights * (np.exp(log_p) - self.targets)
        gradient = np.empty_like(solution)
        gradient[:-1] = self.x.T @ residual
        gradient[:-1] += penalty * kernel
        gradient[-1] = residual.sum(0)
        return loss, (gradient * steps).ravel()
