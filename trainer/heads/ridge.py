"""Ridge classification on stored features: least squares to one-hot targets.

One eigendecomposition gives the closed-form solution for all penalties. Least squares
gives scores, not logits. So a factor on the scores, chosen with the penalty by the
log-loss on `eval`, calibrates their softmax. It is folded into the weights.

scikit-learn's `RidgeClassifierCV` returns no probabilities. It shares one decomposition
between penalties only for leave-one-out scores, not for scores on `eval`. A test
compares the weights with those of scikit-learn's `Ridge`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from graft.trainer.heads.solution import LinearSolution

_LARGE_PROBLEM = 1e11
"""Multiplications in the decomposition from which several BLAS threads are faster."""
_LOG_FACTORS = (0.0, 7.0)
"""Bounds of the logarithm of the factor on scores."""
_SMALLEST_EIGENVALUE = 1e-6
"""Smaller eigenvalues are rounding errors. It is a share of the greatest eigenvalue."""
_COLUMNS_AT_ONCE = 256
"""Features per pass over deviations, which limits the memory for float64."""


def fit_ridge(
    train: tuple[np.ndarray, np.ndarray],
    evaluation: tuple[np.ndarray, np.ndarray],
    *,
    penalties: Sequence[float],
    num_classes: int,
    class_weights: Sequence[float] | None = None,
    standardize: bool = True,
) -> LinearSolution:
    """Fit a ridge classifier and choose its L2 penalty.

    The objective is the (weighted) mean squared error plus `penalty` times the squared
    norm of the kernel over standardised features. The standardisation is folded into
    the result.

    Args:
        train: Features, float32 (N, F), and labels, int64 (N,).
        evaluation: Features and labels to choose the penalty on.
        penalties: Penalties to try.
        num_classes: Number of classes, K.
        class_weights: Weight of each class, K numbers.
        standardize: Whether to scale features to variance 1 first.

    Returns:
        The solution with the least log-loss on `evaluation`.
    """
    # For a small problem, BLAS threads spend more time waiting than they save.
    is_small = train[0].size * min(train[0].shape) < _LARGE_PROBLEM
    with threadpool_limits(1 if is_small else None):
        return _fit(
            train, evaluation, penalties, num_classes, class_weights, standardize
        )


def _fit(  # noqa: PLR0917
    train: tuple[np.ndarray, np.ndarray],
    evaluation: tuple[np.ndarray, np.ndarray],
    penalties: Sequence[float],
    num_classes: int,
    class_weights: Sequence[float] | None,
    standardize: bool,
) -> LinearSolution:
    features, labels = train
    targets = np.eye(num_classes, dtype=np.float32)[labels]
    weights = np.ones(len(labels), np.float32)
    if class_weights is not None:
        weights = np.asarray(class_weights, np.float32)[labels]
    weights /= weights.sum()
    mean = weights @ features
    scale = _inverse_deviations(features) if standardize else np.ones_like(mean)
    intercept = weights @ targets
    roots = np.sqrt(weights)[:, None]
    # In place, since each copy of the features can take much memory.
    x = features - mean
    x *= scale
    x *= roots
    axes, eigenvalues = _axes(x)
    moments = axes.T @ (x.T @ ((targets - intercept) * roots))
    del x
    path, solutions = [], []
    for penalty in sorted(penalties, reverse=True):
        kernel = scale[:, None] * (axes @ (moments / (eigenvalues + penalty)[:, None]))
        bias = intercept - mean @ kernel
        scores = evaluation[0] @ kernel + bias
        factor = _best_factor(scores, evaluation[1])
        row = {"penalty": float(penalty)}
        row["loss"], row["accuracy"] = _score(
            (features @ kernel + bias) * factor, labels
        )
        row["eval_loss"], row["eval_accuracy"] = _score(scores * factor, evaluation[1])
        path.append(row)
        solutions.append((kernel * factor, bias * factor))
    best = int(np.argmin([row["eval_loss"] for row in path]))
    kernel, bias = (part.astype(np.float32) for part in solutions[best])
    return LinearSolution(kernel, bias, path[best]["penalty"], path)


def _inverse_deviations(features: np.ndarray) -> np.ndarray:
    """Return the inverse deviations of features, (N, F), limited for constant ones."""
    deviation = np.concatenate(
        [
            features[:, start : start + _COLUMNS_AT_ONCE].std(0, dtype=np.float64)
            for start in range(0, features.shape[1], _COLUMNS_AT_ONCE)
        ]
    )
    floor = 1e-6 + 1e-3 * deviation.mean()
    return np.asarray(1.0 / np.maximum(deviation, floor), np.float32)


def _axes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvectors (F, R) and eigenvalues (R,) of `x.T @ x`, x (N, F).

    They are derived from `x @ x.T` if that is smaller. The decomposition is in float64,
    the result in float32.
    """
    is_wide = len(x) < x.shape[1]
    products = x @ x.T if is_wide else x.T @ x
    values, vectors = np.linalg.eigh(products.astype(np.float64))
    kept = values > _SMALLEST_EIGENVALUE * values[-1]
    values, vectors = values[kept].astype(np.float32), vectors[:, kept]
    vectors = vectors.astype(np.float32)
    return (x.T @ vectors / np.sqrt(values) if is_wide else vectors), values


def _best_factor(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the factor on scores, (N, K), with the least log-loss."""
    result = minimize_scalar(
        lambda log_factor: _score(scores * np.exp(log_factor), labels)[0],
        bounds=_LOG_FACTORS,
        method="bounded",
    )
    return float(np.exp(result.x))


def _score(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return mean log-loss and accuracy."""
    shifted = logits - logits.max(1, keepdims=True)
    log_sums = np.log(np.exp(shifted).sum(1))
    losses = log_sums - shifted[np.arange(len(labels)), labels]
    return float(losses.mean()), float((logits.argmax(1) == labels).mean())
