"""Random changes of training images with Keras layers. At inference they do nothing.

The layers act on normalised pixels. Changes of colour need RGB in [0, 255], so pixels
are converted for them and normalised again.

Mixup and CutMix are functions of our own. `keras.layers.MixUp` and `CutMix` draw from a
random state that each batch advances. In a parallel `tf.data` map, a resumed run would
draw other numbers.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from graft.trainer.config import AugmentationConfig
from graft.trainer.preprocessing.normalisation import normalise_pixels, restore_pixels
from graft.trainer.preprocessing.spec import Scaling

_RANGE = (0.0, 255.0)


def build_augmentation(
    config: AugmentationConfig, scaling: Scaling, seed: int
) -> keras.Model:
    """Build a model that changes images at random in training only.

    Args:
        config: Kinds of changes and their strengths.
        scaling: Value range of the pixels.
        seed: Initial seed of the layers. The training loop sets it again each epoch.

    Returns:
        A model from float32 (B, H, W, 3) to the same shape. It has no mixup and no
        CutMix; see `mix_batches`.
    """
    layers = _geometry(config, seed)
    colour = _colour(config, seed)
    if colour:
        layers += [Pixels(scaling), *colour, Pixels(scaling, is_inverse=True)]
    return keras.Sequential(layers or [keras.layers.Identity()], name="augmentation")


def _geometry(config: AugmentationConfig, seed: int) -> list[keras.layers.Layer]:
    fill: dict[str, Any] = {"fill_mode": config.fill_mode}
    layers: list[keras.layers.Layer] = []
    flips = {
        (True, True): "horizontal_and_vertical",
        (True, False): "horizontal",
        (False, True): "vertical",
    }
    flip = flips.get((config.horizontal_flip, config.vertical_flip))
    if flip:
        layers.append(keras.layers.RandomFlip(flip, seed=seed))
    if config.rotation_degrees:
        turn = config.rotation_degrees / 360.0
        layers.append(keras.layers.RandomRotation(turn, seed=seed + 1, **fill))
    if config.shift:
        layers.append(
            keras.layers.RandomTranslation(
                config.shift, config.shift, seed=seed + 2, **fill
            )
        )
    if config.zoom:
        layers.append(
            keras.layers.RandomZoom(config.zoom, config.zoom, seed=seed + 3, **fill)
        )
    if config.shear:
        layers.append(
            keras.layers.RandomShear(
                x_factor=config.shear, y_factor=config.shear, seed=seed + 4, **fill
            )
        )
    return layers


def _colour(config: AugmentationConfig, seed: int) -> list[keras.layers.Layer]:
    layers: list[keras.layers.Layer] = []
    if config.contrast:
        layers.append(
            keras.layers.RandomContrast(
                config.contrast, value_range=_RANGE, seed=seed + 5
            )
        )
    if config.brightness:
        layers.append(
            keras.layers.RandomBrightness(
                config.brightness, value_range=_RANGE, seed=seed + 6
            )
        )
    if config.rand_augment_layers:
        layers.append(
            keras.layers.RandAugment(
                value_range=_RANGE,
                num_ops=config.rand_augment_layers,
                factor=config.rand_augment_strength,
                seed=seed + 7,
            )
        )
    return layers


@keras.saving.register_keras_serializable(package="graft")
class Pixels(keras.layers.Layer):
    """Convert normalised images, float32 (B, H, W, 3), to RGB in [0, 255] or back.

    Args:
        scaling: Value range of normalised pixels.
        is_inverse: Whether to normalise RGB.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(
        self, scaling: Scaling, is_inverse: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.scaling = scaling
        self.is_inverse = is_inverse

    def call(self, inputs: Any) -> Any:
        """Return the converted images of a batch."""
        convert = normalise_pixels if self.is_inverse else restore_pixels
        return convert(inputs, self.scaling)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "scaling": self.scaling,
            "is_inverse": self.is_inverse,
        }


def mix_batches(
    dataset: tf.data.Dataset, config: AugmentationConfig, seed: int
) -> tf.data.Dataset:
    """Apply mixup (arXiv:1710.09412) and CutMix (arXiv:1905.04899) to batches.

    If both are on, each batch gets one of them at random.

    Args:
        dataset: Batches of pixels, float32 (B, H, W, 3), and targets, float32 (B, K).
        config: The alphas. 0 turns a method off.
        seed: Seed. Random numbers depend only on it and on the number of the batch.

    Returns:
        Batches of the same shapes.
    """
    if not config.mixup and not config.cutmix:
        return dataset

    def mix(
        index: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        key = tf.stack([tf.cast(seed, tf.int64), index])
        if config.mixup and config.cutmix:
            is_mixup = tf.random.stateless_uniform([], key) < 0.5
            mixed: tuple[tf.Tensor, tf.Tensor] = tf.cond(
                is_mixup,
                lambda: _mixup(*batch, config.mixup, key),
                lambda: _cutmix(*batch, config.cutmix, key),
            )
            return mixed
        if config.mixup:
            return _mixup(*batch, config.mixup, key)
        return _cutmix(*batch, config.cutmix, key)

    return dataset.enumerate().map(mix, num_parallel_calls=tf.data.AUTOTUNE)


def _beta_sample(alpha: float, key: tf.Tensor) -> tf.Tensor:
    """Draw from Beta(alpha, alpha), float32 ()."""
    draws = tf.random.stateless_gamma([2], key + 1, alpha)
    return draws[0] / tf.maximum(draws[0] + draws[1], 1e-12)


def _mixup(
    pixels: tf.Tensor, targets: tf.Tensor, alpha: float, key: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    share = _beta_sample(alpha, key)
    return (
        share * pixels + (1 - share) * pixels[::-1],
        share * targets + (1 - share) * targets[::-1],
    )


def _cutmix(
    pixels: tf.Tensor, targets: tf.Tensor, alpha: float, key: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Replace a random rectangle by that of another image in the batch."""
    height, width = tf.shape(pixels)[1], tf.shape(pixels)[2]
    edge = tf.sqrt(1 - _beta_sample(alpha, key))
    centre = tf.random.stateless_uniform([2], key + 2)

    def inside(size: tf.Tensor, middle: tf.Tensor) -> tf.Tensor:
        places = tf.range(tf.cast(size, tf.float32)) + 0.5
        length = tf.cast(size, tf.float32)
        return tf.abs(places - middle * length) < edge * length / 2

    box = inside(height, centre[0])[:, None] & inside(width, centre[1])[None, :]
    share = 1 - tf.reduce_mean(tf.cast(box, tf.float32))
    mask = box[None, :, :, None]
    return (
        tf.where(mask, pixels[::-1], pixels),
        share * targets + (1 - share) * targets[::-1],
    )
