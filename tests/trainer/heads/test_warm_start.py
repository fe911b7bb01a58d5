"""From an earlier head the solver ends at the same optimum, in fewer steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from sklearn.datasets import load_digits

from graft.trainer.heads import linear, many_classes
from graft.trainer.heads.linear import fit_logistic_regression
from graft.trainer.heads.many_classes import TensorProblem
from graft.trainer.heads.softmax_regression import Problem
from graft.trainer.heads.solution import LinearSolution
from graft.trainer.heads.warm_start import Start

Arrays = tuple[np.ndarray, np.ndarray]

PENALTIES = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0)
TOLERANCE = 1e-4


def _blobs(num_examples: int, num_classes: int, seed: int) -> Arrays:
    centres = np.random.default_rng(9).normal(size=(num_classes, 60)) * 0.45
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(num_examples) % num_classes)
    noise = rng.normal(size=(num_examples, 60)) * np.geomspace(0.5, 3, 60)
    return (centres[labels] + noise + 1).astype(np.float32), labels


def _digits() -> tuple[Arrays, Arrays, Arrays]:
    images, labels = load_digits(return_X_y=True)
    rng = np.random.default_rng(1)
    noisy = images + rng.normal(size=images.shape) * 4
    data = noisy.astype(np.float32), labels.astype(np.int64)
    cuts = (slice(0, 1200), slice(1200, 1500), slice(1500, None))
    one, other, last = ((data[0][cut], data[1][cut]) for cut in cuts)
    return one, other, last


GENERATED = _blobs(500, 5, 1), _blobs(200, 5, 2), _blobs(400, 5, 3)
DATA = pytest.mark.parametrize(
    "data", [GENERATED, _digits()], ids=["generated", "digits"]
)


@contextmanager
def _counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Count the evaluations of the objective, by their penalty."""
    seen: list[float] = []
    with monkeypatch.context() as patch:
        for kind in (Problem, TensorProblem):
            plain = kind.loss_and_gradient

            def counted(
                self: Problem,
                solution: np.ndarray,
                penalty: float,
                plain: Callable[..., tuple[float, np.ndarray]] = plain,
            ) -> tuple[float, np.ndarray]:
                seen.append(penalty)
                return plain(self, solution, penalty)

            patch.setattr(kind, "loss_and_gradient", counted)
        yield seen


def _fit(
    train: Arrays, evaluation: Arrays, start: Start | None = None, **options: object
) -> LinearSolution:
    settings = {
        "penalties": PENALTIES,
        "num_classes": int(train[1].max()) + 1,
        **options,
    }
    return fit_logistic_regression(train, evaluation, start=start, **settings)


def _start(solution: LinearSolution, penalty: float | None = None) -> Start:
    is_known = np.ones(solution.kernel.shape[1], bool)
    return Start(solution.kernel, solution.bias, is_known, penalty or solution.penalty)


def _probabilities(solution: LinearSolution, x: np.ndarray) -> np.ndarray:
    logits = (x @ solution.kernel + solution.bias).astype(np.float64)
    return np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))


def _check_same(one: LinearSolution, other: LinearSolution, test: Arrays) -> None:
    assert one.penalty == other.penalty
    found, expected = (_probabilities(each, test[0]) for each in (one, other))
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    accuracies = [(each.argmax(1) == test[1]).mean() for each in (found, expected)]
    assert accuracies[0] == pytest.approx(accuracies[1], abs=1e-3)


def _without(data: Arrays, number: int) -> Arrays:
    return data[0][number:], data[1][number:]


