"""Fold batch normalization into the convolutions before it, for serving.

At inference a BatchNormalization layer multiplies each channel by a constant and adds
another. The convolution before it can do both at no cost: Jacob et al. 2017, section
3.2, https://arxiv.org/abs/1712.05877. This saves passes over memory, a large share of
a backbone's time on a CPU (docs/decisions/0060-measured-choices.md).

Keras has no function for this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

# The kernel of each kind of convolution whose output channels are its last axes.
_KERNELS = {
    keras.layers.Conv2D: "kernel",
    keras.layers.DepthwiseConv2D: "kernel",
    keras.layers.SeparableConv2D: "pointwise_kernel",
}


def fold_batch_norms(network: keras.Model) -> keras.Model:
    """Return an inference copy of a network with batch norms folded.

    A batch norm stays if it doesn't directly follow a convolution, or if another layer
    also reads the output of that convolution.

    Args:
        network: A functional model, images to features. It stays unchanged.

    Returns:
        The copy. Its outputs differ only by rounding.
    """
    pairs = _find_pairs(network)
    norms = {norm.name for norm in pairs.values()}

    def clone(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if layer.name in pairs:
            config["use_bias"] = True
        return type(layer).from_config(config)

    def call(layer: keras.Layer, *inputs: Any, **options: Any) -> Any:
        return inputs[0] if layer.name in norms else layer(*inputs, **options)

    folded = keras.models.clone_model(network, clone_function=clone, call_function=call)
    for copy in folded.layers:
        if copy.name in pairs:
            _fold(network.get_layer(copy.name), pairs[copy.name], copy)
        elif copy.weights:
            copy.set_weights(network.get_layer(copy.name).get_weights())
    folded.trainable = False
    return folded


def _find_pairs(network: keras.Model) -> dict[str, keras.layers.BatchNormalization]:
    """Map the names of convolutions to the batch norms to fold into them."""
    config = network.get_config()
    calls = {layer["name"]: layer["inbound_nodes"] for layer in config["layers"]}
    readers = Counter(_source_layers(list(calls.values())))
    readers.update(
        name
        for name in keras.tree.flatten(config["output_layers"])
        if isinstance(name, str)
    )
    pairs = {}
    for norm in network.layers:
        if not isinstance(norm, keras.layers.BatchNormalization):
            continue
        if len(calls[norm.name]) != 1:
            continue
        (source,) = _source_layers(calls[norm.name])
        conv = network.get_layer(source)
        is_last_axis = norm.axis in (-1, len(norm.input.shape) - 1)
        if (
            type(conv) in _KERNELS
            # One reader also means one call: the output of each call is read.
            and readers[source] == 1
            and is_last_axis
            and conv.activation is keras.activations.linear
            and conv.data_format == "channels_last"
        ):
            pairs[source] = norm
    return pairs


def _source_layers(config: Any) -> Iterator[str]:
    """Yield the names of the layers whose outputs a config of calls refers to."""
    if isinstance(config, dict):
        if config.get("class_name") == "__keras_tensor__":
            yield config["config"]["keras_history"][0]
            return
        config = list(config.values())
    if isinstance(config, list | tuple):
        for part in config:
            yield from _source_layers(part)


def _fold(
    conv: keras.Layer, norm: keras.layers.BatchNormalization, copy: keras.Layer
) -> None:
    """Set a convolution's copy to the combined weights of both layers."""
    scale = 1.0 / np.sqrt(_array(norm.moving_variance) + norm.epsilon)
    if norm.gamma is not None:
        scale = scale * _array(norm.gamma)
    bias = -_array(norm.moving_mean) * scale
    if norm.beta is not None:
        bias = bias + _array(norm.beta)
    if conv.bias is not None:
        bias = bias + _array(conv.bias) * scale
    weights = conv.get_weights()
    copy.set_weights([*weights[: len(weights) - conv.use_bias], bias])
    kernel = _array(getattr(conv, _KERNELS[type(conv)]))
    if isinstance(conv, keras.layers.DepthwiseConv2D):
        # Its last two axes, channels and multiplier, form the output channels.
        scale = scale.reshape(kernel.shape[2:])
    getattr(copy, _KERNELS[type(conv)]).assign(kernel * scale)


def _array(variable: keras.Variable) -> npt.NDArray[np.float64]:
    return np.asarray(variable, np.float64)
