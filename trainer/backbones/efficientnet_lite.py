"""EfficientNet-Lite: EfficientNet without squeeze-and-excitation, with ReLU6.

Paper: https://arxiv.org/abs/1905.11946. The Lite variants have a stem and a head of
fixed width. Their first and last stages have one block. Layer names follow
EfficientNet-B0 of keras.applications (`block2a_expand_conv`), so cuts and blocks have
the same names. keras.applications has no Lite variant.

Shapes: images float32 (B, H, W, 3) in [-1, 1] by (x - 127) / 128; features
(B, H/32, W/32, 1280).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import keras
import numpy as np

from graft.contract.errors import WeightsError

_STEM_FILTERS = 32
_HEAD_FILTERS = 1280
_EPSILON = 1e-3
_NUM_CLASSES = 1000


@dataclass(frozen=True)
class _Stage:
    """A sequence of equal blocks. Only the first block has the stride."""

    kernel: int
    repeats: int
    filters: int
    expansion: int
    stride: int


_STAGES = (
    _Stage(3, 1, 16, 1, 1),
    _Stage(3, 2, 24, 6, 2),
    _Stage(5, 2, 40, 6, 2),
    _Stage(3, 3, 80, 6, 2),
    _Stage(5, 3, 112, 6, 1),
    _Stage(5, 4, 192, 6, 2),
    _Stage(3, 1, 320, 6, 1),
)


def build_efficientnet_lite(
    *,
    input_shape: tuple[int | None, int | None, int],
    width: float,
    depth: float,
    name: str,
    include_top: bool = False,
) -> keras.Model:
    """Build EfficientNet-Lite with random weights.

    Args:
        input_shape: Height, width (pixels) and channels.
        width: Factor on the filters of the blocks.
        depth: Factor on the repeats of the inner stages.
        name: Name of the model.
        include_top: Whether to add pooling and the 1,000 ImageNet logits.

    Returns:
        The model, from images to a feature map or to logits.
    """
    image = keras.Input(input_shape, name="image")
    x = _convolution(image, _STEM_FILTERS, 3, 2, "stem_conv")
    x = _normalize(x, "stem_bn", "stem_activation")
    last = len(_STAGES) - 1
    for index, stage in enumerate(_STAGES):
        is_scaled = index not in (0, last)
        repeats = math.ceil(stage.repeats * depth) if is_scaled else stage.repeats
        for block in range(repeats):
            x = _block(
                x,
                stage,
                _round_filters(stage.filters * width),
                stage.stride if block == 0 else 1,
                f"block{index + 1}{chr(ord('a') + block)}_",
            )
    x = _convolution(x, _HEAD_FILTERS, 1, 1, "top_conv")
    x = _normalize(x, "top_bn", "top_activation")
    if include_top:
        x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = keras.layers.Dense(_NUM_CLASSES, name="predictions")(x)
    return keras.Model(image, x, name=name)


def load_torch_weights(model: keras.Model, state: dict[str, np.ndarray]) -> None:
    """Copy a PyTorch state dict into a model of `build_efficientnet_lite`.

    Args:
        model: The model. It is changed in place.
        state: Name to array, as `read_torch_checkpoint` returns it.

    Raises:
        WeightsError: An array is missing or has another shape. The message names the
            first layer that doesn't fit.
    """
    blocks: list[str] = []
    for layer in model.layers:
        if not layer.weights:
            continue
        if layer.name.startswith("block"):
            block, part = layer.name.split("_", 1)
            if block not in blocks:
                blocks.append(block)
            prefix = f"_blocks.{blocks.index(block)}.{_BLOCK_PARTS[part]}"
        else:
            prefix = _OUTER_PARTS[layer.name]
        arrays = [
            _to_keras(layer, part, state.get(f"{prefix}.{part}"))
            for part in _parts_of(layer)
        ]
        _assign(layer, prefix, arrays)


_OUTER_PARTS = {
    "stem_conv": "_conv_stem",
    "stem_bn": "_bn0",
    "top_conv": "_conv_head",
    "top_bn": "_bn1",
    "predictions": "_fc",
}
_BLOCK_PARTS = {
    "expand_conv": "_expand_conv",
    "expand_bn": "_bn0",
    "dwconv": "_depthwise_conv",
    "bn": "_bn1",
    "project_conv": "_project_conv",
    "project_bn": "_bn2",
}


def _parts_of(layer: keras.layers.Layer) -> tuple[str, ...]:
    if isinstance(layer, keras.layers.BatchNormalization):
        return ("weight", "bias", "running_mean", "running_var")
    if isinstance(layer, keras.layers.Dense):
        return ("weight", "bias")
    return ("weight",)


def _to_keras(
    layer: keras.layers.Layer, part: str, array: np.ndarray | None
) -> np.ndarray | None:
    """Convert the axes of a kernel from PyTorch's order to Keras's."""
    if array is None or part != "weight":
        return array
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return array.transpose(2, 3, 0, 1)
    if isinstance(layer, keras.layers.Conv2D):
        return array.transpose(2, 3, 1, 0)
    return array.T


def _assign(
    layer: keras.layers.Layer, prefix: str, arrays: list[np.ndarray | None]
) -> None:
    expected = [tuple(weight.shape) for weight in layer.weights]
    received = [None if array is None else array.shape for array in arrays]
    if received != expected:
        raise WeightsError(
            f"the weights don't fit: layer `{layer.name}` needs shapes {expected}. "
            f"Received: {received} under the name {prefix!r}"
        )
    layer.set_weights(arrays)


def _round_filters(filters: float) -> int:
    """Round to a multiple of 8, but never down by more than a tenth."""
    rounded = max(8, int(filters + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * filters else rounded


def _convolution(
    x: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str
) -> keras.KerasTensor:
    return keras.layers.Conv2D(
        filters, kernel, stride, padding="same", use_bias=False, name=name
    )(x)


def _normalize(
    x: keras.KerasTensor, name: str, activation: str | None = None
) -> keras.KerasTensor:
    x = keras.layers.BatchNormalization(epsilon=_EPSILON, momentum=0.99, name=name)(x)
    if activation is None:
        return x
    return keras.layers.ReLU(max_value=6.0, name=activation)(x)


def _block(
    x: keras.KerasTensor, stage: _Stage, filters: int, stride: int, prefix: str
) -> keras.KerasTensor:
    """Build an inverted residual block: expand, depthwise convolution, project."""
    shortcut = x
    width = x.shape[-1]
    if stage.expansion != 1:
        x = _convolution(x, width * stage.expansion, 1, 1, prefix + "expand_conv")
        x = _normalize(x, prefix + "expand_bn", prefix + "expand_activation")
    x = keras.layers.DepthwiseConv2D(
        stage.kernel, stride, padding="same", use_bias=False, name=prefix + "dwconv"
    )(x)
    x = _normalize(x, prefix + "bn", prefix + "activation")
    x = _convolution(x, filters, 1, 1, prefix + "project_conv")
    x = _normalize(x, prefix + "project_bn")
    if stride == 1 and width == filters:
        x = keras.layers.Add(name=prefix + "add")([x, shortcut])
    return x
