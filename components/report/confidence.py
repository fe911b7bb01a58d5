"""What a probability is worth: answers above a threshold, and precision over recall."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graft.components.evaluation.predictions import Predictions

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
MOST_CURVES = 4
"""Classes with a curve; a chart has as many colours."""

_MOST_CANDIDATES = 20
_RECALLS = tuple(round(0.05 * step, 2) for step in range(1, 21))
_TWO_SIDED_95 = statistics.NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class ThresholdRow:
    """The answers whose probability reaches a threshold.

    Attributes:
        threshold: The least probability; 0 for all answers.
        num_answered: Number of these answers.
        share: Share of all images.
        num_right: How many of them are right.
        accuracy: Share of them that is right; None without answers.
        interval: 95 % interval of `accuracy`; None without answers.
    """

    threshold: float
    num_answered: int
    share: float
    num_right: int
    accuracy: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class PrecisionRecall:
    """The curve of one class against all others.

    Attributes:
        class_name: The class.
        average_precision: Mean precision over the recall, in [0, 1].
        recalls: Points of the recall.
        precisions: The best precision at each recall or above it.
    """

    class_name: str
    average_precision: float
    recalls: tuple[float, ...]
    precisions: tuple[float, ...]


@dataclass(frozen=True)
class Confidence:
    """What the probabilities of a model are worth.

    Attributes:
        thresholds: A row for all answers, then one per threshold.
        curves: Of the classes with the least recall, those with the least average
            precision, worst first.
    """

    thresholds: tuple[ThresholdRow, ...]
    curves: tuple[PrecisionRecall, ...]

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the accuracy of all answers."""
        return self.thresholds[0].interval if self.thresholds else None


def judge_confidence(predictions: Predictions) -> Confidence:
    """Return what the candidate's probabilities on `test` are worth."""
    candidate = predictions.candidate
    truth = predictions.images.class_names
    is_right = candidate.is_right(truth)
    rows = threshold_rows(candidate.confidences(), is_right)
    curves = [
        curve
        for name in _least_recalled(truth, is_right)
        if name in candidate.class_names
        for label in [candidate.class_names.index(name)]
        if (curve := _curve(name, candidate.probabilities[:, label], truth == name))
    ]
    curves.sort(key=lambda curve: curve.average_precision)
    return Confidence(tuple(rows), tuple(curves[:MOST_CURVES]))


def threshold_rows(
    confidences: np.ndarray,
    is_right: np.ndarray,
    thresholds: Sequence[float] = THRESHOLDS,
) -> list[ThresholdRow]:
    """Return the row of all answers, and one per threshold that leaves fewer.

    Args:
        confidences: float (N,), the greatest probability of each image.
        is_right: bool (N,), whether the most probable class is the true one.
        thresholds: Least probabilities, in rising order.
    """
    rows: list[ThresholdRow] = []
    for threshold in (0.0, *thresholds):
        chosen = confidences >= threshold
        number, right = int(chosen.sum()), int(is_right[chosen].sum())
        if rows and rows[-1].num_answered == number:
            continue
        rows.append(
            ThresholdRow(
                threshold=threshold,
                num_answered=number,
                share=number / max(len(confidences), 1),
                num_right=right,
                accuracy=right / number if number else None,
                interval=wilson_interval(right, number) if number else None,
            )
        )
    return rows


def wilson_interval(num_right: int, number: int) -> tuple[float, float]:
    """Return the two-sided 95 % interval of a share.

    Wilson, "Probable Inference, the Law of Succession, and Statistical Inference",
    JASA 22 (1927). `scipy.stats.binomtest` gives the same, but is slow to import.

    Args:
        num_right: Number of successes.
        number: Number of trials, at least 1.
    """
    squared = _TWO_SIDED_95**2
    share = num_right / number
    middle = (share + squared / (2 * number)) / (1 + squared / number)
    spread = math.sqrt(share * (1 - share) / number + squared / (4 * number**2))
    half = _TWO_SIDED_95 * spread / (1 + squared / number)
    return max(0.0, middle - half), min(1.0, middle + half)


def _least_recalled(truth: np.ndarray, is_right: np.ndarray) -> list[str]:
    """Return the classes of the least recall. The curves of all would take long."""
    names, labels = np.unique(truth, return_inverse=True)
    recalls = np.bincount(labels, is_right) / np.bincount(labels)
    order = np.argsort(recalls, kind="stable")[:_MOST_CANDIDATES]
    return [str(name) for name in names[order]]


def _curve(
    name: str, probabilities: np.ndarray, is_class: np.ndarray
) -> PrecisionRecall | None:
    """Return the curve of a class; None if it has no images, or all."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    if is_class.all() or not is_class.any():
        return None
    precision, recall, _ = precision_recall_curve(is_class, probabilities)
    best = [float(precision[recall >= each - 1e-9].max()) for each in _RECALLS]
    average = float(average_precision_score(is_class, probabilities))
    return PrecisionRecall(name, average, _RECALLS, tuple(best))
