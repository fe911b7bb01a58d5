"""The path for many classes gives the heads of the usual one, in fewer full steps."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from graft.trainer.heads import many_classes
from graft.trainer.heads.linear import fit_logistic_regression
from graft.trainer.heads.solution import LinearSolution

_CLASSES, _WIDTH = 12, 80


def _blobs(num_examples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    centres = np.random.default_rng(3).normal(size=(_CLASSES, _WIDTH)) * 0.5
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(num_examples) % _CLASSES)
    noise = rng.normal(size=(num_examples, _WIDTH)) * np.geomspace(1, 4, _WIDTH)
    return (centres[labels] + noise).astype(np.float32), labels


TRAIN, EVAL, NEW = _blobs(240, 1), _blobs(120, 2), _blobs(2000, 3)


@pytest.fixture
def as_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let any problem be a large one, with fewer axes than features."""
    monkeypatch.setattr(many_classes, "_LARGE_PROBLEM", 0)
    monkeypatch.setattr(many_classes, "_NUM_AXES", 20)


def _fit(penalties: list[float], **options: object) -> LinearSolution:
    return fit_logistic_regression(
        TRAIN, EVAL, penalties=penalties, num_classes=_CLASSES, **options
    )


def _log_probabilities(solution: LinearSolution, x: np.ndarray) -> np.ndarray:
    logits = (x @ solution.kernel + solution.bias).astype(np.float64)
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


@pytest.mark.usefixtures("as_large")
@pytest.mark.parametrize("penalty", [0.3, 0.01, 1e-3])
def test_optimum_is_that_of_scikit_learn(penalty: float) -> None:
    x, y = TRAIN
    mean, deviation = x.mean(0), x.std(0)
    reference = LogisticRegression(
        C=1 / (penalty * len(x)), tol=1e-8, max_iter=10_000
    ).fit((x - mean) / deviation, y)
    solution = _fit([penalty])
    new, labels = NEW
    answers = _log_probabilities(solution, new)
    expected = reference.predict_log_proba((new - mean) / deviation)
    rows = np.arange(len(labels))
    loss, least = -answers[rows, labels].mean(), -expected[rows, labels].mean()
    assert loss == pytest.approx(least, rel=0.01)
    accuracy, best = ((each.argmax(1) == labels).mean() for each in (answers, expected))
    assert accuracy == pytest.approx(best, abs=0.002)


@pytest.mark.parametrize(
    "penalties",
    [
        pytest.param([10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 1e-2, 1e-3, 1e-4], id="inside"),
        pytest.param([1e-4, 1e-3, 3e-3], id="strongest"),
        pytest.param([30.0, 10.0, 3.0], id="weakest"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}], ids=["", "smooth"])
def test_choice_is_that_of_the_usual_path(
    monkeypatch: pytest.MonkeyPatch,
    penalties: list[float],
    options: dict[str, float],
) -> None:
    usual = _fit(penalties, **options)
    monkeypatch.setattr(many_classes, "_LARGE_PROBLEM", 0)
    monkeypatch.setattr(many_classes, "_NUM_AXES", 20)
    found = _fit(penalties, **options)
    assert found.penalty == usual.penalty
    least = {row["penalty"]: row["eval_loss"] for row in usual.path}
    assert len(found.path) <= 4
    for row in found.path:
        if row["penalty"] in least:
            assert row["eval_loss"] == pytest.approx(least[row["penalty"]], rel=0.02)
    new, labels = NEW
    one, other = (
        (_log_probabilities(each, new).argmax(1) == labels).mean()
        for each in (found, usual)
    )
    assert one == pytest.approx(other, abs=0.002)


@pytest.mark.usefixtures("as_large")
def test_stronger_penalties_are_tried_if_the_rough_path_was_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Wrong(many_classes._RoughPath):
        """Takes the weakest penalty for the best."""

        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)
            self.best = len(self.rows) - 1

    penalties = [10.0, 3.0, 1.0, 0.3, 0.1, 1e-2, 1e-3, 1e-4, 1e-5]
    expected = _fit(penalties)
    assert expected.penalty > penalties[-3]
    monkeypatch.setattr(many_classes, "_RoughPath", Wrong)
    monkeypatch.setattr(many_classes, "_PATIENCE", len(penalties))
    found = _fit(penalties)
    assert found.penalty == expected.penalty
    rows = [row["penalty"] for row in found.path]
    assert rows == sorted(rows, reverse=True)


@pytest.mark.usefixtures("as_large")
def test_weights_of_classes_count() -> None:
    weights = np.linspace(0.2, 2, _CLASSES).tolist()
    found = _fit([0.01], class_weights=weights)
    x, y = TRAIN
    scale = 1 / x.std(0)
    logits = _log_probabilities(found, x)
    share = np.array(weights)[y] / np.array(weights)[y].sum()
    residual = share[:, None] * (np.exp(logits) - np.eye(_CLASSES)[y])
    slope = ((x - x.mean(0)) * scale).T @ residual + 0.01 * found.kernel / scale[
        :, None
    ]
    np.testing.assert_allclose(slope, 0, atol=2e-3)


@pytest.mark.usefixtures("as_large")
def test_without_eval_the_strongest_penalty_is_fitted() -> None:
    found = fit_logistic_regression(
        TRAIN, None, penalties=[0.01, 0.1], num_classes=_CLASSES
    )
    assert found.penalty == 0.1
    assert set(found.path[0]) == {"penalty", "loss", "accuracy"}


def test_one_penalty_gives_the_probabilities_of_scikit_learn() -> None:
    x, y = TRAIN
    reference = LogisticRegression(C=0.1, tol=1e-8, max_iter=10_000).fit(x, y)
    predict = many_classes.fit_penalty(x, y, 1 / (0.1 * len(x)))
    np.testing.assert_allclose(
        predict(NEW[0]), reference.predict_proba(NEW[0]), atol=0.02
    )
