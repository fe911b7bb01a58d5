"""The fit in mini-batches gives the head of the exact solver."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from graft.trainer.heads import minibatch
from graft.trainer.heads.linear import fit_logistic_regression
from graft.trainer.heads.minibatch import fit_minibatch, measure
from graft.trainer.heads.solution import LinearSolution

_CLASSES, _WIDTH = 5, 30
Arrays = tuple[np.ndarray, np.ndarray]


def _blobs(num_examples: int, seed: int) -> Arrays:
    """Features that depend on each other and have very different sizes."""
    fixed = np.random.default_rng(3)
    centres = fixed.normal(size=(_CLASSES, _WIDTH)) * 0.7
    mixing = np.eye(_WIDTH) + 0.1 * fixed.normal(size=(_WIDTH, _WIDTH))
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, _CLASSES, num_examples)
    x = (centres[labels] + rng.normal(size=(num_examples, _WIDTH))) @ mixing
    return (x * np.geomspace(0.01, 100, _WIDTH) + 3).astype(np.float32), labels


TRAIN, EVAL, NEW = _blobs(3000, 1), _blobs(1000, 2), _blobs(5000, 3)


def _batches(
    data: Arrays, seed: int | None = None, size: int = 100
) -> Iterator[Arrays]:
    order = np.arange(len(data[1]))
    if seed is not None:
        order = np.random.default_rng(seed).permutation(order)
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        yield data[0][rows], data[1][rows]


@pytest.fixture(autouse=True)
def few_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the tests short."""
    monkeypatch.setattr(minibatch, "_STEPS", 3000)


def test_moments_are_those_of_numpy() -> None:
    moments = measure(_batches(TRAIN), _CLASSES, standardize=True)
    x, y = TRAIN
    np.testing.assert_array_equal(moments.counts, np.bincount(y))
    np.testing.assert_allclose(moments.mean, x.mean(0, dtype=float), rtol=1e-5)
    np.testing.assert_allclose(1 / moments.scale[-5:], x.std(0)[-5:], rtol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="plain"),
        pytest.param({"label_smoothing": 0.2}, id="smooth"),
        pytest.param({"class_weights": (0.2, 1.0, 1.0, 1.0, 2.0)}, id="weights"),
    ],
)
def test_head_is_that_of_the_exact_solver(options: dict[str, object]) -> None:
    penalties = [1e-3, 0.03, 1.0, 30.0]
    exact = fit_logistic_regression(
        TRAIN, EVAL, penalties=penalties, num_classes=_CLASSES, **options
    )
    found = fit_minibatch(
        lambda epoch, size: _batches(TRAIN, epoch, size),
        lambda: _batches(EVAL),
        measure(_batches(TRAIN), _CLASSES, standardize=True),
        penalties=penalties,
        **options,
    )
    assert found.penalty == exact.penalty
    losses = {row["penalty"]: row["eval_loss"] for row in exact.path}
    for row in found.path:
        if row["penalty"] in losses:
            assert row["eval_loss"] == pytest.approx(losses[row["penalty"]], rel=0.03)
    x, y = NEW
    one, other = (x @ each.kernel + each.bias for each in (found, exact))
    accuracies = [(each.argmax(1) == y).mean() for each in (one, other)]
    assert accuracies[0] == pytest.approx(accuracies[1], abs=0.003)
    # Not only a head as good, but the same answers.
    assert (one.argmax(1) == other.argmax(1)).mean() > 0.97


def test_same_order_gives_the_same_head() -> None:
    moments = measure(_batches(TRAIN), _CLASSES, standardize=False)
    one, other = (
        fit_minibatch(
            lambda epoch, size: _batches(TRAIN, epoch, size),
            lambda: _batches(EVAL),
            moments,
            penalties=[0.1],
        )
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.kernel, other.kernel)


class _Memory:
    """Keeps the state of a fit in memory, and can end the fit."""

    def __init__(self, last_epoch: int | None = None) -> None:
        self._last_epoch = last_epoch
        self.epochs: list[int] = []
        self.state: dict[str, np.ndarray] | None = None

    def restore(self) -> dict[str, np.ndarray] | None:
        return self.state

    def save(self, epoch: int, arrays: Mapping[str, np.ndarray]) -> None:
        self.epochs.append(epoch)
        self.state = dict(arrays)
        if epoch == self._last_epoch:
            raise KeyboardInterrupt


def _fit(train: Arrays, keeper: _Memory) -> LinearSolution:
    return fit_minibatch(
        lambda epoch, size: _batches(train, epoch, size),
        lambda: _batches(EVAL),
        measure(_batches(train), _CLASSES, standardize=True),
        penalties=[0.03, 0.3],
        keeper=keeper,
    )


@pytest.mark.parametrize("last_epoch", [1, 9, 13])
def test_a_fit_goes_on_where_it_was_broken_off(last_epoch: int) -> None:
    """In the first epochs, in the middle, and while the rate falls early."""
    unbroken = _Memory()
    expected = _fit(TRAIN, unbroken)
    assert unbroken.epochs[-1] > last_epoch
    broken = _Memory(last_epoch)
    with pytest.raises(KeyboardInterrupt):
        _fit(TRAIN, broken)
    again = _Memory()
    again.state = broken.state
    found = _fit(TRAIN, again)
    assert broken.epochs + again.epochs == unbroken.epochs
    np.testing.assert_array_equal(found.kernel, expected.kernel)
    np.testing.assert_array_equal(found.bias, expected.bias)
    assert found.path == expected.path
    # A finished one is not begun again.
    assert _fit(TRAIN, unbroken).path == expected.path


@pytest.mark.parametrize("number", [1, 30, 1446, 20_480, 40_000, 10**6, 10**9])
def test_epochs_and_batches_are_bounded(number: int) -> None:
    size, num_epochs = minibatch.plan(number)
    assert 16 <= size <= 512
    assert 4 <= num_epochs <= 100
    if number >= 640:
        assert num_epochs * -(-number // size) >= 2000


def test_few_examples_are_fitted_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    few = TRAIN[0][:300], TRAIN[1][:300]
    keeper = _Memory()
    found = _fit(few, keeper)
    assert keeper.epochs[-1] <= 100
    exact = fit_logistic_regression(
        few, EVAL, penalties=[0.03, 0.3], num_classes=_CLASSES
    )
    assert found.penalty == exact.penalty
    x, y = NEW
    one, other = (
        ((x @ each.kernel + each.bias).argmax(1) == y).mean() for each in (found, exact)
    )
    assert one == pytest.approx(other, abs=0.01)


def test_the_fit_ends_early_where_nothing_is_gained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    early = _Memory()
    found = _fit(TRAIN, early)
    monkeypatch.setattr(minibatch, "_PATIENCE", math.inf)
    late = _Memory()
    expected = _fit(TRAIN, late)
    assert len(early.epochs) < len(late.epochs)
    assert len(late.epochs) == minibatch.plan(len(TRAIN[1]))[1]
    losses = [min(row["eval_loss"] for row in each.path) for each in (found, expected)]
    assert losses[0] == pytest.approx(losses[1], rel=0.01)
