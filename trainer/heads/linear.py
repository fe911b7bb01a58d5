"""Logistic regression on stored features, fitted by L-BFGS.

The penalties are tried from strong to weak. Each solution is the start of the next fit.
The penalty with the least log-loss on `eval` is chosen.

scikit-learn's `LogisticRegression` uses SciPy's L-BFGS-B, which accepts no
preconditioner. It has no label smoothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from graft.trainer.heads.many_classes import fit_large_path, is_large
from graft.trainer.heads.prepared import Prepared, prepare
from graft.trainer.heads.softmax_regression import Labels, Problem, step_from
from graft.trainer.heads.solution import LinearSolution

logger = logging.getLogger(__name__)

_ROUGH, _EXACT = 1e-6, 1e-8
"""Relative progress of a step at which a fit ends: for each penalty on the path, where
the log-loss on `eval` is right to 1e-4, and for the chosen penalty."""
_PATIENCE = 2
"""Penalties without progress on `eval` before the path ends."""


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
    in_place: bool = False,
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
        in_place: Whether to change the features, which saves a copy.

    Returns:
        The solution with the least log-loss on `evaluation`.

    Raises:
        ValueError: `penalties` is empty.
    """
    if prepared is None:
        judged = None if evaluation is None else evaluation[0]
        prepared = prepare(train[0], judged, standardize=standardize, in_place=in_place)
    labels = Labels.of(
        train[1],
        None if evaluation is None else evaluation[1],
        num_classes=num_classes,
        class_weights=class_weights,
        label_smoothing=label_smoothing,
    )
    if not penalties:
        raise ValueError(f"`penalties` must not be empty. Received: {penalties!r}")
    fit = fit_large_path if is_large(prepared.train, num_classes) else _fit_path
    solution, penalty, path = fit(prepared, labels, penalties)
    kernel = prepared.scale[:, None] * solution[:-1]
    bias = solution[-1] - prepared.mean @ kernel
    logger.info("Chose the L2 penalty %g of %d tried", penalty, len(path))
    return LinearSolution(kernel, bias, float(penalty), path)


def _fit_path(
    data: Prepared, labels: Labels, penalties: Sequence[float]
) -> tuple[np.ndarray, float, list[dict[str, float]]]:
    """Fit all penalties; see `fit_large_path`."""
    problem = Problem(data, labels)
    previous = solution = best = problem.zeros()
    path: list[dict[str, float]] = []
    chosen, least = 0.0, np.inf
    since_best = 0
    for penalty in sorted(penalties, reverse=True):
        # Penalties fall by about the same factor, so extrapolate linearly.
        start = solution + step_from(previous, solution, labels)
        previous, solution = solution, problem.solve(penalty, start, _ROUGH)
        path.append(problem.row(penalty, solution))
        loss = path[-1].get("eval_loss", 0.0)
        if len(path) == 1 or loss < least:
            chosen, least, best, since_best = penalty, loss, solution, 0
        else:
            since_best += 1
        if labels.evaluation is None or since_best == _PATIENCE:
            break
    return problem.solve(chosen, best, _EXACT), chosen, path
