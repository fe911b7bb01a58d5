"""Thresholds and curves: what a probability is worth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from graft.components.evaluation.predictions import (
    Answers,
    EvaluatedImages,
    Predictions,
)
from graft.components.report.confidence import (
    judge_confidence,
    threshold_rows,
    wilson_interval,
)


def test_each_row_has_fewer_answers_and_counts_them_exactly():
    confidences = np.array([0.55, 0.65, 0.85, 0.95, 0.999])
    is_right = np.array([False, True, True, True, True])
    rows = threshold_rows(confidences, is_right)
    found = [(row.threshold, row.num_answered, row.num_right) for row in rows]
    # 0.5 leaves out nothing, and 0.7 the same as 0.8.
    assert found == [(0, 5, 4), (0.6, 4, 4), (0.7, 3, 3), (0.9, 2, 2), (0.99, 1, 1)]
    assert rows[0].share == 1
    assert rows[1].share == pytest.approx(0.8)
    assert rows[0].accuracy == pytest.approx(0.8)


def test_a_probability_at_the_threshold_is_an_answer():
    rows = threshold_rows(np.array([0.5, 0.8]), np.array([True, True]))
    assert [row.num_answered for row in rows] == [2, 1, 0]
    assert rows[1].threshold == 0.6
    assert rows[2].accuracy is None
    assert rows[2].interval is None


@pytest.mark.parametrize(("right", "number"), [(0, 5), (5, 5), (32, 35), (990, 1000)])
def test_the_interval_is_wilsons(right: int, number: int):
    expected = stats.binomtest(right, number).proportion_ci(method="wilson")
    assert wilson_interval(right, number) == pytest.approx(tuple(expected), abs=1e-12)


def test_the_worst_classes_have_curves():
    """Class 0 is told apart without mistakes, and class 5 has no test images."""
    rng = np.random.default_rng(0)
    names = tuple("abcdef")
    truth = np.repeat(np.arange(5), 20)
    scores = rng.random((100, 6))
    scores[:, 0] = truth == 0
    scores[truth == 1, 1] += 0.5
    images = EvaluatedImages(
        np.array([names[label] for label in truth]),
        np.array([str(index) for index in range(100)]),
        np.array([str(index) for index in range(100)]),
    )
    found = judge_confidence(Predictions(images, Answers(names, scores)))
    worst = [curve.class_name for curve in found.curves]
    assert worst[-1] == "b"
    assert sorted(worst) == ["b", "c", "d", "e"]
    for curve in found.curves:
        assert list(curve.precisions) == sorted(curve.precisions, reverse=True)
        assert curve.precisions[-1] >= 0.2 - 1e-9  # all images called so: 20 of 100
    assert found.interval == found.thresholds[0].interval
