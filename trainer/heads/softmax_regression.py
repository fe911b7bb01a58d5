"""Softmax regression over standardised features: the objective and its minimum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graft.trainer.heads.lbfgs import minimise, new_steps
from graft.trainer.heads.prepared import Prepared

_MAX_STEPS = 200
_LEAST_CURVATURE = 1e-3
"""Lower limit of the mean curvature of an example's loss. It limits bias steps."""


@dataclass(frozen=True)
class Labels:
    """Labels of `train` and `eval`, and what the objective makes of them."""

    train: np.ndarray
    """int64 (N,)."""
    evaluation: np.ndarray | None
    """int64 (M,)."""
    targets: np.ndarray
    """One-hot or smoothed labels of `train`, float32 (N, K)."""
    weights: np.ndarray
    """Weights of the examples, float32 (N,), whose sum is 1."""

    @classmethod
    def of(
        cls,
        train: np.ndarray,
        evaluation: np.ndarray | None,
        *,
        num_classes: int,
        class_weights: Sequence[float] | None,
        label_smoothing: float,
    ) -> Labels:
        """Make targets and weights from labels."""
        targets = np.eye(num_classes, dtype=np.float32)[train]
        weights = (
            np.ones(len(train), np.float32)
            if class_weights is None
            else np.asarray(class_weights, np.float32)[train]
        )
        smoothed = targets * (1 - label_smoothing) + label_smoothing / num_classes
        return cls(
            train,
            evaluation,
            smoothed.astype(np.float32, copy=False),
            weights / weights.sum(),
        )


def step_from(earlier: np.ndarray, last: np.ndarray, labels: Labels) -> np.ndarray:
    """Return the step between two solutions by which to extrapolate to the next.

    Its bias is 0 if examples have different weights: the objective hardly tells the
    bias of a class of little weight. Extrapolated, it would run away.
    """
    step: np.ndarray = last - earlier
    if np.ptp(labels.weights) > 0:
        step[-1] = 0
    return step


class Problem:
    """Softmax regression over standardised features.

    Solutions and gradients are float32 (F + 1, K). The last row is the bias.

    Args:
        data: Features of `train` and `eval`.
        labels: Their labels.
    """

    least_curvature = _LEAST_CURVATURE

    def __init__(self, data: Prepared, labels: Labels) -> None:
        self.data = data
        self.labels = labels
        self._targets = labels.targets
        self._weights = labels.weights[:, None]

    def zeros(self) -> np.ndarray:
        """Return the solution of an infinite penalty, apart from the bias."""
        return np.zeros((self.data.train.shape[1] + 1, self._targets.shape[1]), "f4")

    def solve(self, penalty: float, start: np.ndarray, progress: float) -> np.ndarray:
        """Minimise by L-BFGS from `start`."""
        return Search(self, penalty, start).run(progress=progress)

    def row(self, penalty: float, solution: np.ndarray) -> dict[str, float]:
        """Return the scores of a solution: a row of `LinearSolution.path`."""
        row = {"penalty": float(penalty)}
        row["loss"], row["accuracy"] = score(
            self.logits(self.data.train, solution), self.labels.train
        )
        if self.data.evaluation is not None and self.labels.evaluation is not None:
            row["eval_loss"], row["eval_accuracy"] = score(
                self.logits(self.data.evaluation, solution), self.labels.evaluation
            )
        return row

    def logits(self, x: np.ndarray, solution: np.ndarray) -> np.ndarray:
        """Return logits, float32 (N, K), of features, float32 (N, F)."""
        logits: np.ndarray = x @ solution[:-1] + solution[-1]
        return logits

    def loss_and_gradient(
        self, solution: np.ndarray, penalty: float
    ) -> tuple[float, np.ndarray]:
        """Return the value of the objective and its gradient."""
        kernel = solution[:-1]
        log_p = log_softmax(self.logits(self.data.train, solution))
        loss = -float(np.sum(self._weights * self._targets * log_p, dtype=np.float64))
        loss += 0.5 * penalty * float(np.sum(kernel**2, dtype=np.float64))
        residual = self._weights * (np.exp(log_p) - self._targets)
        gradient = np.empty_like(solution)
        gradient[:-1] = self.data.train.T @ residual + np.float32(penalty) * kernel
        gradient[-1] = residual.sum(0)
        return loss, gradient

    def mean_curvature(self, solution: np.ndarray) -> float:
        """Return the loss's mean curvature over examples and directions of logits.

        The curvature of the cross-entropy is diag(p) - p p'. Its trace over K - 1
        directions is 1 - p'p.
        """
        log_p = log_softmax(self.logits(self.data.train, solution))
        squares = np.exp(2 * log_p).sum(1)
        trace = 1 - float(squares.mean())
        return float(max(trace / (solution.shape[1] - 1), self.least_curvature))


class Search:
    """A search for the solution of a penalty, which can go on after it ended.

    The preconditioner approximates the curvature along a principal axis by the variance
    along it, times the mean curvature of an example's loss, plus the penalty:
    Frangella, Tropp and Udell, "Randomized Nystroem Preconditioning", SIAM Journal on
    Matrix Analysis and Applications 2023.

    Args:
        problem: The problem.
        penalty: L2 penalty.
        start: First solution, float32 (F + 1, K).
    """

    def __init__(self, problem: Problem, penalty: float, start: np.ndarray) -> None:
        self.penalty = penalty
        self.solution = start
        self._problem = problem
        self._steps = new_steps()
        data = problem.data
        self._curvature = curvature = problem.mean_curvature(start)
        self._elsewhere = np.float32(1 / (data.other_variance * curvature + penalty))
        along = 1 / (data.variances * np.float32(curvature) + np.float32(penalty))
        self._surplus = (along - self._elsewhere)[:, None]

    def run(self, *, progress: float = 0.0, gap: float = 0.0) -> np.ndarray:
        """Search on, and return the solution; see `minimise` for the arguments."""
        self.solution = minimise(
            lambda each: self._problem.loss_and_gradient(each, self.penalty),
            self.solution,
            precondition=self._precondition,
            progress=progress,
            gap=gap,
            max_steps=_MAX_STEPS,
            steps=self._steps,
        )
        return self.solution

    def _precondition(self, gradient: np.ndarray) -> np.ndarray:
        axes, kernel = self._problem.data.axes, gradient[:-1]
        result = np.empty_like(gradient)
        result[:-1] = self._elsewhere * kernel
        result[:-1] += axes @ (self._surplus * (axes.T @ kernel))
        result[-1] = gradient[-1] / np.float32(self._curvature)
        return result


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the logarithms of the probabilities, float32 (N, K)."""
    shifted: np.ndarray = logits - logits.max(1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(1, keepdims=True)))


def score(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return mean log-loss and accuracy."""
    losses = -log_softmax(logits)[np.arange(len(labels)), labels]
    return float(losses.mean()), float((logits.argmax(1) == labels).mean())
