"""Choose the penalty of a linear head by cross-validation over `train` and `eval`.

With few images, `eval` alone gives a noisy estimate. Here every image of both splits is
held out once. `test` is never used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from graft.trainer.heads.solution import LinearSolution

Arrays = tuple[np.ndarray, np.ndarray]
Fit = Callable[[Arrays, Arrays, Sequence[float]], LinearSolution]
"""Fits to the first data and scores every penalty on the second."""


def choose_penalty(
    fit: Fit,
    train: Arrays,
    evaluation: Arrays,
    *,
    penalties: Sequence[float],
    num_folds: int,
    seed: int,
) -> tuple[float, list[dict[str, float]]]:
    """Return the penalty with the least mean log-loss over the folds.

    Args:
        fit: Fits a linear head for some penalties.
        train: Features, float32 (N, F), and labels, int64 (N,).
        evaluation: Features and labels to join to `train`.
        penalties: Penalties to try.
        num_folds: Number of folds. The size of the largest class limits it.
        seed: Seed of the split into folds.

    Returns:
        The penalty, and a row for each penalty that every fold tried. A row has the
        means over the folds: penalty, loss, accuracy, eval_loss, eval_accuracy.
    """
    # Imported here, since few runs need scikit-learn and its import is slow.
    from sklearn.model_selection import StratifiedKFold

    features, labels = (
        np.concatenate(pair) for pair in zip(train, evaluation, strict=True)
    )
    # scikit-learn refuses more folds than the largest class has images.
    num_folds = min(num_folds, int(np.bincount(labels).max()))
    folds = StratifiedKFold(num_folds, shuffle=True, random_state=seed)
    tried: dict[float, list[dict[str, float]]] = {}
    for rest, held_out in folds.split(features, labels):
        solution = fit(
            (features[rest], labels[rest]),
            (features[held_out], labels[held_out]),
            penalties,
        )
        for row in solution.path:
            tried.setdefault(row["penalty"], []).append(row)
        # A fold ends its path when the loss gets worse, and leaves out what is far from
        # its best penalty. Only what all folds try can be compared.
        penalties = [row["penalty"] for row in solution.path]
    path = [
        {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        | {"penalty": penalty}
        for penalty, rows in tried.items()
        if len(rows) == num_folds
    ]
    best = min(path, key=lambda row: row["eval_loss"])
    return best["penalty"], path
