"""A convolution of small maps is Keras's own: values, gradients, saved layers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from graft.trainer.heads.convolution import SmallMapConv2D

_MAPS = np.random.default_rng(0).normal(size=(3, 5, 4, 6)).astype(np.float32)


def _both(
    maps: np.ndarray, **options: Any
) -> tuple[keras.layers.Layer, keras.layers.Layer]:
    ours, theirs = (
        kind(7, **options) for kind in (SmallMapConv2D, keras.layers.Conv2D)
    )
    for layer in (ours, theirs):
        layer.build(maps.shape)
    theirs.bias.assign(np.linspace(-1, 1, 7))
    ours.set_weights(theirs.get_weights())
    return ours, theirs


def _gradients(layer: keras.layers.Layer, maps: np.ndarray) -> list[tf.Tensor]:
    source = tf.constant(maps)
    weights = [variable.value for variable in layer.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(source)
        loss = tf.reduce_sum(tf.sin(layer(source)))
    return list(tape.gradient(loss, [source, *weights]))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, (2, 4)], ids=str)
def test_values_and_gradients_are_those_of_keras(
    kernel_size: Any, strides: int, padding: str
) -> None:
    ours, theirs = _both(
        _MAPS,
        kernel_size=kernel_size,
        strides=strides,
        padding=padding,
        activation="tanh",
    )
    expected = theirs(_MAPS)
    assert ours(_MAPS).shape == expected.shape
    assert ours.compute_output_shape(_MAPS.shape) == tuple(expected.shape)
    np.testing.assert_allclose(ours(_MAPS), expected, atol=1e-5)
    pairs = zip(_gradients(ours, _MAPS), _gradients(theirs, _MAPS), strict=True)
    for received, wanted in pairs:
        np.testing.assert_allclose(received, wanted, atol=1e-5)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_values_that_are_known_give_the_same(padding: str) -> None:
    maps = _MAPS[:, :3, :3]
    ours, theirs = _both(maps, kernel_size=2, padding=padding, activation="relu")
    values = ours.values(maps)
    assert len(values) == ours.num_points(maps.shape[1:])
    result = ours.call_on_values(values[:, 1:], maps.shape[1:])
    np.testing.assert_allclose(result, theirs(maps)[1:], atol=1e-5)


def test_maps_of_any_size_go_the_way_of_keras() -> None:
    ours, theirs = _both(_MAPS, kernel_size=2)
    maps = keras.Input((None, None, _MAPS.shape[-1]))
    network = keras.Model(maps, ours(maps))
    np.testing.assert_allclose(network(_MAPS), theirs(_MAPS), atol=1e-5)


@pytest.mark.parametrize(
    ("side", "options", "is_fast"),
    [
        (5, {"kernel_size": 2}, True),
        (3, {"kernel_size": 3, "padding": "same"}, True),
        (6, {"kernel_size": 2}, False),
        (5, {"kernel_size": 2, "padding": "same"}, False),
        (5, {"kernel_size": 2, "strides": 2}, False),
        (5, {"kernel_size": 2, "dilation_rate": 2}, False),
        (5, {"kernel_size": 1}, False),
        (5, {"kernel_size": 2, "dtype": "mixed_bfloat16"}, False),
    ],
    ids=str,
)
def test_what_takes_the_fast_way(
    side: int, options: dict[str, Any], is_fast: bool
) -> None:
    maps = keras.Input((side, side, 8))
    layer = SmallMapConv2D(**{"filters": 4, **options})
    network = keras.Model(maps, layer(maps))
    graph = tf.function(network).get_concrete_function(
        tf.TensorSpec((2, side, side, 8))
    )
    kinds = {operation.type for operation in graph.graph.get_operations()}
    assert ("Conv2D" not in kinds) == is_fast


def test_a_saved_layer_comes_back(tmp_path: Any) -> None:
    maps = keras.Input(_MAPS.shape[1:])
    network = keras.Model(maps, SmallMapConv2D(7, 2, activation="relu")(maps))
    path = tmp_path / "network.keras"
    network.save(path)
    again = keras.models.load_model(path)
    assert isinstance(again.layers[-1], SmallMapConv2D)
    np.testing.assert_array_equal(again(_MAPS), network(_MAPS))
