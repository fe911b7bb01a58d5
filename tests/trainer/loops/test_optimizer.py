"""The optimizers equal those of Keras, with a learning rate per part."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from graft.trainer.config import TrainingConfig
from graft.trainer.loops.optimizer import build_optimizer

_RATE = 0.01
_PEERS = {
    "adam": lambda: keras.optimizers.Adam(_RATE),
    "adamw": lambda: keras.optimizers.AdamW(_RATE, weight_decay=0.1),
    "rmsprop": lambda: keras.optimizers.RMSprop(_RATE),
    "sgd": lambda: keras.optimizers.SGD(_RATE, momentum=0.9, weight_decay=0.1),
}
_STEPS = 5


def _weights() -> list[keras.Variable]:
    rng = np.random.default_rng(0)
    return [
        keras.Variable(rng.normal(size=(6, size)), dtype="float32") for size in (4, 1)
    ]


def _gradients() -> list[list[tf.Tensor]]:
    rng = np.random.default_rng(1)
    return [
        [tf.constant(rng.normal(size=(6, size)), tf.float32) for size in (4, 1)]
        for _ in range(_STEPS)
    ]


def _applying(
    optimizer: keras.optimizers.Optimizer, weights: list[keras.Variable]
) -> Callable[[list[tf.Tensor]], None]:
    def apply(gradients: list[tf.Tensor]) -> None:
        optimizer.apply(gradients, weights)

    return apply


@pytest.mark.parametrize("in_graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("name", _PEERS)
def test_steps_are_those_of_keras(name: str, in_graph: bool) -> None:
    training = TrainingConfig(
        optimizer=name, learning_rate=_RATE, weight_decay=0.1, schedule="plateau"
    )
    ours = build_optimizer(
        training, learning_rate=_RATE, warmup_epochs=0, epochs=1, steps_per_epoch=_STEPS
    )
    theirs = _PEERS[name]()
    received, expected = _weights(), _weights()
    for optimizer, weights in ((ours, received), (theirs, expected)):
        optimizer.build(weights)
        apply = _applying(optimizer, weights)
        if in_graph:
            apply = tf.function(apply)
        for gradients in _gradients():
            apply(gradients)
    pairs = [*zip(received, expected, strict=True)]
    for one, two in [*pairs, *zip(ours.variables, theirs.variables, strict=True)]:
        np.testing.assert_allclose(one.numpy(), two.numpy(), rtol=1e-5, atol=1e-6)
    assert (received[0].numpy() != _weights()[0].numpy()).all()


@pytest.mark.parametrize("in_graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("name", _PEERS)
def test_a_part_is_trained_as_by_an_optimizer_with_its_own_rate(
    name: str, in_graph: bool
) -> None:
    """One optimizer with two rates equals two optimizers of Keras with a rate each."""
    factor = 0.1
    training = TrainingConfig(
        optimizer=name, learning_rate=_RATE, weight_decay=0.0, schedule="plateau"
    )
    received, expected = _weights(), _weights()
    ours = build_optimizer(
        training,
        learning_rate=_RATE,
        warmup_epochs=0,
        epochs=1,
        steps_per_epoch=_STEPS,
        rate_factors={received[1].path: factor},
    )
    ours.build(received)
    appliers = [_applying(ours, received)]
    for variable, rate in zip(expected, (_RATE, factor * _RATE), strict=True):
        peer = _PEERS[name]()
        peer.learning_rate, peer.weight_decay = rate, None
        peer.build([variable])
        appliers.append(_applying(peer, [variable]))
    if in_graph:
        appliers = [tf.function(apply) for apply in appliers]
    for first, second in _gradients():
        for apply, gradients in zip(
            appliers, ([first, second], [first], [second]), strict=True
        ):
            apply(gradients)
    for one, two in zip(received, expected, strict=True):
        np.testing.assert_allclose(one.numpy(), two.numpy(), rtol=1e-5, atol=1e-6)


def test_a_part_has_a_rate_of_its_own() -> None:
    weights = _weights()
    before = [variable.numpy() for variable in weights]
    optimizer = build_optimizer(
        TrainingConfig(optimizer="adam", schedule="constant"),
        learning_rate=_RATE,
        warmup_epochs=0,
        epochs=1,
        steps_per_epoch=1,
        rate_factors={weights[1].path: 0.1},
    )
    optimizer.build(weights)
    optimizer.apply([tf.ones((6, 4)), tf.ones((6, 1))], weights)
    moved = [
        np.abs(variable.numpy() - value).mean()
        for variable, value in zip(weights, before, strict=True)
    ]
    # The length of Adam's first step is the rate.
    assert moved == pytest.approx([_RATE, 0.1 * _RATE], rel=1e-3)
