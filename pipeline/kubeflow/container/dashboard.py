"""Metrics, confusion matrix and ROC of an evaluation for Kubeflow's dashboard.

The dashboard shows an output by its type in the compiled file and by its metadata. TFX
has none of these types. So the compiler adds the outputs to the step that evaluates,
and the entry point fills them. The pipeline itself is the same on every platform.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from graft.components.evaluation.predictions import PREDICTIONS_FILE, Predictions
from graft.components.evaluation.verdict import VERDICT_FILE, Verdict

EVALUATION_TITLE = "tfx.ModelEvaluation"
METRICS = "metrics"
CLASSIFICATION = "confusion_matrix"
OUTPUT_TYPES = {
    METRICS: {"schemaTitle": "system.Metrics", "schemaVersion": "0.0.1"},
    CLASSIFICATION: {
        "schemaTitle": "system.ClassificationMetrics",
        "schemaVersion": "0.0.1",
    },
}
"""Added outputs, with their types in the compiled file."""
MAX_CLASSES = 64
"""Most classes in the confusion matrix; the report has larger ones."""
NUM_ROC_POINTS = 51


def metadata_of(evaluation_path: str) -> dict[str, dict[str, Any]]:
    """Return the metadata of each added output.

    Args:
        evaluation_path: Folder of the gate's evaluation. Numbers of missing files are
            left out.

    Returns:
        Key of an output to its metadata: numbers for `metrics`, `confusionMatrix` and
        `confidenceMetrics` in the dashboard's form for `confusion_matrix`.
    """
    found: dict[str, dict[str, Any]] = {METRICS: {}, CLASSIFICATION: {}}
    verdict_path = os.path.join(evaluation_path, VERDICT_FILE)
    if os.path.isfile(verdict_path):
        with open(verdict_path, encoding="utf-8") as file:
            found[METRICS] = metrics_of(Verdict.from_json(file.read()))
    predictions_path = os.path.join(evaluation_path, PREDICTIONS_FILE)
    if os.path.isfile(predictions_path):
        predictions = Predictions.load(predictions_path)
        found[CLASSIFICATION] = classification_of(predictions)
    return found


def metrics_of(verdict: Verdict) -> dict[str, Any]:
    """Return the known numbers of a verdict by name."""
    rows: dict[str, Any] = {
        key: float(value)
        for key, value in verdict.metrics.items()
        if value is not None and np.isfinite(value)
    }
    rows["blessed"] = 1.0 if verdict.is_blessed else 0.0
    if verdict.refusals:
        rows["refused_because"] = "; ".join(verdict.refusals)
    return rows


def classification_of(predictions: Predictions) -> dict[str, Any]:
    """Return `confusionMatrix` (rows: true classes) and `confidenceMetrics`.

    The curve is the micro-average: each class of each image is one binary decision.
    """
    answers = predictions.candidate
    true_names = predictions.images.class_names
    names = sorted({*answers.class_names, *map(str, true_names)})
    if not names or len(names) > MAX_CLASSES:
        return {}
    counts = np.zeros((len(names), len(names)), np.int64)
    rows = np.searchsorted(names, true_names)
    np.add.at(counts, (rows, np.searchsorted(names, answers.predicted_names())), 1)
    is_true = np.arange(len(names)) == rows[:, None]
    return {
        "confusionMatrix": {
            "annotationSpecs": [{"displayName": name} for name in names],
            "rows": [{"row": row} for row in counts.tolist()],
        },
        "confidenceMetrics": _roc(is_true, answers.in_order_of(names)),
    }


def _roc(is_true: np.ndarray, scores: np.ndarray) -> list[dict[str, float]]:
    """Return points of the ROC curve, the highest threshold first.

    Args:
        is_true: Whether image n has class k, bool (N, K).
        scores: Probability of class k, float32 (N, K).
    """
    right, wrong = np.sort(scores[is_true]), np.sort(scores[~is_true])
    if not len(right) or not len(wrong):
        return []
    # Thresholds follow the scores of true classes, where the curve bends.
    inner = np.unique(np.quantile(right, np.linspace(0, 1, NUM_ROC_POINTS - 2)))[::-1]
    points = []
    for threshold in (1.0 + 1e-6, *inner.tolist(), 0.0):
        points.append(
            {
                "confidenceThreshold": float(threshold),
                "recall": _share_from(right, threshold),
                "falsePositiveRate": _share_from(wrong, threshold),
            }
        )
    return points


def _share_from(ordered: np.ndarray, threshold: float) -> float:
    return float(1 - np.searchsorted(ordered, threshold) / len(ordered))
