"""L-BFGS, the quasi-Newton method of Nocedal and Wright, "Numerical Optimization", 7.2.

`scipy.optimize`'s L-BFGS-B was tried. It spends most of a step on bounds, which don't
exist here, and accepts no preconditioner. docs/decisions/0041 has the figures.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

_HISTORY_SIZE = 10
"""Number of past steps that approximate the curvature."""
_DECREASE = 1e-4
"""Least share of the expected decrease per step (Armijo's condition)."""
_MAX_HALVINGS = 10
_ROUNDING = 1e-6
"""Differences of the value that may be rounding errors of float32, as a share of it."""
_LEAST_FLATTENING = 0.9
"""Greatest share of the slope that a step may leave (Wolfe's second condition)."""


def minimise(
    objective: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
    *,
    precondition: Callable[[np.ndarray], np.ndarray],
    progress: float = 0.0,
    gap: float = 0.0,
    max_steps: int,
    steps: Steps | None = None,
) -> np.ndarray:
    """Minimise a convex function.

    A step near the minimum changes the value by less than its rounding error. With
    `gap`, such a step is judged by the slopes at both ends, which are more exact.

    Args:
        objective: Returns the value and the gradient at a point.
        start: First point, float32 of any shape.
        precondition: Multiplies a gradient by the approximate inverse curvature.
        progress: The search ends when a step decreases the value by a smaller share of
            the value, or of 1 if the value is below 1.
        gap: The search ends when the expected distance to the least value is a smaller
            share of the value. One of both must be given.
        max_steps: Greatest number of steps.
        steps: The last steps of an earlier search with the same objective and the same
            preconditioner, which goes on here. Steps of this search are added.

    Returns:
        The last point, which has the least value of all points, apart from rounding.
    """
    point = start
    value, gradient = objective(point)
    steps = new_steps() if steps is None else steps
    for _ in range(max_steps):
        direction = -_multiply_by_inverse_curvature(gradient, steps, precondition)
        slope = _dot(gradient, direction)
        scale = max(abs(value), 1.0)
        if -slope / 2 <= gap * abs(value):
            break
        length = 1.0
        for _ in range(_MAX_HALVINGS):
            candidate = point + np.float32(length) * direction
            new_value, new_gradient = objective(candidate)
            if new_value <= value + _DECREASE * length * slope:
                break
            is_rounded = gap and new_value <= value + _ROUNDING * scale
            new_slope = _dot(new_gradient, direction) if is_rounded else np.inf
            if abs(new_slope) <= _LEAST_FLATTENING * -slope:
                break
            length /= 2
        else:
            # Any further decrease is below the rounding error.
            return point
        step = Step(candidate - point, new_gradient - gradient, precondition)
        if step.curvature > 0:
            steps.append(step)
        gained = value - new_value
        point, value, gradient = candidate, new_value, new_gradient
        if progress and gained <= progress * max(abs(value), 1.0):
            break
    return point


class Step:
    """A step and the change of the gradient over it."""

    def __init__(
        self,
        move: np.ndarray,
        change: np.ndarray,
        precondition: Callable[[np.ndarray], np.ndarray],
    ) -> None:
        self.move = move
        self.change = change
        self.curvature = _dot(move, change)
        self.expected = _dot(change, precondition(change))
        """Equals `curvature` if the preconditioner is the exact inverse curvature."""


Steps = deque[Step]


def new_steps() -> Steps:
    """Return an empty memory of steps."""
    return deque(maxlen=_HISTORY_SIZE)


def _multiply_by_inverse_curvature(
    gradient: np.ndarray,
    steps: Steps,
    precondition: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Multiply a gradient by the inverse curvature (two-loop recursion)."""
    result = gradient.copy()
    shares = []
    for step in reversed(steps):
        share = np.float32(_dot(step.move, result) / step.curvature)
        result -= share * step.change
        shares.append(share)
    result = precondition(result)
    if steps:
        result *= np.float32(steps[-1].curvature / steps[-1].expected)
    for step, share in zip(steps, reversed(shares), strict=True):
        other = np.float32(_dot(step.change, result) / step.curvature)
        result += (share - other) * step.move
    return result


def _dot(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.vdot(one, other))
