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
from scipy.special import logsumexp

logger = logging.getLogger(__name__)

_MAX_ITERATIONS = 300


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
    """Per penalty, in the order tried: penalty, loss, accuracy, eval_loss, eval_accuracy."""


def fit_logistic_regression(
    train: tuple[np.ndarray, np.ndarray],
    evaluation: tuple[np.ndarray, np.ndarray] | None,
    *,
    penalties: Sequence[float],
    num_classes: int,
    class_weights: Sequence[float] | None = None,
    label_smoothing: float = 0.0,
    standardize: bool = True,
) -> LinearSolution:
    """Fit a softmax regression and choose its L2 penalty.

    The objective is the mean cross-entropy plus `penalty / 2` times the squared norm of the
    kernel over standardised features. The standardisation is folded into the result.

    Args:
        train: Features, float32 (N, F), and labels, int64 (N,).
        evaluation: The same for choosing; None takes the strongest penalty.
        penalties: What to try.
        num_classes: K.
        class_weights: Weight of each class, K numbers.
        label_smoothing: Share of the target spread over all classes.
        standardize: Whether to bring features to mean 0 and variance 1 first.

    Returns:
        The solution that has the least log-loss on `evaluation`.
    """
    features, labels = train
    mean, scale = _moments(features) if standardize else _identity(features)
    x = (features - mean) * scale
    targets = np.eye(num_classes, dtype=np.float32)[labels]
    weights = (
        np.ones(len(labels), np.float32)
        if class_weights is None
        else np.asarray(class_weights, np.float32)[labels]
    )
    smoothed = targets * (1 - label_smoothing) + label_smoothing / num_classes
    solution = np.zeros((x.shape[1] + 1, num_classes), np.float32)
    best: tuple[float, float, np.ndarray] | None = None
    path = []
    for penalty in sorted(penalties, reverse=True):
        solution = _solve(x, smoothed, weights, penalty, solution)
        row = {"penalty": float(penalty)}
        row["loss"], row["accuracy"] = _score(x, labels, solution)
        if evaluation is not None:
            row["eval_loss"], row["eval_accuracy"] = _score(
                (evaluation[0] - mean) * scale, evaluation[1], solution
            )
        path.append(row)
        score = row.get("eval_loss", 0.0)
        if best is None or score < best[0]:
            best = (score, penalty, solution)
        elif len(path) > _PATIENCE and all(
            earlier["eval_loss"] > best[0] for earlier in path[-_PATIENCE:]
        ):
            break
        if evaluation is None:
            break
    if best is None:
        raise ValueError(f"`penalties` must not be empty. Received: {penalties!r}")
    kernel = best[2][:-1] * scale[:, None]
    bias = best[2][-1] - mean @ kernel
    logger.info("Took the L2 penalty %g of %d tried", best[1], len(path))
    return LinearSolution(kernel, bias, float(best[1]), path)


_PATIENCE = 2


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and inverse deviation per feature, float32 (F,) each."""
    deviation = features.std(0, dtype=np.float64)
    floor = 1e-6 + 1e-3 * deviation.mean()
    mean = features.mean(0, dtype=np.float64)
    return (
        mean.astype(np.float32),
        (1.0 / np.maximum(deviation, floor)).astype(np.float32),
    )


def _identity(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    width = features.shape[1]
    return np.zeros(width, np.float32), np.ones(width, np.float32)


def _score(
    x: np.ndarray, labels: np.ndarray, solution: np.ndarray
) -> tuple[float, float]:
    """Return mean log-loss and accuracy."""
    logits = x @ solution[:-1] + solution[-1]
    losses = logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]
    return float(losses.mean()), float((logits.argmax(1) == labels).mean())


def _solve(
    x: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    penalty: float,
    start: np.ndarray,
) -> np.ndarray:
    """Minimise by L-BFGS from `start`, float32 (F + 1, K); the last row is the bias."""
    shape = start.shape
    scaled = (weights / weights.sum())[:, None]

    def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        solution = flat.reshape(shape).astype(np.float32)
        logits = x @ solution[:-1] + solution[-1]
        log_sum = logsumexp(logits, axis=1, keepdims=True)
        loss = float(np.sum(scaled * targets * (log_sum - logits), dtype=np.float64))
        residual = scaled * (np.exp(logits - log_sum) - targets)
        gradient = np.empty(shape, np.float64)
        gradient[:-1] = x.T @ residual
        gradient[-1] = residual.sum(0)
        kernel = flat.reshape(shape)[:-1]
        loss += 0.5 * penalty * float(np.sum(kernel**2))
        gradient[:-1] += penalty * kernel
        return loss, gradient.ravel()

    result = minimize(
        loss_and_gradient,
        start.astype(np.float64).ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _MAX_ITERATIONS, "maxcor": 10, "ftol": 1e-9, "gtol": 1e-6},
    )
    return result.x.reshape(shape).astype(np.float32)