@DATA
def test_new_images_give_the_same_head_in_fewer_steps(
    data: tuple[Arrays, Arrays, Arrays], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, evaluation, test = data
    earlier = _fit(_without(train, 15), _without(evaluation, 3))
    with _counted(monkeypatch) as cold_steps:
        cold = _fit(train, evaluation)
    with _counted(monkeypatch) as warm_steps:
        warm = _fit(train, evaluation, _start(earlier))
    _check_same(warm, cold, test)
    assert len(warm_steps) < 0.7 * len(cold_steps)
    assert len(warm.path) < len(cold.path)


@DATA
@pytest.mark.parametrize("last", [3e-4, 0.05, 3.0, 100.0])
def test_the_last_penalty_does_not_decide_the_next(
    data: tuple[Arrays, Arrays, Arrays], last: float
) -> None:
    train, evaluation, test = data
    cold = _fit(train, evaluation)
    earlier = _fit(train, evaluation, penalties=[last])
    warm = _fit(train, evaluation, _start(earlier))
    _check_same(warm, cold, test)
    rows = [row["penalty"] for row in warm.path]
    assert rows == sorted(rows, reverse=True)


@DATA
def test_a_new_class_gets_a_row(
    data: tuple[Arrays, Arrays, Arrays], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, evaluation, test = data
    new = int(train[1].max())
    known = [(x[y < new], y[y < new]) for x, y in (train, evaluation)]
    # A few images of the new class among many of the others.
    few = np.flatnonzero(train[1] == new)[30:]
    train = np.delete(train[0], few, 0), np.delete(train[1], few)
    earlier = _fit(known[0], known[1])
    wide = np.pad(earlier.kernel, ((0, 0), (0, 1)), constant_values=np.nan)
    start = Start(
        wide,
        np.append(earlier.bias, np.float32(np.nan)),
        np.arange(new + 1) < new,
        earlier.penalty,
    )
    with _counted(monkeypatch) as cold_steps:
        cold = _fit(train, evaluation)
    with _counted(monkeypatch) as warm_steps:
        warm = _fit(train, evaluation, start)
    _check_same(warm, cold, test)
    assert len(warm_steps) < 0.8 * len(cold_steps)


def test_a_class_that_is_gone_leaves_nothing() -> None:
    train, evaluation, test = GENERATED
    earlier = _fit(train, evaluation)
    fewer = [(x[y > 0], y[y > 0] - 1) for x, y in (train, evaluation, test)]
    start = Start(
        earlier.kernel[:, 1:], earlier.bias[1:], np.ones(4, bool), earlier.penalty
    )
    warm = _fit(fewer[0], fewer[1], start)
    _check_same(warm, _fit(fewer[0], fewer[1]), fewer[2])


@pytest.mark.parametrize(
    "options",
    [
        {"label_smoothing": 0.1},
        {"class_weights": [0.2, 1.0, 1.0, 2.0, 1.0]},
        {"standardize": False},
    ],
    ids=["smoothing", "weights", "raw"],
)
def test_another_objective_than_the_last_is_solved(options: dict[str, object]) -> None:
    train, evaluation, test = GENERATED
    start = _start(_fit(train, evaluation))
    warm = _fit(train, evaluation, start, **options)
    _check_same(warm, _fit(train, evaluation, **options), test)


def test_products_of_tensorflow_give_the_same_head(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train, evaluation, test = GENERATED
    usual = _fit(train, evaluation)
    monkeypatch.setattr(linear, "_MANY_NUMBERS", 0)
    _check_same(_fit(train, evaluation), usual, test)
    _check_same(_fit(train, evaluation, _start(usual)), usual, test)


def test_many_classes_start_from_the_last_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_classes, "_LARGE_PROBLEM", 0)
    train, evaluation, test = _blobs(600, 12, 1), _blobs(240, 12, 2), _blobs(400, 12, 3)
    earlier = _fit(_without(train, 10), _without(evaluation, 3))
    with _counted(monkeypatch) as cold_steps:
        cold = _fit(train, evaluation)
    with _counted(monkeypatch) as warm_steps:
        warm = _fit(train, evaluation, _start(earlier))
    assert warm.penalty == cold.penalty
    found, expected = (_probabilities(each, test[0]) for each in (warm, cold))
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-3)
    accuracies = [(each.argmax(1) == test[1]).mean() for each in (found, expected)]
    assert accuracies[0] == pytest.approx(accuracies[1], abs=0.003)
    assert len(warm_steps) < len(cold_steps)


def test_without_eval_the_strongest_penalty_is_fitted() -> None:
    train, evaluation, _ = GENERATED
    start = _start(_fit(train, evaluation))
    warm = fit_logistic_regression(
        train, None, penalties=[0.01, 0.1], num_classes=5, start=start
    )
    assert warm.penalty == 0.1
    assert [row["penalty"] for row in warm.path] == [0.1]
