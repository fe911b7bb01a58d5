"""Build the head, which turns a backbone's features into logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from graft.contract.errors import UserError
from graft.trainer.config import (
    ActivationLayer,
    BatchNormLayer,
    Conv2DLayer,
    DenseLayer,
    DropoutLayer,
    HeadLayer,
    ModelConfig,
    PoolingLayer,
)
from graft.trainer.heads.objective import num_logits

_ROWS_AT_ONCE = 512
_COLUMNS_AT_ONCE = 256


def build_head(
    config: ModelConfig,
    feature_shape: Sequence[int | None],
    num_classes: int,
    *,
    with_standardization: bool = False,
    feature_power: float = 1.0,
) -> keras.Model:
    """Build the head: the layers of the config and an output layer.

    Args:
        config: `head` and `output` are read.
        feature_shape: (F,) or (h, w, C), without the batch.
        num_classes: Number of classes, K.
        with_standardization: Whether to add a `Standardization` layer in front. The
            caller must adapt it.
        feature_power: Exponent of a `SignedPower` layer in front; 1 adds none.

    Returns:
        A model from features, float32 (B, *feature_shape), to logits, float32 (B, K),
        or (B, 1) with output `sigmoid`.

    Raises:
        UserError: A layer doesn't fit its input shape, or `sigmoid` doesn't fit the
            number of classes.
    """
    features = keras.Input(tuple(feature_shape), name="features")
    x = features
    if feature_power != 1:
        x = SignedPower(feature_power, name="power")(x)
    if with_standardization:
        x = Standardization(name="standardization")(x)
    for index, spec in enumerate(config.head):
        try:
            x = _layer(spec)(x)
        except ValueError as error:
            raise UserError(
                f"`head[{index}]` ({spec.type}) does not fit its input of shape "
                f"{x.shape[1:]}: {error}"
            ) from error
    if len(x.shape) != 2:
        raise UserError(
            "`head` must end in a vector: add a `pooling` or a `flatten` layer, or "
            f"choose `pooling` 'avg'. Received: features of shape {tuple(x.shape[1:])}"
        )
    logits = keras.layers.Dense(
        num_logits(config.output, num_classes), name="logits", dtype="float32"
    )(x)
    return keras.Model(features, logits, name="head")


@keras.saving.register_keras_serializable(package="graft")
class SignedPower(keras.layers.Layer):
    """Raise each feature's magnitude to a power and keep its sign.

    This reduces the weight of a few large features: Perronnin et al., "Improving the
    Fisher Kernel for Large-Scale Image Classification", ECCV 2010. Inputs of any shape
    keep their shape.

    Args:
        exponent: The power, in (0, 1].
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, exponent: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.exponent = exponent

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Return the features of a batch, raised to the power."""
        return keras.ops.sign(inputs) * keras.ops.abs(inputs) ** self.exponent

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "exponent": self.exponent}


def signed_power(
    features: np.ndarray, exponent: float, *, in_place: bool = False
) -> np.ndarray:
    """Apply `SignedPower` to stored features, float32 of any shape.

    Args:
        features: Stored features.
        exponent: The exponent.
        in_place: Whether to change the given array, which saves a copy.
    """
    if exponent == 1:
        return features
    result = features if in_place else np.empty_like(features)
    for start in range(0, len(features), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        sizes = np.abs(features[rows]) ** np.float32(exponent)
        result[rows] = np.sign(features[rows]) * sizes
    return result


@keras.saving.register_keras_serializable(package="graft")
class Standardization(keras.layers.Layer):
    """Standardize each feature to mean 0 and variance 1: (x - mean) * scale.

    Mean and scale, of shape (C,), are untrained weights that `adapt` sets. Inputs
    (B, ..., C) keep their shape. `keras.layers.Normalization` limits the scale only by
    a tiny epsilon, which amplifies features that are almost constant.
    """

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create mean and scale for the last axis."""
        width = (int(input_shape[-1] or 0),)
        self.mean = self.add_weight(
            name="mean", shape=width, initializer="zeros", trainable=False
        )
        self.scale = self.add_weight(
            name="scale", shape=width, initializer="ones", trainable=False
        )

    def adapt(self, features: object) -> None:
        """Set mean and scale from features, array (N, ..., C)."""
        array = np.asarray(features)
        axes = tuple(range(array.ndim - 1))
        mean = array.mean(axes, dtype=np.float64)
        # Of a few features at once: the deviations from the mean are a copy in float64.
        deviation = np.concatenate(
            [
                array[..., start : start + _COLUMNS_AT_ONCE].std(axes, dtype=np.float64)
                for start in range(0, array.shape[-1], _COLUMNS_AT_ONCE)
            ]
        )
        self.set(mean, 1.0 / np.maximum(deviation, 1e-6 + 1e-3 * deviation.mean()))

    def set(self, mean: np.ndarray, scale: np.ndarray) -> None:
        """Set mean and scale, (C,)."""
        self.mean.assign(mean)
        self.scale.assign(scale)

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Return the standardized features of a batch."""
        return (inputs - self.mean) * self.scale


def _layer(spec: HeadLayer) -> keras.layers.Layer:  # noqa: PLR0911
    match spec:
        case DenseLayer():
            return keras.layers.Dense(
                spec.units,
                activation=spec.activation,
                kernel_regularizer=_l2(spec.l2),
            )
        case Conv2DLayer():
            return keras.layers.Conv2D(
                spec.filters,
                spec.kernel_size,
                strides=spec.strides,
                padding=spec.padding,
                activation=spec.activation,
                kernel_regularizer=_l2(spec.l2),
            )
        case DropoutLayer():
            return keras.layers.Dropout(spec.rate)
        case BatchNormLayer():
            return keras.layers.BatchNormalization(momentum=spec.momentum)
        case PoolingLayer(method="avg"):
            return keras.layers.GlobalAveragePooling2D()
        case PoolingLayer():
            return keras.layers.GlobalMaxPooling2D()
        case ActivationLayer():
            return keras.layers.Activation(spec.activation)
        case _:
            return keras.layers.Flatten()


def _l2(penalty: float) -> keras.regularizers.Regularizer | None:
    return keras.regularizers.L2(penalty) if penalty else None
