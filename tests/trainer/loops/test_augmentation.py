"""Augmentation changes training images, within their range, and no others."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from graft.trainer.config import AugmentationConfig
from graft.trainer.loops.augmentation import Pixels, build_augmentation, mix_batches
from graft.trainer.preprocessing.spec import Scaling

_RGB = np.random.default_rng(0).integers(0, 256, (6, 24, 24, 3)).astype(np.float32)
_CHANGES = {
    "flip": {"horizontal_flip": True},
    "both flips": {"horizontal_flip": True, "vertical_flip": True},
    "rotation": {"rotation_degrees": 40},
    "shift": {"shift": 0.2},
    "zoom": {"zoom": 0.2},
    "shear": {"shear": 0.2},
    "contrast": {"contrast": 0.5},
    "brightness": {"brightness": 0.3},
    "RandAugment": {"rand_augment_layers": 2},
}


@pytest.mark.parametrize("scaling", ["caffe", "tf", "torch", "lite", "none"])
def test_pixels_go_there_and_back(scaling: Scaling) -> None:
    normalised = Pixels(scaling, is_inverse=True)(_RGB)
    np.testing.assert_allclose(Pixels(scaling)(normalised), _RGB, atol=1e-3)


@pytest.mark.parametrize("scaling", ["caffe", "tf", "torch"])
def test_normalising_is_that_of_keras(scaling: Scaling) -> None:
    expected = keras.applications.imagenet_utils.preprocess_input(
        _RGB.copy(), mode=scaling
    )
    received = Pixels(scaling, is_inverse=True)(_RGB)
    np.testing.assert_allclose(received, expected, atol=1e-4)


@pytest.mark.parametrize("values", _CHANGES.values(), ids=_CHANGES)
def test_training_alone_is_changed(values: dict[str, float]) -> None:
    config = AugmentationConfig.model_validate(values)
    normalised = np.asarray(Pixels("caffe", is_inverse=True)(_RGB))
    augmentation = build_augmentation(config, "caffe", seed=1)
    changed = augmentation(normalised, training=True)
    np.testing.assert_allclose(
        augmentation(normalised, training=False), normalised, atol=1e-3
    )
    assert np.abs(np.asarray(changed) - normalised).max() > 1
    pixels = np.asarray(Pixels("caffe")(changed))
    assert pixels.min() > -0.1
    assert pixels.max() < 255.1


@pytest.mark.parametrize("values", [{"mixup": 0.4}, {"cutmix": 1.0}])
def test_mixed_targets_tell_the_share_of_pixels(values: dict[str, float]) -> None:
    """Images of one colour each: the mean of the image is the mean of the target."""
    colours = np.array([0.0, 1.0], np.float32)
    pixels = np.broadcast_to(colours[:, None, None, None], (2, 32, 32, 3))
    batches = tf.data.Dataset.from_tensors((pixels, np.eye(2, dtype="f"))).repeat(20)
    config = AugmentationConfig.model_validate(values)
    shares = []
    for images, targets in mix_batches(batches, config, seed=3):
        np.testing.assert_allclose(np.mean(images, (1, 2, 3)), targets[:, 1], atol=1e-5)
        np.testing.assert_allclose(np.sum(targets, 1), 1, atol=1e-6)
        shares.append(float(targets[0, 1]))
    assert len({round(share, 3) for share in shares}) > 10


def test_mixing_repeats_with_its_seed() -> None:
    batches = tf.data.Dataset.from_tensors((_RGB, np.eye(6, dtype="f"))).repeat(3)
    config = AugmentationConfig(mixup=0.2, cutmix=1.0)
    runs = [
        [targets.numpy() for _, targets in mix_batches(batches, config, seed)]
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])
