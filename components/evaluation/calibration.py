"""Calibration: bins of a reliability diagram, and the expected calibration error.

scikit-learn's `calibration_curve` was considered: it drops empty bins and returns no
counts, and scikit-learn has no expected calibration error.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NUM_BINS = 15


@dataclass(frozen=True)
class ReliabilityBin:
    """The images whose greatest probability lies in (low, high].

    Attributes:
        low: Lower edge.
        high: Upper edge.
        num_images: Number of images.
        confidence: Mean greatest probability; 0 without images.
        accuracy: Share of right answers; 0 without images.
    """

    low: float
    high: float
    num_images: int
    confidence: float
    accuracy: float


def reliability(
    confidences: np.ndarray, is_right: np.ndarray, num_bins: int = NUM_BINS
) -> list[ReliabilityBin]:
    """Group images into bins by confidence.

    Args:
        confidences: float (N,), the greatest probability of each image.
        is_right: bool (N,), whether the most probable class is the true one.
        num_bins: Number of bins of equal width in (0, 1].
    """
    edges = np.linspace(0, 1, num_bins + 1)
    places = np.clip(np.ceil(confidences * num_bins).astype(int) - 1, 0, num_bins - 1)
    bins = []
    for index in range(num_bins):
        chosen = places == index
        number = int(chosen.sum())
        bins.append(
            ReliabilityBin(
                low=float(edges[index]),
                high=float(edges[index + 1]),
                num_images=number,
                confidence=float(confidences[chosen].mean()) if number else 0.0,
                accuracy=float(is_right[chosen].mean()) if number else 0.0,
            )
        )
    return bins


def expected_calibration_error(bins: list[ReliabilityBin]) -> float:
    """Return the mean distance of confidence and accuracy, weighted by image counts."""
    total = sum(each.num_images for each in bins)
    if not total:
        return 0.0
    distances = (
        each.num_images * abs(each.confidence - each.accuracy) for each in bins
    )
    return float(sum(distances) / total)
