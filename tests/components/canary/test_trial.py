"""The checks of single answers. evaluation/test_flow.py has the whole trial."""

from __future__ import annotations

import numpy as np
import pytest

from graft.components.canary.trial import Expected, _compare
from graft_client import Prediction

TOLERANCE = 1e-3
NAMES = ("cat", "dog")


def compare(label: str, probability: float, threshold: float) -> str:
    row = np.array([1 - probability, probability])
    answer = Prediction(
        class_name=label,
        score=float(row.max()),
        model_version=1,
        probabilities=tuple(row.tolist()),
        class_names=NAMES,
    )
    return _compare(Expected(b"", NAMES, row, threshold), answer, TOLERANCE)[0]


@pytest.mark.parametrize(
    ("label", "probability", "threshold"),
    [
        ("dog", 0.9, 0.0),
        ("dog", 0.9, 0.8),
        ("unknown", 0.7, 0.8),
        ("unknown", 0.8001, 0.8),
        ("dog", 0.7999, 0.8),
        ("cat", 0.5001, 0.0),
    ],
    ids=["named", "sure", "unsure", "just above", "just below", "a tie"],
)
def test_right_names(label, probability, threshold):
    assert compare(label, probability, threshold) == ""


@pytest.mark.parametrize(
    ("label", "probability", "threshold", "message"),
    [
        ("cat", 0.9, 0.0, "the class is 'cat', not 'dog'"),
        ("unknown", 0.9, 0.0, "the class is 'unknown', not 'dog'"),
        ("unknown", 0.9, 0.8, "the class is 'unknown', not 'dog'"),
        ("dog", 0.7, 0.8, "the class is 'dog', not 'unknown'"),
    ],
    ids=["other", "never unknown", "sure", "unsure"],
)
def test_wrong_names(label, probability, threshold, message):
    assert compare(label, probability, threshold) == message
