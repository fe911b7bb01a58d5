"""The metrics of the gate: for the whole `test` split, per class and per slice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from graft.components.evaluation.calibration import (
    expected_calibration_error,
    reliability,
)
from graft.components.evaluation.predictions import Predictions
from graft.components.evaluation.signatures import Signatures
from graft.contract.label_map import NO_LABEL

_SMALLEST_PROBABILITY = 1e-7


@dataclass(frozen=True)
class Measured:
    """Measurements of the candidate besides its predictions.

    Attributes:
        size_mb: Size of the SavedModel in 10^6 bytes.
        latency_ms: Median time for one image, in milliseconds.
        signatures: The signatures that clients call.
    """

    size_mb: float
    latency_ms: float
    signatures: Signatures


def metrics_of(
    predictions: Predictions, is_right: np.ndarray, measured: Measured
) -> dict[str, float]:
    """Return the metrics of the whole split by name.

    Args:
        predictions: The predictions on `test`.
        is_right: bool (N,), whether the candidate is right.
        measured: Size and latency of the candidate.
    """
    candidate = predictions.candidate
    labels = candidate.labels_of(predictions.images.class_names)
    of_truth = candidate.probabilities[np.arange(len(labels)), labels]
    of_truth = np.where(labels == NO_LABEL, 0.0, of_truth)
    bins = reliability(candidate.confidences(), is_right)
    return {
        "accuracy": float(is_right.mean()),
        "balanced_accuracy": _balanced_accuracy(
            predictions.images.class_names, is_right
        ),
        "log_loss": float(-np.log(np.maximum(of_truth, _SMALLEST_PROBABILITY)).mean()),
        "calibration_error": expected_calibration_error(bins),
        "num_test_images": float(len(labels)),
        "size_mb": measured.size_mb,
        "latency_ms": measured.latency_ms,
    }


def _balanced_accuracy(true_names: np.ndarray, is_right: np.ndarray) -> float:
    """Return the mean recall of the classes that have test images."""
    _, of_name, counts = np.unique(true_names, return_inverse=True, return_counts=True)
    hits = np.bincount(of_name[is_right], minlength=len(counts))
    return float((hits / counts).mean())


def per_class(predictions: Predictions) -> Iterator[dict[str, Any]]:
    """Yield `Verdict.classes`, for the classes of the model and of `test`."""
    true_names = predictions.images.class_names
    predicted = predictions.candidate.predicted_names()
    baseline = predictions.baseline
    answered = None if baseline is None else baseline.predicted_names()
    for name in sorted({*predictions.candidate.class_names, *true_names}):
        is_true, is_predicted = true_names == name, predicted == name
        hits = int((is_true & is_predicted).sum())
        num_images, num_predicted = int(is_true.sum()), int(is_predicted.sum())
        yield {
            "name": str(name),
            "num_images": num_images,
            "num_predicted": num_predicted,
            "precision": _share(hits, num_predicted),
            "recall": _share(hits, num_images),
            "f1": _share(2 * hits, num_images + num_predicted),
            "baseline_recall": None
            if answered is None or baseline is None or name not in baseline.class_names
            else _share(int((is_true & (answered == name)).sum()), num_images),
        }


def per_slice(predictions: Predictions) -> Iterator[dict[str, Any]]:
    """Yield `Verdict.slices`, sorted by feature and value."""
    true_names = predictions.images.class_names
    is_right = predictions.candidate.is_right(true_names)
    baseline = predictions.baseline
    for key, values in sorted(predictions.images.slices.items()):
        for value in sorted(set(values)):
            chosen = values == value
            yield {
                "feature": key,
                "value": str(value),
                "num_images": int(chosen.sum()),
                "accuracy": float(is_right[chosen].mean()),
                "baseline_accuracy": None
                if baseline is None
                else float(baseline.is_right(true_names)[chosen].mean()),
            }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
