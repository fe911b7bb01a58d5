"""L-BFGS finds the minimum, in fewer steps with a better preconditioner."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graft.trainer.heads.lbfgs import minimise

_CURVATURE = np.geomspace(1e-1, 1e2, 30, dtype=np.float32).reshape(10, 3)
_OPTIMUM = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)


def _count(
    objective: Callable[[np.ndarray], tuple[float, np.ndarray]],
) -> tuple[Callable[[np.ndarray], tuple[float, np.ndarray]], list[float]]:
    values: list[float] = []

    def counted(point: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = objective(point)
        values.append(value)
        return value, gradient

    return counted, values


def _bowl(point: np.ndarray) -> tuple[float, np.ndarray]:
    """Like a logistic loss: steep far away, round at the bottom."""
    distance = point - _OPTIMUM
    root = np.sqrt(1 + distance**2)
    value = float(np.sum(_CURVATURE * (root - 1), dtype=np.float64))
    return value, _CURVATURE * distance / root


def _solve(
    precondition: Callable[[np.ndarray], np.ndarray], max_steps: int = 500
) -> tuple[np.ndarray, list[float]]:
    objective, values = _count(_bowl)
    point = minimise(
        objective,
        np.zeros_like(_OPTIMUM),
        precondition=precondition,
        progress=1e-9,
        max_steps=max_steps,
    )
    return point, values


def test_optimum_is_found() -> None:
    point, values = _solve(lambda gradient: gradient)
    assert _bowl(point)[0] < 1e-5
    np.testing.assert_allclose(point, _OPTIMUM, atol=0.05)
    # Steepest descent needs thousands of steps for that value.
    assert len(values) < 200


def test_a_preconditioner_saves_steps() -> None:
    _, plain = _solve(lambda gradient: gradient)
    point, values = _solve(lambda gradient: gradient / _CURVATURE)
    np.testing.assert_allclose(point, _OPTIMUM, atol=2e-3)
    assert len(values) < len(plain) / 2


def test_a_step_that_is_too_long_is_shortened() -> None:
    """The first step is a thousand times too long here."""
    point, values = _solve(lambda gradient: 1000 * gradient / _CURVATURE)
    assert values[1] > values[0]
    np.testing.assert_allclose(point, _OPTIMUM, atol=2e-3)


def test_the_number_of_steps_is_bounded() -> None:
    _, values = _solve(lambda gradient: gradient / _CURVATURE, max_steps=3)
    assert len(values) == 4


def test_an_optimum_is_left_alone() -> None:
    point = minimise(_bowl, _OPTIMUM, precondition=np.copy, progress=1e-9, max_steps=10)
    np.testing.assert_array_equal(point, _OPTIMUM)


def test_rounding_of_the_value_does_not_end_a_search() -> None:
    def rounded(point: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = _bowl(point)
        return 100 + round(value, 5), gradient

    found = {
        name: minimise(
            rounded,
            np.zeros_like(_OPTIMUM),
            precondition=lambda gradient: gradient / _CURVATURE,
            max_steps=500,
            **{name: 1e-13},
        )
        for name in ("gap", "progress")
    }
    distances = {name: np.abs(each - _OPTIMUM).max() for name, each in found.items()}
    assert distances["gap"] < 1e-5
    assert distances["progress"] > 1e-5


def test_a_gap_that_is_small_enough_needs_no_step() -> None:
    objective, values = _count(_bowl)
    minimise(objective, _OPTIMUM + 1e-3, precondition=np.copy, gap=1e3, max_steps=9)
    assert len(values) == 1
