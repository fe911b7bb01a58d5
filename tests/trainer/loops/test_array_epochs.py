"""An epoch in one graph gives the results of Keras's `fit` and `evaluate`."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from graft.trainer.config import (
    Conv2DLayer,
    DenseLayer,
    HeadLayer,
    ModelConfig,
    PoolingLayer,
    TrainingConfig,
)
from graft.trainer.heads.head import build_head
from graft.trainer.heads.objective import build_objective
from graft.trainer.loops import array_epochs
from graft.trainer.loops.array_epochs import ArrayEpochs, order_of_epoch
from graft.trainer.loops.optimizer import build_optimizer
from graft.trainer.loops.training_loop import NonFiniteLoss

_TRAINING = TrainingConfig(
    batch_size=16, learning_rate=0.01, label_smoothing=0.1, optimizer="adamw"
)
_WEIGHTS = (1.5, 0.5)
_DENSE = (DenseLayer(units=5, activation="tanh", l2=0.01),)
_CONVOLUTION = (
    Conv2DLayer(filters=4, kernel_size=2, activation="relu", l2=0.01),
    PoolingLayer(method="avg"),
)


def _blobs(
    num_examples: int, seed: int, shape: tuple[int, ...] = (6,)
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(num_examples) % 2
    noise = rng.normal(size=(*shape, num_examples)) + labels
    return np.moveaxis(noise, -1, 0).astype(np.float32), labels


def _head(
    shape: tuple[int, ...] = (6,), layers: tuple[HeadLayer, ...] = _DENSE
) -> keras.Model:
    keras.utils.set_random_seed(1)
    head = build_head(ModelConfig(head=layers), shape, 2)
    optimizer = build_optimizer(
        _TRAINING, learning_rate=0.01, warmup_epochs=0, epochs=3, steps_per_epoch=4
    )
    objective = build_objective(_TRAINING, _WEIGHTS)
    head.compile(optimizer, objective.loss, metrics=objective.metrics)
    optimizer.build(head.trainable_variables)
    return head


@pytest.mark.parametrize(
    ("shape", "layers"),
    [((6,), _DENSE), ((3, 3, 2), _CONVOLUTION)],
    ids=["dense", "convolution"],
)
def test_an_epoch_is_that_of_fit(
    shape: tuple[int, ...],
    layers: tuple[HeadLayer, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last batch isn't full: 50 examples, 16 at a time. `eval` takes 3 batches."""
    monkeypatch.setattr(array_epochs, "_EVAL_BATCH_SIZE", 13)
    train, evaluation = _blobs(50, 1, shape), _blobs(30, 2, shape)
    ours, theirs = _head(shape, layers), _head(shape, layers)
    epochs = ArrayEpochs(
        ours,
        build_objective(_TRAINING, _WEIGHTS),
        train,
        evaluation,
        training=_TRAINING,
        num_classes=2,
    )
    targets = np.eye(2, dtype=np.float32)
    for epoch in range(2):
        logs = epochs.train(epoch)
        rng = np.random.default_rng([_TRAINING.seed, epoch])
        order = order_of_epoch(train[1], rng, is_balanced=False)
        expected = theirs.fit(
            train[0][order],
            targets[train[1][order]],
            batch_size=16,
            shuffle=False,
            verbose=0,
        ).history
        assert logs["loss"] == pytest.approx(expected["loss"][0], rel=1e-5)
        assert logs["accuracy"] == pytest.approx(expected["accuracy"][0])
    for one, two in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)
    scores = theirs.evaluate(
        evaluation[0], targets[evaluation[1]], verbose=0, return_dict=True
    )
    received = epochs.evaluate()
    assert received["loss"] == pytest.approx(scores["eval_loss"], rel=1e-5)
    assert received["accuracy"] == pytest.approx(scores["accuracy"])


def test_the_first_step_that_is_not_finite_is_named() -> None:
    features, labels = _blobs(64, 1)
    features[
        order_of_epoch(labels, np.random.default_rng([0, 0]), is_balanced=False)[33]
    ] = np.nan
    epochs = ArrayEpochs(
        _head(),
        build_objective(_TRAINING),
        (features, labels),
        _blobs(8, 2),
        training=_TRAINING,
        num_classes=2,
    )
    with pytest.raises(NonFiniteLoss) as caught:
        epochs.train(0)
    assert caught.value.step == 3


def test_balanced_order_draws_every_class_as_often() -> None:
    labels = np.repeat([0, 1, 2], [30, 9, 3])
    order = order_of_epoch(labels, np.random.default_rng(0), is_balanced=True)
    assert np.bincount(labels[order]).tolist() == [14, 14, 14]
    # Without replacement as long as a class lasts.
    assert len(set(order[labels[order] == 0])) == 14
    assert set(order[labels[order] == 2]) == {39, 40, 41}
