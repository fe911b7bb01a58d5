"""Batch norms are folded or stay, and the outputs are the same."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from graft.trainer.backbones.batch_norm_folding import fold_batch_norms

RELATIVE_TOLERANCE = 1e-5


def build(*stack: layers.Layer) -> keras.Model:
    image = layers.Input((12, 12, 3))
    output = image
    for layer in stack:
        output = layer(output)
    return trained(keras.Model(image, output))


def trained(network: keras.Model) -> keras.Model:
    """Give batch norms statistics other than the first ones, 0 and 1."""
    generator = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            for weight in layer.weights:
                weight.assign(generator.uniform(0.3, 2.0, weight.shape))
    return network


def num_norms(network: keras.Model) -> int:
    return sum(isinstance(each, layers.BatchNormalization) for each in network.layers)


def agree(network: keras.Model, folded: keras.Model) -> None:
    image = np.random.default_rng(1).uniform(-1, 1, (2, 12, 12, 3)).astype("float32")
    expected = np.asarray(network(image, training=False))
    found = np.asarray(folded(image, training=False))
    assert abs(found - expected).max() < RELATIVE_TOLERANCE * abs(expected).max()


@pytest.mark.parametrize(
    "convolution",
    [
        layers.Conv2D(5, 3, use_bias=False),
        layers.Conv2D(5, 3, bias_initializer="normal"),
        layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False),
        layers.SeparableConv2D(5, 3, use_bias=False),
    ],
    ids=["conv", "bias", "depthwise", "separable"],
)
@pytest.mark.parametrize("has_scale", [True, False], ids=["scale", "no scale"])
def test_a_norm_after_a_convolution_goes(convolution, has_scale):
    norm = layers.BatchNormalization(scale=has_scale, center=has_scale)
    network = build(type(convolution).from_config(convolution.get_config()), norm)
    folded = fold_batch_norms(network)
    assert num_norms(folded) == 0
    assert num_norms(network) == 1
    agree(network, folded)


@pytest.mark.parametrize(
    "stack",
    [
        lambda: [layers.BatchNormalization()],
        lambda: [layers.Conv2D(5, 3, activation="relu"), layers.BatchNormalization()],
        lambda: [layers.Conv2D(5, 3), layers.ReLU(), layers.BatchNormalization()],
        lambda: [layers.Conv2D(5, 3), layers.BatchNormalization(axis=1)],
    ],
    ids=["first", "activation", "relu between", "axis"],
)
def test_a_norm_after_anything_else_stays(stack):
    network = build(*stack())
    folded = fold_batch_norms(network)
    assert num_norms(folded) == 1
    agree(network, folded)


def test_a_norm_stays_whose_convolution_has_another_reader():
    image = layers.Input((12, 12, 3))
    convolved = layers.Conv2D(5, 3)(image)
    normalised = layers.BatchNormalization()(convolved)
    network = trained(keras.Model(image, layers.Add()([convolved, normalised])))
    folded = fold_batch_norms(network)
    assert num_norms(folded) == 1
    agree(network, folded)


def test_a_norm_stays_whose_convolution_is_an_output():
    image = layers.Input((12, 12, 3))
    convolved = layers.Conv2D(5, 3)(image)
    normalised = layers.BatchNormalization()(convolved)
    assert num_norms(fold_batch_norms(keras.Model(image, [convolved, normalised]))) == 1


def test_a_norm_stays_whose_convolution_is_called_twice():
    image = layers.Input((12, 12, 3))
    convolution = layers.Conv2D(3, 3, padding="same")
    normalised = layers.BatchNormalization()(convolution(image))
    network = trained(keras.Model(image, convolution(normalised)))
    folded = fold_batch_norms(network)
    assert num_norms(folded) == 1
    agree(network, folded)


def test_a_norm_that_is_called_twice_stays():
    image = layers.Input((12, 12, 3))
    norm = layers.BatchNormalization()
    first = norm(layers.Conv2D(5, 3)(image))
    network = trained(keras.Model(image, norm(layers.Conv2D(5, 3)(first))))
    folded = fold_batch_norms(network)
    assert num_norms(folded) == 1
    agree(network, folded)


def test_a_network_of_keras_loses_all_that_follow_convolutions():
    network = trained(
        keras.applications.MobileNetV2(
            include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.35
        )
    )
    folded = fold_batch_norms(network)
    assert num_norms(network) == 52
    assert num_norms(folded) == 0
    image = np.random.default_rng(1).uniform(-1, 1, (1, 32, 32, 3)).astype("float32")
    expected, found = (np.asarray(each(image)) for each in (network, folded))
    assert abs(found - expected).max() < 1e-4 * abs(expected).max()
