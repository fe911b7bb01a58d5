"""The logistic regression finds the optimum, and chooses its penalty on `eval`."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from graft.trainer.heads.linear import fit_logistic_regression
from graft.trainer.heads.prepared import prepare
from graft.trainer.heads.solution import LinearSolution


def _blobs(num_examples: int, width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    centres = np.random.default_rng(9).normal(size=(3, width)) * 0.5
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, num_examples)
    noise = rng.normal(size=(num_examples, width)) * np.geomspace(0.1, 10, width)
    return (centres[labels] + noise).astype(np.float32), labels


@pytest.mark.parametrize(("num_examples", "width"), [(200, 20), (60, 150), (300, 200)])
def test_optimum_is_that_of_scikit_learn(num_examples: int, width: int) -> None:
    """With more examples than features, with fewer, and beyond the known axes."""
    x, y = _blobs(num_examples, width, 1)
    penalty = 0.03
    solution = fit_logistic_regression((x, y), None, penalties=[penalty], num_classes=3)
    mean, deviation = x.mean(0), x.std(0)
    reference = LogisticRegression(
        C=1 / (penalty * num_examples), tol=1e-8, max_iter=10_000
    ).fit((x - mean) / deviation, y)
    new, _ = _blobs(50, width, 2)
    logits = new @ solution.kernel + solution.bias
    logits -= logits.mean(1, keepdims=True)
    expected = reference.decision_function((new - mean) / deviation)
    np.testing.assert_allclose(logits, expected, atol=0.02)


def test_penalty_is_chosen_on_eval() -> None:
    train, evaluation = _blobs(100, 80, 1), _blobs(300, 80, 2)
    penalties = [1e-4, 1e-2, 1e-1, 1.0, 10.0]
    solution = fit_logistic_regression(
        train, evaluation, penalties=penalties, num_classes=3
    )
    losses = {
        penalty: fit_logistic_regression(
            train, evaluation, penalties=[penalty], num_classes=3
        ).path[0]["eval_loss"]
        for penalty in penalties
    }
    assert solution.penalty == min(losses, key=lambda penalty: losses[penalty])


def test_a_class_of_little_weight_does_not_end_the_path() -> None:
    centres = np.random.default_rng(7).normal(size=(4, 60)) * 0.45

    def draw(seed: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 4, number)
        noise = rng.normal(size=(number, 60))
        return (centres[labels] + noise).astype(np.float32), labels

    def fit(penalties: list[float]) -> LinearSolution:
        return fit_logistic_regression(
            draw(1, 400),
            draw(2, 200),
            penalties=penalties,
            num_classes=4,
            class_weights=[0.001, 1.0, 1.0, 1.0],
        )

    penalties = [3.0, 2.5, 2.0, 1.5, 1.0, 0.1, 0.01, 0.001, 0.0001]
    losses = [fit([each]).path[0]["eval_loss"] for each in penalties]
    assert losses == sorted(losses, reverse=True)
    solution = fit(penalties)
    assert solution.penalty == 0.0001
    found = [row["eval_loss"] for row in solution.path]
    assert found == pytest.approx(losses, rel=0.2)


def test_the_path_does_not_change_the_solution() -> None:
    """The solution of a penalty depends neither on earlier ones nor on the run."""
    train, evaluation = _blobs(150, 200, 1), _blobs(300, 200, 2)
    alone = fit_logistic_regression(
        train, evaluation, penalties=[0.1], num_classes=3
    ).path[0]
    one, other = (
        fit_logistic_regression(
            train, evaluation, penalties=[10.0, 1.0, 0.1], num_classes=3
        )
        for _ in range(2)
    )
    assert one.path[-1] == pytest.approx(alone, abs=1e-3)
    np.testing.assert_array_equal(one.kernel, other.kernel)
    assert one.path == other.path


def test_weights_of_classes_and_smoothing_change_the_objective() -> None:
    """The gradient of the documented objective is zero at the solution."""
    x, y = _blobs(200, 20, 1)
    weights, smoothing, penalty = np.array([1.0, 2.0, 0.5]), 0.2, 0.05
    solution = fit_logistic_regression(
        (x, y),
        None,
        penalties=[penalty],
        num_classes=3,
        class_weights=weights.tolist(),
        label_smoothing=smoothing,
        standardize=False,
    )
    logits = (x @ solution.kernel + solution.bias).astype(np.float64)
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    targets = np.eye(3)[y] * (1 - smoothing) + smoothing / 3
    share = weights[y] / weights[y].sum()
    residual = share[:, None] * (p - targets)
    slope = (x - x.mean(0)).T @ residual + penalty * solution.kernel
    np.testing.assert_allclose(slope, 0, atol=2e-3)
    np.testing.assert_allclose(residual.sum(0), 0, atol=2e-3)


def test_constant_feature_does_no_harm() -> None:
    x, y = _blobs(100, 5, 1)
    x[:, 2] = 4.0
    solution = fit_logistic_regression((x, y), None, penalties=[0.1], num_classes=3)
    assert np.isfinite(solution.kernel).all()
    np.testing.assert_allclose(solution.kernel[2], 0, atol=1e-3)


def test_prepared_features_give_the_same_head() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 7)).astype(np.float32) * np.arange(1, 8, dtype=np.float32)
    y = (x[:, 0] + rng.normal(size=90) > 0).astype(np.int64)
    train, evaluation = (x[:60], y[:60]), (x[60:], y[60:])
    for standardize in (True, False):
        prepared = prepare(train[0], evaluation[0], standardize=standardize)
        one, other = (
            fit_logistic_regression(
                train,
                evaluation,
                penalties=[0.1, 0.01],
                num_classes=2,
                standardize=standardize,
                prepared=given,
            )
            for given in (prepared, None)
        )
        np.testing.assert_array_equal(one.kernel, other.kernel)
        assert one.path == other.path
