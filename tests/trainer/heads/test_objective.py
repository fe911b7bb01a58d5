"""One loss, one activation, the same metrics for one logit and for two."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from graft.contract.errors import DataError, UserError
from graft.trainer.config import TrainingConfig
from graft.trainer.heads.objective import (
    build_objective,
    num_logits,
    probabilities,
    resolve_class_weights,
)

_RNG = np.random.default_rng(0)
_LOGITS = _RNG.normal(scale=3, size=(50, 1)).astype(np.float32)
_LABELS = _RNG.integers(0, 2, 50)
_TARGETS = np.eye(2, dtype=np.float32)[_LABELS]


def test_softmax_over_two_is_the_sigmoid_of_the_difference() -> None:
    """True of probabilities, of the loss, and of its smoothing."""
    two = np.concatenate([_LOGITS * 0.3, _LOGITS * 1.3], axis=1)
    one = two[:, 1:] - two[:, :1]
    np.testing.assert_allclose(probabilities(one), probabilities(two), atol=1e-6)
    np.testing.assert_allclose(
        probabilities(one)[:, 1], 1 / (1 + np.exp(-one[:, 0])), atol=1e-6
    )
    loss = build_objective(TrainingConfig(label_smoothing=0.1)).loss
    assert float(loss(_TARGETS, one)) == pytest.approx(float(loss(_TARGETS, two)), 1e-5)


def test_loss_is_that_of_keras_on_logits() -> None:
    loss = build_objective(TrainingConfig(label_smoothing=0.1)).loss
    expected = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1)
    received = float(loss(_TARGETS, _LOGITS))
    assert received == pytest.approx(float(expected(_TARGETS[:, 1:], _LOGITS)), 1e-5)


def test_class_weights_scale_the_loss() -> None:
    plain = build_objective(TrainingConfig()).loss
    weighted = build_objective(TrainingConfig(), class_weights=(0.0, 2.0)).loss
    ones = _LABELS == 1
    expected = 2 * float(plain(_TARGETS[ones], _LOGITS[ones])) * ones.mean()
    assert float(weighted(_TARGETS, _LOGITS)) == pytest.approx(expected, 1e-5)


def test_accuracy_of_one_logit() -> None:
    metric = build_objective(TrainingConfig()).metrics[0]
    metric.update_state(_TARGETS, _LOGITS)
    expected = np.mean((_LOGITS[:, 0] > 0) == _LABELS)
    assert float(metric.result()) == pytest.approx(expected)


def test_balanced_weights_have_mean_one() -> None:
    weights = resolve_class_weights(TrainingConfig(class_weights="balanced"), [30, 10])
    assert weights == pytest.approx((2 / 3, 2.0))


def test_class_missing_from_train() -> None:
    with pytest.raises(DataError, match=r"\[1\]"):
        resolve_class_weights(TrainingConfig(), [3, 0, 4])


@pytest.mark.parametrize(
    ("output", "num_classes", "message"),
    [("sigmoid", 3, "several labels"), ("softmax", 1, "2 classes or more")],
)
def test_output_that_does_not_fit(output: str, num_classes: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        num_logits(output, num_classes)


def test_too_few_class_weights() -> None:
    with pytest.raises(UserError, match="must hold 2 numbers"):
        resolve_class_weights(TrainingConfig(class_weights=(1.0,)), [3, 4])
