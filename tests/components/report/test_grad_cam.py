"""Heat maps of exported models equal those computed from the layers themselves."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from graft.components.report.grad_cam import Explainer
from graft.contract import signature_names


class Nested(tf.Module):
    """A network in functions within functions, shared by signatures as exports are."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.kernel = tf.Variable(rng.normal(0, 0.5, (3, 3, 3, 4)).astype(np.float32))
        self.weights = tf.Variable(rng.normal(0, 1, (4, 3)).astype(np.float32))
        self.pixels_of = tf.function(
            self._decode, input_signature=[tf.TensorSpec([None], tf.string)]
        )
        self.classify = tf.function(
            lambda pixels: self.scores_of(self.maps_of(pixels)),
            input_signature=[tf.TensorSpec([None, 16, 16, 3], tf.float32)],
        )

    def maps_of(self, pixels: tf.Tensor) -> tf.Tensor:
        return tf.nn.relu(tf.nn.conv2d(pixels, self.kernel, 2, "SAME"))

    def scores_of(self, maps: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(tf.reduce_mean(maps, [1, 2]) @ self.weights)

    def _decode(self, images: tf.Tensor) -> tf.Tensor:
        def decode(image: tf.Tensor) -> tf.Tensor:
            pixels = tf.io.decode_image(image, channels=3, expand_animations=False)
            return tf.image.resize(tf.cast(pixels, tf.float32) / 255, [16, 16])

        pixels = tf.map_fn(decode, images, fn_output_signature=tf.float32)
        return tf.ensure_shape(pixels, [None, 16, 16, 3])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "images")])
    def predict_images(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        tf.debugging.assert_greater(tf.size(images), 0)
        scores = self.classify(self.pixels_of(images))
        labels = tf.gather(tf.constant(["a", "b", "c"]), tf.argmax(scores, 1))
        return {
            signature_names.PROBABILITIES_OUTPUT: scores,
            signature_names.LABEL_OUTPUT: labels,
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "images")])
    def predict_in_chunks(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        def step(index: tf.Tensor, found: tf.TensorArray):
            scores = self.classify(self.pixels_of(images[index : index + 2]))
            return index + 2, found.write(index // 2, scores)

        size = (tf.size(images) + 1) // 2
        found = tf.TensorArray(
            tf.float32, size, element_shape=[None, 3], infer_shape=False
        )
        _, found = tf.while_loop(
            lambda index, _: index < tf.size(images), step, (tf.constant(0), found)
        )
        return {signature_names.PROBABILITIES_OUTPUT: found.concat()}


def encode(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 60, (16, 16, 3))
    pixels[2:7, 9:14] += 180
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def save(module: tf.Module, folder: Path, signature: tf.types.experimental.Callable):
    tf.saved_model.save(
        module, str(folder), signatures={signature_names.IMAGES_SIGNATURE: signature}
    )
    return str(folder)


@pytest.mark.parametrize("signature", ["predict_images", "predict_in_chunks"])
def test_heat_equals_that_of_the_layers(signature: str, tmp_path: Path) -> None:
    network = Nested()
    images = [encode(seed) for seed in range(5)]
    explainer = Explainer(save(network, tmp_path, getattr(network, signature)))
    heat = explainer.heat(images)
    explainer.close()

    with tf.GradientTape() as tape:
        maps = network.maps_of(network.pixels_of(tf.constant(images)))
        tape.watch(maps)
        score = tf.math.log(tf.reduce_max(network.scores_of(maps), axis=1))
    weights = tf.reduce_mean(tape.gradient(score, maps), [1, 2], keepdims=True)
    expected = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1)).numpy()
    expected /= np.maximum(expected.max(axis=(1, 2), keepdims=True), 1e-12)
    assert heat.shape == (5, 8, 8)
    assert heat.max() == pytest.approx(1.0)
    np.testing.assert_allclose(heat, expected, atol=1e-5)


def test_a_model_without_a_feature_map_is_told(tmp_path: Path) -> None:
    network = Nested()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "images")])
    def count_bytes(images: tf.Tensor) -> dict[str, tf.Tensor]:
        size = tf.cast(tf.strings.length(images), tf.float32)[:, tf.newaxis]
        scores = tf.nn.softmax(size * network.weights[:1])
        return {signature_names.PROBABILITIES_OUTPUT: scores}

    with pytest.raises(LookupError, match="no feature map"):
        Explainer(save(network, tmp_path, count_bytes))
