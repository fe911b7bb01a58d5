"""Logistic regression that starts from an earlier head.

The problem is convex, so the start changes the number of steps and not the solution.
The penalty is searched around the earlier one: it is solved first, then its neighbours
while the log-loss on `eval` gets better. The whole path, from the strongest penalty,
may choose another one if that loss has several minima.
docs/decisions/0079-warm-start.md has the figures.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from graft.trainer.heads.softmax_regression import Problem, Search, step_from

logger = logging.getLogger(__name__)

_LEVELS = 100.0, 10.0, 1.0
"""A neighbour is solved in stages: to these multiples of the progress of a path."""
_ERROR_OF_LOSS = 100.0
"""The log-loss on `eval` is right to this multiple of the progress."""


@dataclass(frozen=True)
class Start:
    """A head to start from.

    Attributes:
        kernel: float32 (F, K), for features that are not standardised.
        bias: float32 (K,).
        is_known: Whether the head knows a class, bool (K,). The columns of the others
            have no meaning.
        penalty: The penalty that was chosen for it.
    """

    kernel: np.ndarray
    bias: np.ndarray
    is_known: np.ndarray
    penalty: float

    def solution_of(self, problem: Problem) -> np.ndarray:
        """Return where the search begins: a solution, float32 (F + 1, K).

        A new class begins with a kernel of zero, and with a bias that gives it the
        probability that is its share of `train`.
        """
        data, known = problem.data, self.is_known
        solution = problem.zeros()
        solution[:-1, known] = self.kernel[:, known] / data.scale[:, None]
        solution[-1, known] = self.bias[known] + data.mean @ self.kernel[:, known]
        if not known.all():
            logits = problem.logits(data.train, solution)[:, known]
            log_sum = np.logaddexp.reduce(logits, axis=1).mean()
            shares = problem.labels.targets.T @ problem.labels.weights
            solution[-1, ~known] = log_sum + np.log(
                shares[~known] / shares[known].sum()
            )
        # Probabilities stay the same. The least penalty is that of a mean of zero.
        solution -= solution.mean(1, keepdims=True)
        return solution


def fit_around(
    problem: Problem,
    penalties: Sequence[float],
    start: Start,
    *,
    progress: float,
    finish: Callable[[Search], np.ndarray],
) -> tuple[np.ndarray, float, list[dict[str, float]]]:
    """Fit the penalties around that of `start`, and choose the best on `eval`.

    Args:
        problem: The problem. Without labels of `eval`, the strongest penalty is chosen.
        penalties: Penalties to try.
        start: An earlier head.
        progress: Relative progress of a step at which a fit on the path ends.
        finish: Goes on with the search for the chosen penalty, to its end.

    Returns:
        The best solution, float32 (F + 1, K), its penalty, and a row for each penalty
        that was tried, from strong to weak. A row of a penalty that is clearly worse is
        approximate.
    """
    ordered = sorted(set(penalties), reverse=True)
    if problem.labels.evaluation is None:
        del ordered[1:]
    first = int(np.argmin(np.abs(np.log(np.array(ordered) / start.penalty))))
    searches = {first: Search(problem, ordered[first], start.solution_of(problem))}
    searches[first].run(progress=progress)
    rows = {first: problem.row(ordered[first], searches[first].solution)}
    best = first
    for side in (-1, 1):
        index = first + side
        while 0 <= index < len(ordered) and best in (first, index - side):
            searches[index] = _search_beside(problem, ordered, index, side, searches)
            rows[index] = _compare(searches[index], problem, rows[best], progress)
            if not _is_better(rows[index], rows[best]):
                break
            best, index = index, index + side
    logger.info(
        "%d of %d penalties were tried around %g",
        len(rows),
        len(ordered),
        ordered[first],
    )
    solution = finish(searches[best])
    return solution, ordered[best], [rows[index] for index in sorted(rows)]


def _search_beside(
    problem: Problem,
    penalties: Sequence[float],
    index: int,
    side: int,
    searches: dict[int, Search],
) -> Search:
    """Begin the search for a penalty where its solved neighbours point to."""
    solution = searches[index - side].solution
    before = searches.get(index - 2 * side)
    if before is not None:
        solution = solution + step_from(before.solution, solution, problem.labels)
    return Search(problem, penalties[index], solution)


def _compare(
    search: Search, problem: Problem, best: dict[str, float], progress: float
) -> dict[str, float]:
    """Solve a penalty until it is clearly worse than the best one, or to the end."""
    row: dict[str, float] = {}
    for level in _LEVELS:
        search.run(progress=level * progress)
        row = problem.row(search.penalty, search.solution)
        if row["eval_loss"] > best["eval_loss"] + _ERROR_OF_LOSS * level * progress:
            break
    return row


def _is_better(row: dict[str, float], best: dict[str, float]) -> bool:
    return row["eval_loss"] < best["eval_loss"]
