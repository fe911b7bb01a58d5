"""The dashboard's metadata, compared with the SDK's own artifacts."""

from __future__ import annotations

import json

import numpy as np
import pytest
from kfp import dsl

from graft.components.evaluation.predictions import (
    Answers,
    EvaluatedImages,
    Predictions,
)
from graft.components.evaluation.verdict import RuleResult, Verdict
from graft.pipeline.kubeflow.container import dashboard

TRUE = np.array(["cat", "cat", "dog", "fox"])


def predictions(probabilities, names=("cat", "dog"), true=TRUE):
    count = len(true)
    images = EvaluatedImages(true, np.array(["h"] * count), np.array(["f"] * count))
    return Predictions(images, Answers(names, np.array(probabilities, np.float32)))


PREDICTIONS = predictions([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.7, 0.3]])


def test_confusion_matrix_is_the_one_that_the_sdk_writes():
    expected = dsl.ClassificationMetrics(name="x", uri="minio://b/k", metadata={})
    expected.log_confusion_matrix(
        ["cat", "dog", "fox"], [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    )
    found = dashboard.classification_of(PREDICTIONS)
    assert found["confusionMatrix"] == expected.metadata["confusionMatrix"]


def test_curve_is_the_one_of_scikit_learn():
    from sklearn.metrics import roc_curve

    generator = np.random.default_rng(0)
    true = generator.choice(["cat", "dog"], 400)
    score = np.clip(0.3 * (true == "cat") + generator.random(400) * 0.7, 0, 1)
    given = predictions(np.stack([score, 1 - score], 1), true=true)
    points = dashboard.classification_of(given)["confidenceMetrics"]
    is_true = np.concatenate([true == "cat", true == "dog"])
    scores = np.concatenate([score, 1 - score]).astype(np.float32)
    rates, recalls, ends = roc_curve(is_true, scores, drop_intermediate=False)
    for point in points:
        keys = {"confidenceThreshold", "recall", "falsePositiveRate"}
        assert set(point) == keys
        # The last point of scikit-learn's at or above this threshold is the same.
        index = np.searchsorted(-ends, -point["confidenceThreshold"], "right") - 1
        assert point["recall"] == pytest.approx(recalls[index], abs=1e-9)
        assert point["falsePositiveRate"] == pytest.approx(rates[index], abs=1e-9)
    thresholds = [point["confidenceThreshold"] for point in points]
    assert thresholds == sorted(thresholds, reverse=True)
    assert (points[0]["recall"], points[0]["falsePositiveRate"]) == (0, 0)
    assert (points[-1]["recall"], points[-1]["falsePositiveRate"]) == (1, 1)


def test_too_many_classes_are_left_to_the_report():
    names = tuple(f"class-{number:03}" for number in range(dashboard.MAX_CLASSES + 1))
    one = np.full((4, len(names)), 1 / len(names))
    given = predictions(one, names, np.array(names[:4]))
    assert dashboard.classification_of(given) == {}


def verdict(*, is_blessed):
    rule = RuleResult(
        "min_accuracy", "overall", 0.7, 0.9, "refuse", "0.7 is below the floor 0.9"
    )
    return Verdict(
        is_blessed=is_blessed,
        rules=() if is_blessed else (rule,),
        metrics={"accuracy": 0.75, "latency_ms": None, "log_loss": float("inf")},
    )


@pytest.mark.parametrize("is_blessed", [True, False])
def test_rows_are_numbers_that_json_knows(tmp_path, is_blessed):
    (tmp_path / "verdict.json").write_text(verdict(is_blessed=is_blessed).to_json())
    PREDICTIONS.save(str(tmp_path / "predictions.npz"))
    found = dashboard.metadata_of(str(tmp_path))
    rows = found["metrics"]
    assert (rows["accuracy"], rows["blessed"]) == (0.75, float(is_blessed))
    assert set(rows) - {"refused_because"} == {"accuracy", "blessed"}
    assert rows.get("refused_because") == (
        None if is_blessed else "0.7 is below the floor 0.9"
    )
    json.dumps(found, allow_nan=False)
    assert len(found["confusion_matrix"]["confusionMatrix"]["rows"]) == 3


def test_missing_files_are_no_error(tmp_path):
    assert dashboard.metadata_of(str(tmp_path)) == {
        "metrics": {},
        "confusion_matrix": {},
    }
