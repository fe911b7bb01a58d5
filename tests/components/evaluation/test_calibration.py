"""Calibration error and its bins."""

from __future__ import annotations

import numpy as np
import pytest

from graft.components.evaluation.calibration import (
    expected_calibration_error,
    reliability,
)


def test_bins_and_error_by_hand() -> None:
    confidences = np.array([0.95, 0.9, 0.6, 0.6])
    is_right = np.array([True, False, True, True])
    bins = reliability(confidences, is_right, num_bins=10)
    filled = {round(each.high, 1): each for each in bins if each.num_images}
    # 0.9 lies in (0.8, 0.9], 0.95 in (0.9, 1.0].
    assert sorted(filled) == [0.6, 0.9, 1.0]
    assert filled[0.6].accuracy == 1.0
    expected = (abs(0.95 - 1) + abs(0.9 - 0) + 2 * abs(0.6 - 1)) / 4
    assert expected_calibration_error(bins) == pytest.approx(expected)


def test_calibrated_answers_have_no_error() -> None:
    rng = np.random.default_rng(0)
    confidences = rng.uniform(0.4, 1, 200_000)
    is_right = rng.uniform(size=confidences.size) < confidences
    bins = reliability(confidences, is_right)
    assert expected_calibration_error(bins) < 0.01
    assert expected_calibration_error(reliability(confidences, ~is_right)) > 0.3


def test_certainty_falls_into_the_last_bin() -> None:
    bins = reliability(np.array([1.0]), np.array([True]))
    assert bins[-1].num_images == 1
