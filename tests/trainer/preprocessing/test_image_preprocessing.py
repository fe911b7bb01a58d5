"""Decoding, resizing and normalisation: values, and the graph's fingerprint."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from graft.trainer.preprocessing import image_preprocessing
from graft.trainer.preprocessing.image_preprocessing import (
    preprocess_images,
    preprocessing_fingerprint,
)
from graft.trainer.preprocessing.normalisation import normalise_pixels
from graft.trainer.preprocessing.spec import PreprocessingSpec


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [
        ("none", [10.0, 127.5, 255.0]),
        ("tf", [10 / 127.5 - 1, 0.0, 1.0]),
        ("lite", [-117 / 128, 0.5 / 128, 1.0]),
        (
            "torch",
            [
                (10 / 255 - 0.485) / 0.229,
                (0.5 - 0.456) / 0.224,
                (1 - 0.406) / 0.225,
            ],
        ),
        ("caffe", [255 - 103.939, 127.5 - 116.779, 10 - 123.68]),
    ],
)
def test_normalise_pixels_gives_the_familys_range(scaling, expected):
    pixel = tf.constant([[10.0, 127.5, 255.0]])
    np.testing.assert_allclose(normalise_pixels(pixel, scaling)[0], expected, rtol=1e-5)


def test_normalise_pixels_agrees_with_keras_applications():
    import keras

    pixels = np.random.default_rng(0).uniform(0, 255, (1, 4, 4, 3)).astype(np.float32)
    for module, scaling in (("vgg16", "caffe"), ("mobilenet_v2", "tf")):
        reference = getattr(keras.applications, module).preprocess_input(pixels.copy())
        np.testing.assert_allclose(
            normalise_pixels(tf.constant(pixels), scaling), reference, atol=1e-4
        )


def test_an_unknown_scaling_is_named():
    with pytest.raises(ValueError, match="Received: scaling='pytorch'"):
        normalise_pixels(tf.zeros([1, 3]), "pytorch")  # type: ignore[arg-type]


def test_one_batch_may_hold_images_of_any_size_and_format(encode):
    spec = PreprocessingSpec(height=12, width=16, scaling="none")
    red = [
        encode(Image.new("RGB", (30, 50), (255, 0, 0)), "PNG"),
        encode(Image.new("RGB", (7, 5), (255, 0, 0)), "BMP"),
        encode(Image.new("RGB", (640, 480), (255, 0, 0)), "JPEG", quality=100),
    ]
    pixels = preprocess_images(tf.constant(red), spec).numpy()
    assert pixels.shape == (3, 12, 16, 3)
    np.testing.assert_allclose(
        pixels, np.broadcast_to([255, 0, 0], pixels.shape), atol=2
    )


def test_eager_and_tf_data_agree(picture, encode):
    spec = PreprocessingSpec(height=32, width=32, scaling="lite")
    encoded = tf.constant([encode(picture, "JPEG"), encode(picture, "PNG")])
    eager = preprocess_images(encoded, spec)
    (mapped,) = (
        tf.data.Dataset.from_tensors(encoded)
        .map(lambda batch: preprocess_images(batch, spec))
        .as_numpy_iterator()
    )
    np.testing.assert_array_equal(eager, mapped)


def test_bicubic_never_leaves_the_range_of_pixels(encode):
    checker = np.indices((8, 8)).sum(0) % 2 * 255
    encoded = encode(Image.fromarray(checker.astype(np.uint8)), "PNG")
    spec = PreprocessingSpec(height=50, width=50, scaling="none")
    pixels = preprocess_images(tf.constant([encoded]), spec).numpy()
    assert pixels.min() >= 0
    assert pixels.max() <= 255


def test_the_fingerprint_is_stable_and_sees_every_change(monkeypatch):
    spec = PreprocessingSpec(height=32, width=32, scaling="lite")
    fingerprint = preprocessing_fingerprint(spec)
    assert preprocessing_fingerprint(spec) == fingerprint
    others = [
        PreprocessingSpec(height=33, width=32, scaling="lite"),
        PreprocessingSpec(height=32, width=32, scaling="tf"),
        PreprocessingSpec(
            height=32, width=32, scaling="lite", interpolation="bilinear"
        ),
        PreprocessingSpec(height=32, width=32, scaling="lite", antialias=False),
    ]
    fingerprints = {preprocessing_fingerprint(other) for other in others}
    assert len(fingerprints | {fingerprint}) == len(others) + 1
    original = image_preprocessing.normalise_pixels
    monkeypatch.setattr(
        image_preprocessing,
        "normalise_pixels",
        lambda pixels, scaling: original(pixels, scaling) * 1.001,
    )
    assert preprocessing_fingerprint(spec) != fingerprint


@pytest.mark.parametrize("size", [0, -1])
def test_a_size_below_one_pixel_is_refused(size):
    with pytest.raises(ValueError, match=f"Received: height={size}"):
        PreprocessingSpec(height=size, width=1, scaling="tf")
