"""Ridge regression finds scikit-learn's optimum, and its scores are calibrated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from graft.trainer.heads import ridge
from graft.trainer.heads.cross_validation import choose_penalty
from graft.trainer.heads.ridge import fit_ridge


def _blobs(num_examples: int, width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    centres = np.random.default_rng(9).normal(size=(3, width)) * 0.5
    rng = np.random.default_rng(seed)
    labels = rng.permutation(num_examples) % 3
    noise = rng.normal(size=(num_examples, width)) * np.geomspace(0.1, 10, width)
    return (centres[labels] + noise).astype(np.float32), labels


def _log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return float(-log_p[np.arange(len(labels)), labels].mean())


@pytest.mark.parametrize("weights", [None, (3.0, 1.0, 0.5)])
@pytest.mark.parametrize(("num_examples", "width"), [(200, 20), (60, 150)])
def test_optimum_is_that_of_scikit_learn(
    num_examples: int, width: int, weights: tuple[float, ...] | None
) -> None:
    """With more examples than features, and with fewer; up to the one factor."""
    (x, y), evaluation = _blobs(num_examples, width, 1), _blobs(90, width, 2)
    penalty = 0.3
    solution = fit_ridge(
        (x, y), evaluation, penalties=[penalty], num_classes=3, class_weights=weights
    )
    each = np.ones(num_examples) if weights is None else np.asarray(weights)[y]
    standardized = x / x.std(0)
    reference = Ridge(alpha=penalty * each.sum())
    reference.fit(standardized, np.eye(3)[y], sample_weight=each)
    new, _ = _blobs(50, width, 3)
    received = new @ solution.kernel + solution.bias
    expected = reference.predict(new / x.std(0))
    factor = (received * expected).sum() / (expected**2).sum()
    np.testing.assert_allclose(received, factor * expected, atol=2e-3 * factor)


def test_the_factor_makes_the_least_log_loss() -> None:
    train, evaluation = _blobs(100, 30, 1), _blobs(300, 30, 2)
    evaluation[1][:60] = (evaluation[1][:60] + 1) % 3
    solution = fit_ridge(train, evaluation, penalties=[1e-3, 0.1, 3.0], num_classes=3)
    logits = evaluation[0] @ solution.kernel + solution.bias
    best = _log_loss(logits, evaluation[1])
    assert best == pytest.approx(min(row["eval_loss"] for row in solution.path), 1e-3)
    for factor in (0.8, 1.25):
        assert _log_loss(logits * factor, evaluation[1]) > best


@given(
    num_images=st.integers(4, 200),
    num_classes=st.integers(2, 12),
    lead=st.floats(0.05, 1.0),
    seed=st.integers(0, 99),
)
def test_the_factor_stays_finite_where_eval_has_no_mistake(
    num_images: int, num_classes: int, lead: float, seed: int
) -> None:
    """Confidence is that of N right answers of N: (N + 1) / (N + 2), not 1."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, num_images)
    scores = rng.uniform(0, 0.01, (num_images, num_classes)).astype(np.float32)
    scores[np.arange(num_images), labels] += lead
    logits = scores * ridge.best_factor(scores, labels)
    mean_confidence = np.exp(-_log_loss(logits, labels))
    assert mean_confidence == pytest.approx(1 - 1 / (num_images + 2), abs=0.02)
    assert mean_confidence < 1 - 0.3 / (num_images + 2)


def test_every_class_is_in_every_fold_and_the_seed_decides_which() -> None:
    labels = np.repeat([0, 1, 2], [40, 11, 5])
    x, _ = _blobs(len(labels), 8, 1)

    def held_out(seed: int, num_folds: int = 5) -> list[np.ndarray]:
        parts: list[np.ndarray] = []

        def fit(one: tuple, other: tuple, penalties: Sequence[float]) -> object:
            parts.append(other)
            return fit_ridge(one, other, penalties=penalties, num_classes=3)

        choose_penalty(
            fit,
            (x[::2], labels[::2]),
            (x[1::2], labels[1::2]),
            penalties=[0.1],
            num_folds=num_folds,
            seed=seed,
        )
        return parts

    folds = held_out(1)
    counts = np.array([np.bincount(part[1], minlength=3) for part in folds])
    assert (counts.min(0) >= [8, 2, 1]).all()
    again, other = held_out(1), held_out(2)
    np.testing.assert_array_equal(folds[0][0], again[0][0])
    assert not np.array_equal(folds[0][0], other[0][0])
    # More folds than any class has images.
    assert len(held_out(1, num_folds=60)) == 40


def test_cross_validation_sees_every_image_once_and_chooses_the_least_loss() -> None:
    train, evaluation = _blobs(60, 8, 1), _blobs(30, 8, 2)
    penalties = [1e-3, 0.1, 3.0]
    held_out = []

    def fit(one: tuple, other: tuple, penalties: Sequence[float]) -> object:
        assert len(one[1]) + len(other[1]) == 90
        held_out.append(other[0])
        return fit_ridge(one, other, penalties=penalties, num_classes=3)

    penalty, path = choose_penalty(
        fit, train, evaluation, penalties=penalties, num_folds=4, seed=0
    )
    assert len(held_out) == 4
    seen = np.concatenate(held_out)
    everything = np.concatenate([train[0], evaluation[0]])
    np.testing.assert_array_equal(np.sort(seen, axis=0), np.sort(everything, axis=0))
    assert sorted(row["penalty"] for row in path) == penalties
    assert penalty == min(path, key=lambda row: row["eval_loss"])["penalty"]


def test_folds_compare_only_what_each_of_them_tries() -> None:
    """The first fold tries two penalties of three, so the others try no more."""
    train, evaluation = _blobs(60, 8, 1), _blobs(30, 8, 2)
    asked = []

    def fit(one: tuple, other: tuple, penalties: Sequence[float]) -> object:
        asked.append(sorted(penalties))
        some = sorted(penalties)[:2]
        return fit_ridge(one, other, penalties=some, num_classes=3)

    penalty, path = choose_penalty(
        fit, train, evaluation, penalties=[1e-3, 0.1, 3.0], num_folds=3, seed=0
    )
    assert asked == [[1e-3, 0.1, 3.0], [1e-3, 0.1], [1e-3, 0.1]]
    assert sorted(row["penalty"] for row in path) == [1e-3, 0.1]
    assert penalty in {1e-3, 0.1}


@pytest.mark.parametrize("weights", [None, (3.0, 1.0, 0.5)])
def test_products_of_few_examples_at_a_time_give_the_same(
    monkeypatch: pytest.MonkeyPatch, weights: tuple[float, ...] | None
) -> None:
    def fit() -> np.ndarray:
        return fit_ridge(
            _blobs(400, 30, 1),
            _blobs(90, 30, 2),
            penalties=[1e-3, 0.1, 3.0],
            num_classes=3,
            class_weights=weights,
        ).kernel

    at_once = fit()
    monkeypatch.setattr(ridge, "_BYTES_AT_ONCE", 7 * 30 * 4)
    np.testing.assert_allclose(fit(), at_once, rtol=1e-3, atol=1e-5)
