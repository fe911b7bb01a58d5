"""Ridge classification of a stream: the solution of `ridge.py`, in bounded memory.

The solution needs the products of the features with each other, (F, F), and with the
targets, (F, K). Both are sums over examples, so one pass over `train` gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from graft.storage.mapped_rows import MappedRows
from graft.trainer.heads.minibatch import Batches, Moments
from graft.trainer.heads.ridge import best_factor, mean_score, principal_directions
from graft.trainer.heads.solution import LinearSolution


def fit_streamed_ridge(
    train: Callable[[], Batches],
    evaluation: Callable[[], Batches],
    moments: Moments,
    *,
    penalties: Sequence[float],
    class_weights: Sequence[float] | None = None,
) -> LinearSolution:
    """Fit a ridge classifier and choose its L2 penalty; see `fit_ridge`.

    Args:
        train: Returns the batches to train on. Larger ones are faster.
        evaluation: Returns the batches to choose the penalty on.
        moments: Result of `measure` for `train`.
        penalties: Penalties to try.
        class_weights: Weight of each class, K numbers.

    Returns:
        The solution with the least log-loss on `evaluation`.
    """
    ordered = sorted(penalties, reverse=True)
    kernels, biases = _solve(train(), moments, ordered, class_weights)
    scores, labels = _scores(evaluation(), moments, kernels, biases)
    factors = np.array(
        [best_factor(scores[:, index], labels) for index in range(len(ordered))],
        np.float32,
    )
    sums = np.zeros((2, len(ordered)))
    number = 0
    for features, batch_labels in train():
        logits = _logits(features, moments, kernels, biases) * factors[:, np.newaxis]
        for index in range(len(ordered)):
            found = mean_score(logits[:, index], batch_labels)
            sums[:, index] += np.array(found) * len(batch_labels)
        number += len(batch_labels)
    path = []
    for index, penalty in enumerate(ordered):
        row = {"penalty": float(penalty)}
        row["loss"], row["accuracy"] = map(float, sums[:, index] / number)
        row["eval_loss"], row["eval_accuracy"] = mean_score(
            scores[:, index], labels, float(factors[index])
        )
        path.append(row)
    best = int(np.argmin([row["eval_loss"] for row in path]))
    kernel = moments.scale[:, None] * kernels[best] * factors[best]
    bias = biases[best] * factors[best] - moments.mean @ kernel
    return LinearSolution(kernel, bias, path[best]["penalty"], path)


def _solve(
    batches: Batches,
    moments: Moments,
    penalties: Sequence[float],
    class_weights: Sequence[float] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return kernels, float32 (P, F, K), and biases, float32 (P, K).

    They are for features standardised by `moments`.
    """
    counts = moments.counts
    width, num_classes = len(moments.mean), len(counts)
    shares = counts.astype(np.float64)
    if class_weights is not None:
        shares *= np.asarray(class_weights)
    shares /= shares.sum()
    # The mean of the targets is that of the whole split, so the classes' shares.
    intercept = shares
    weights = (shares / counts).astype(np.float32)
    targets = (np.eye(num_classes) - intercept).astype(np.float32)
    products = np.zeros((width, width))
    mean = np.zeros(width)
    cross = np.zeros((width, num_classes))
    for features, labels in batches:
        x = _standardised(features, moments)
        weight = weights[labels][:, None]
        mean += (x * weight).sum(0, dtype=np.float64)
        cross += x.T @ (targets[labels] * weight)
        x *= np.sqrt(weight)
        products += x.T @ x
    products -= np.outer(mean, mean)
    axes, values = principal_directions(products)
    along = axes.T @ cross
    kernels = np.stack(
        [axes @ (along / (values + each)[:, None]) for each in penalties]
    ).astype(np.float32)
    biases = intercept - np.einsum("f,pfk->pk", mean, kernels)
    return kernels, biases.astype(np.float32)


def _scores(
    batches: Batches, moments: Moments, kernels: np.ndarray, biases: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of all examples, float32 (N, P, K), and their labels."""
    labels = []
    with MappedRows() as rows:
        for features, batch_labels in batches:
            rows.append(_logits(features, moments, kernels, biases))
            labels.append(batch_labels)
        return rows.array(), np.concatenate(labels)


def _logits(
    features: np.ndarray, moments: Moments, kernels: np.ndarray, biases: np.ndarray
) -> np.ndarray:
    """Return logits, float32 (B, P, K), of features as they are stored."""
    x = _standardised(features, moments)
    logits: np.ndarray = np.moveaxis(x @ kernels, 0, 1) + biases
    return logits


def _standardised(features: np.ndarray, moments: Moments) -> np.ndarray:
    x: np.ndarray = features - moments.mean
    x *= moments.scale
    return x
