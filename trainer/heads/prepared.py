"""Features made ready for logistic regression: standardised, with principal axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_NUM_AXES = 128
"""Principal axes whose variance the preconditioner uses."""


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
    train: np.ndarray,
    evaluation: np.ndarray | None,
    *,
    standardize: bool = True,
    in_place: bool = False,
) -> Prepared:
    """Standardise features and find their principal axes.

    Args:
        train: Features of `train`, float32 (N, F).
        evaluation: Features of `eval`, float32 (M, F).
        standardize: Whether to scale features to variance 1. The mean is always 0.
        in_place: Whether to change the given arrays, which saves a copy.
    """
    mean = train.mean(0, dtype=np.float64).astype(np.float32)
    x = np.subtract(train, mean, out=train if in_place else None)
    scale = np.ones_like(mean)
    if standardize:
        deviation = np.sqrt(np.einsum("nf,nf->f", x, x) / np.float32(len(x)))
        scale = 1 / np.maximum(deviation, 1e-6 + np.float32(1e-3) * deviation.mean())
        x *= scale
    axes, variances = principal_axes(x)
    total = float(np.vdot(x, x)) / len(x)
    num_others = max(x.shape[1] - len(variances), 1)
    judged = evaluation
    if judged is not None:
        judged = np.subtract(judged, mean, out=judged if in_place else None)
        judged *= scale
    return Prepared(
        mean,
        scale,
        x,
        judged,
        axes,
        variances,
        max(total - float(variances.sum()), 0.0) / num_others,
    )


def principal_axes(
    x: np.ndarray, num_axes: int = _NUM_AXES
) -> tuple[np.ndarray, np.ndarray]:
    """Find approximate principal axes of centred features, float32 (N, F).

    The method is the randomised subspace iteration of Halko, Martinsson and Tropp,
    "Finding Structure with Randomness", SIAM Review 2011. The axes affect the number of
    steps to a solution, not the solution.

    Returns:
        Orthonormal axes, float32 (F, R), and the variance along each, float32 (R,).
    """
    num_examples, width = x.shape
    rng = np.random.default_rng(0)
    axes = rng.standard_normal((width, min(num_axes, width)), np.float32)
    for _ in range(2):
        axes = x.T @ (x @ axes) / np.float32(x.size)
    axes, _ = np.linalg.qr(axes)
    along = x @ axes
    variances, turn = np.linalg.eigh(along.T @ along / np.float32(num_examples))
    return axes @ turn, np.maximum(variances, 0)
