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

from graft.trainer.heads.many_classes import (
    EXACT,
    ROUGH,
    TensorProblem,
    fit_large_path,
    is_large,
)
from graft.trainer.heads.prepared import Prepared, prepare
from graft.trainer.heads.softmax_regression import (
    Labels,
    Problem,
    Search,
    step_from,
)
from graft.trainer.heads.solution import LinearSolution
from graft.trainer.heads.warm_start import Start, fit_around

logger = logging.getLogger(__name__)

_PROGRESS = 1e-6
"""Relative progress of a step at which the fit of a penalty on the path ends. The
log-loss on `eval` is then right to 1e-4."""
_GAP = 3e-11
"""Expected distance to the optimum at which the fit of the chosen penalty ends. From
any start, the probabilities are then the same to 1e-4."""
_MANY_NUMBERS = 1e7
"""Numbers in `train` from which TensorFlow's products save more than their tracing."""
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
    start: Start | None = None,
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
        start: An earlier head, which saves steps.

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
    solution, penalty, path = _fit(prepared, labels, penalties, start)
    kernel = prepared.scale[:, None] * solution[:-1]
    bias = solution[-1] - prepared.mean @ kernel
    logger.info("Chose the L2 penalty %g of %d tried", penalty, len(path))
    return LinearSolution(kernel, bias, float(penalty), path)


def _fit(
    data: Prepared, labels: Labels, penalties: Sequence[float], start: Start | None
) -> tuple[np.ndarray, float, list[dict[str, float]]]:
    """Fit penalties in the way that suits the problem; see `fit_large_path`."""
    if is_large(data.train, labels.targets.shape[1]):
        if start is None:
            return fit_large_path(data, labels, penalties)
        return fit_around(
            TensorProblem(data, labels),
            penalties,
            start,
            progress=ROUGH,
            finish=lambda search: search.run(progress=EXACT),
        )
    has_many = data.train.size >= _MANY_NUMBERS
    problem = (TensorProblem if has_many else Problem)(data, labels)
    if start is None:
        return _fit_path(problem, penalties)
    return fit_around(problem, penalties, start, progress=_PROGRESS, finish=_finish)


def _fit_path(
    problem: Problem, penalties: Sequence[float]
) -> tuple[np.ndarray, float, list[dict[str, float]]]:
    """Fit penalties from strong to weak; see `fit_large_path`."""
    labels = problem.labels
    previous = solution = problem.zeros()
    searches: list[Search] = []
    path: list[dict[str, float]] = []
    best, least = 0, np.inf
    for penalty in sorted(penalties, reverse=True):
        # Penalties fall by about the same factor, so extrapolate linearly.
        start = solution + step_from(previous, solution, labels)
        searches.append(Search(problem, penalty, start))
        previous, solution = solution, searches[-1].run(progress=_PROGRESS)
        path.append(problem.row(penalty, solution))
        loss = path[-1].get("eval_loss", 0.0)
        if loss < least:
            best, least = len(path) - 1, loss
        if labels.evaluation is None or len(path) - 1 - best == _PATIENCE:
            break
    return _finish(searches[best]), searches[best].penalty, path


def _finish(search: Search) -> np.ndarray:
    return search.run(gap=_GAP)
