"""Choose the penalty of a linear head by folds of `train` and `eval` together.

With few images the split that happens to be `eval` says little; every image has its
turn here. `test` is never seen.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graft.trainer.heads.linear import LinearSolution

Arrays = tuple[np.ndarray, np.ndarray]
Fit = Callable[[Arrays, Arrays], LinearSolution]
"""Fits to the first data, and scores every penalty on the second."""


def choose_penalty(
    fit: Fit, train: Arrays, evaluation: Arrays, *, num_folds: int, seed: int
) -> tuple[float, list[dict[str, float]]]:
    """Return the penalty with the least mean log-loss over the folds.

    Args:
        fit: What is to be chosen for.
        train: Features, float32 (N, F), and labels, int64 (N,).
        evaluation: The same; joined to `train`.
        num_folds: Parts of the whole; each is held out once. At most as many as the
            largest class has images.
        seed: Of the division.

    Returns:
        The penalty, and per penalty that was tried in every fold: penalty, loss,
        accuracy, eval_loss, eval_accuracy, means over the folds.
    """
    # Only this choice needs scikit-learn, which takes a second to import.
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
            (features[rest], labels[rest]), (features[held_out], labels[held_out])
        )
        for row in solution.path:
            tried.setdefault(row["penalty"], []).append(row)
    # A path ends early where it gets worse: what a fold left out is not the best.
    path = [
        {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        for rows in tried.values()
        if len(rows) == num_folds
    ]
    best = min(path, key=lambda row: row["eval_loss"])
    return best["penalty"], path
