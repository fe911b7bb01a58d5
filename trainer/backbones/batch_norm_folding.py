"""Fold batch normalization into the convolutions before it, for serving.

At inference a BatchNormalization layer multiplies each channel by a constant and adds
another, which the convolution before it can do at no cost (Jacob et al. 2017, section
3.2, https://arxiv.org/abs/1712.05877). The layers' passes over memory are gone, a large
share of a backbone's time on a CPU (docs/decisions/0060-measured-choices.md).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

# Of each kind of convolution: the weights whose last axis, or last two, are channels.
_KERNELS = {
    keras.layers.Conv2D: "kernel",
    keras.layers.DepthwiseConv2D: "kernel",
    keras.layers.SeparableConv2D: "pointwise_kernel",
}


def fold_batch_norms(network: keras.Model) -> keras.Model:
    """Return a copy of a network for inference without the batch norms that can go.

    A batch norm stays where it doesn't follow a convolution directly, or where someone
    else reads what that convolution gives. The copy computes the same but for rounding.

    Args:
        network: A functional model, images to features. It is left as it is.
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
    """Return the batch norm that may be folded by the name of its convolution."""
    makers = {
        id(layer.output): layer
        for layer in network.layers
        if type(layer) in _KERNELS and len(layer._inbound_nodes) == 1
    }
    readers = Counter(
        id(tensor)
        for layer in network.layers
        for node in layer._inbound_nodes
        for tensor in node.input_tensors
    )
    readers.update(id(tensor) for tensor in network.outputs)
    pairs = {}
    for norm in network.layers:
        if not isinstance(norm, keras.layers.BatchNormalization):
            continue
        conv = makers.get(id(norm.input))
        is_last_axis = norm.axis in (-1, len(norm.input.shape) - 1)
        if (
            conv is not None
            and is_last_axis
            and len(norm._inbound_nodes) == 1
            and readers[id(norm.input)] == 1
            and conv.activation is keras.activations.linear
            and conv.data_format == "channels_last"
        ):
            pairs[conv.name] = norm
    return pairs


def _fold(
    conv: keras.Layer, norm: keras.layers.BatchNormalization, copy: keras.Layer
) -> None:
    """Give the copy of a convolution the weights of both layers."""
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
        # Its last two axes, channels and multiplier, are together the output's.
        scale = scale.reshape(kernel.shape[2:])
    getattr(copy, _KERNELS[type(conv)]).assign(kernel * scale)


def _array(variable: keras.Variable) -> npt.NDArray[np.float64]:
    return np.asarray(variable, np.float64)
