"""Random changes of training images, as Keras layers; the identity at inference.

They act on normalised pixels. Geometry does not mind; changes of colour do, so the
pixels are brought back to RGB in 0..255 for them and normalised again.
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
    """Build a model that changes images at random in training, and never otherwise.

    Args:
        config: What changes, and how much.
        scaling: How the pixels were normalised.
        seed: Of the random numbers, until the training loop sets their state.

    Returns:
        A model from float32 (B, H, W, 3) to the same; mixup and CutMix are not in it,
        see `mix_batches`.
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
    """Bring normalised images back to RGB in 0..255, or, inverse, normalise them."""

    def __init__(
        self, scaling: Scaling, is_inverse: bool = False, **kwargs: Any
    ) -> None:
        """Keep the scaling and the direction."""
        super().__init__(**kwargs)
        self.scaling = scaling
        self.is_inverse = is_inverse

    def call(self, inputs: Any) -> Any:
        """Convert a batch, float32 (B, H, W, 3)."""
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

    With both, each batch gets one of the two, by lot.

    Args:
        dataset: Batches of pixels, float32 (B, H, W, 3), and targets, float32 (B, K).
        config: The alphas; 0 switches one off.
        seed: Together with the batch's number it decides everything.
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


def _share(alpha: float, key: tf.Tensor) -> tf.Tensor:
    """Draw from Beta(alpha, alpha), float32 ()."""
    draws = tf.random.stateless_gamma([2], key + 1, alpha)
    return draws[0] / tf.maximum(draws[0] + draws[1], 1e-12)


def _mixup(
    pixels: tf.Tensor, targets: tf.Tensor, alpha: float, key: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    share = _share(alpha, key)
    return (
        share * pixels + (1 - share) * pixels[::-1],
        share * targets + (1 - share) * targets[::-1],
    )


def _cutmix(
    pixels: tf.Tensor, targets: tf.Tensor, alpha: float, key: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Replace a random rectangle by that of another image of the batch."""
    height, width = tf.shape(pixels)[1], tf.shape(pixels)[2]
    edge = tf.sqrt(1 - _share(alpha, key))
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
