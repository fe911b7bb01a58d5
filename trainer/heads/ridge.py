"""Ridge classification on stored features: least squares to one-hot targets.

One eigendecomposition gives the closed-form solution for all penalties. Least squares
gives scores, not logits. So a factor on the scores, chosen with the penalty by the
log-loss on `eval`, calibrates their softmax. It is folded into the weights. Platt,
"Probabilistic outputs for support vector machines" (1999), says how such a factor stays
finite where no image of `eval` is mistaken.

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
_BYTES_AT_ONCE = 64 * 2**20
"""Size of the features of which products are computed at once."""
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
    axes, eigenvalues, moments = _decompose(
        (features, mean, scale), targets - intercept, np.sqrt(weights)[:, None]
    )
    path, solutions = [], []
    for penalty in sorted(penalties, reverse=True):
        kernel = scale[:, None] * (axes @ (moments / (eigenvalues + penalty)[:, None]))
        bias = intercept - mean @ kernel
        scores = evaluation[0] @ kernel + bias
        factor = best_factor(scores, evaluation[1])
        row = {"penalty": float(penalty)}
        row["loss"], row["accuracy"] = mean_score(
            (features @ kernel + bias) * factor, labels
        )
        row["eval_loss"], row["eval_accuracy"] = mean_score(
            scores * factor, evaluation[1]
        )
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


def _decompose(
    data: tuple[np.ndarray, np.ndarray, np.ndarray],
    targets: np.ndarray,
    roots: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decompose `x.T @ x`, where x is standardised and weighted features, (N, F).

    If examples are fewer than features, `x @ x.T` is decomposed instead. Otherwise x is
    made of some examples at a time: all of it would be a copy of the features.

    Args:
        data: Features, their means and their scales.
        targets: Centred targets, float32 (N, K).
        roots: Square roots of the weights of the examples, float32 (N, 1).

    Returns:
        Eigenvectors (F, R), eigenvalues (R,) and `eigenvectors.T @ x.T @ targets`.
    """
    features, mean, scale = data
    number, width = features.shape
    is_wide = number < width
    step = number if is_wide else max(_BYTES_AT_ONCE // (width * features.itemsize), 1)
    products = np.zeros((min(features.shape),) * 2, np.float32)
    moments = np.zeros((width, targets.shape[1]), np.float32)
    for start in range(0, number, step):
        rows = slice(start, start + step)
        x = features[rows] - mean
        x *= scale
        x *= roots[rows]
        products += x @ x.T if is_wide else x.T @ x
        moments += x.T @ (targets[rows] * roots[rows])
    vectors, values = principal_directions(products)
    axes = x.T @ vectors / np.sqrt(values) if is_wide else vectors
    return axes, values, axes.T @ moments


def principal_directions(products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvectors (F, R) and eigenvalues (R,) of products (F, F), float32.

    The decomposition is in float64.
    """
    values, vectors = np.linalg.eigh(products.astype(np.float64))
    kept = values > _SMALLEST_EIGENVALUE * values[-1]
    return vectors[:, kept].astype(np.float32), values[kept].astype(np.float32)


def best_factor(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the factor on scores, (N, K), with the least log-loss.

    Without a mistake among N images that would be the greatest one, which gives each
    answer a probability of 1. As after N right answers of N, a label counts as right
    with probability (N + 1) / (N + 2); its other classes share the rest.
    """
    doubt = 1 / (len(labels) + 2)
    result = minimize_scalar(
        lambda log_factor: mean_score(scores, labels, np.exp(log_factor), doubt)[0],
        bounds=_LOG_FACTORS,
        method="bounded",
    )
    return float(np.exp(result.x))


def mean_score(
    logits: np.ndarray, labels: np.ndarray, factor: float = 1.0, doubt: float = 0.0
) -> tuple[float, float]:
    """Return mean log-loss and accuracy of logits, (N, K), times a factor.

    Args:
        logits: Scores of the classes.
        labels: Indices of the true classes, (N,).
        factor: Multiplies the logits.
        doubt: Probability that a label is wrong, shared by the other classes.
    """
    losses = []
    num_right = 0
    step = max(_BYTES_AT_ONCE // (logits.shape[1] * logits.itemsize), 1)
    for start in range(0, len(labels), step):
        rows = slice(start, start + step)
        some = logits[rows] * factor
        some -= some.max(1, keepdims=True)
        log_sums = np.log(np.exp(some).sum(1))
        true = some[np.arange(len(some)), labels[rows]]
        others = (some.sum(1) - true) / (some.shape[1] - 1)
        losses.append(log_sums - true + doubt * (true - others))
        num_right += int((some.argmax(1) == labels[rows]).sum())
    return float(np.concatenate(losses).mean()), num_right / len(labels)
