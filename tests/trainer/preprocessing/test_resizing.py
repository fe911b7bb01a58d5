"""Resizing gives the values of TensorFlow's own function."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from graft.trainer.preprocessing.resizing import resize_pixels


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos3", "area"])
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize(
    "size",
    [(50, 70), (20, 20), (97, 31), (13, 200)],
    ids=["smaller", "much smaller", "one way smaller", "one way larger"],
)
def test_it_is_tensorflows_resize(interpolation, antialias, size):
    pixels = np.random.default_rng(0).integers(0, 256, (97, 83, 3)).astype(np.uint8)
    found = resize_pixels(tf.constant(pixels), size, interpolation, antialias=antialias)
    expected = tf.image.resize(pixels, size, interpolation, antialias=antialias)
    assert found.dtype == tf.float32
    assert found.shape == (*size, 3)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_larger_image_is_interpolated_plainly():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 9, 3)).astype(np.uint8)
    found = resize_pixels(tf.constant(pixels), (30, 20), "bicubic", antialias=True)
    np.testing.assert_array_equal(found, tf.image.resize(pixels, (30, 20), "bicubic"))
