"""A tiny image model with the contract's signatures, and examples for it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from graft.contract import example_keys, signature_names

CLASS_NAMES = ("blue", "green", "red")


class Colours(tf.Module):
    """Returns the strongest channel of an image, through a convolution."""

    def __init__(self, order: tuple[int, ...], names: tuple[str, ...]) -> None:
        super().__init__()
        kernel = np.zeros((1, 1, 3, len(order)), np.float32)
        for column, channel in enumerate(order):
            kernel[0, 0, channel, column] = 1
        self.kernel = tf.Variable(kernel)
        self.names = tf.constant(names)

    def answer(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        def decode(image: tf.Tensor) -> tf.Tensor:
            pixels = tf.io.decode_image(image, channels=3, expand_animations=False)
            return tf.image.resize(tf.cast(pixels, tf.float32) / 255, [8, 8])

        pixels = tf.map_fn(decode, images, fn_output_signature=tf.float32)
        pixels = tf.ensure_shape(pixels, [None, 8, 8, 3])
        maps = tf.nn.relu(tf.nn.conv2d(pixels, self.kernel, 1, "SAME"))
        scores = tf.nn.softmax(4 * tf.reduce_mean(maps, [1, 2]))
        label = tf.gather(self.names, tf.argmax(scores, 1))
        return {
            signature_names.PROBABILITIES_OUTPUT: scores,
            signature_names.LABEL_OUTPUT: label,
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "images")])
    def predict_images(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.answer(images)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def predict_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {example_keys.IMAGE_KEY: tf.io.FixedLenFeature([], tf.string)}
        return self.answer(tf.io.parse_example(examples, spec)[example_keys.IMAGE_KEY])

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "features")])
    def score_features(self, features: tf.Tensor) -> dict[str, tf.Tensor]:
        """Take the mean channels of an image, red, green, blue."""
        maps = tf.nn.relu(tf.linalg.matmul(features, self.kernel[0, 0]))
        return {signature_names.PROBABILITIES_OUTPUT: tf.nn.softmax(4 * maps)}


@pytest.fixture
def save_model(tmp_path: Path) -> Callable[..., Path]:
    """Save a model: `save_model("m", order=(2, 1, 0))` -> folder of the artifact.

    `order` is the channel that each class of the label map looks at; the default, blue,
    green, red, is the one that is right.
    """

    def save(
        name: str,
        order: tuple[int, ...] = (2, 1, 0),
        names: tuple[str, ...] = CLASS_NAMES,
    ) -> Path:
        module = Colours(order, names)
        folder = tmp_path / name / "Format-Serving"
        tf.saved_model.save(
            module,
            str(folder),
            signatures={
                signature_names.SERVING_SIGNATURE: module.predict_examples,
                signature_names.IMAGES_SIGNATURE: module.predict_images,
                signature_names.FEATURES_SIGNATURE: module.score_features,
            },
        )
        (folder / "assets.extra").mkdir()
        text = "".join(f"{each}\n" for each in names)
        (folder / "assets.extra" / signature_names.CLASS_NAMES_ASSET).write_text(text)
        return folder.parent

    return save


def encode_example(name: str, seed: int, brightness: int = 0) -> bytes:
    """Return a tf.Example of an image of one colour with noise."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 90, (12, 10, 3))
    pixels[..., ("red", "green", "blue").index(name)] += 120
    pixels = np.minimum(pixels + brightness, 255)
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
    image = buffer.getvalue()

    def text(value: str) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))

    def number(value: int) -> tf.train.Feature:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    values: dict[str, Any] = {
        example_keys.IMAGE_KEY: tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[image])
        ),
        example_keys.CLASS_NAME_KEY: text(name),
        example_keys.CONTENT_HASH_KEY: text(hashlib.sha256(image).hexdigest()),
        example_keys.FILENAME_KEY: text(f"{name}/{seed}.png"),
        example_keys.FORMAT_KEY: text("png"),
        example_keys.SOURCE_KEY: text("front" if seed % 2 else "back"),
        example_keys.HEIGHT_KEY: number(12),
        example_keys.WIDTH_KEY: number(10),
    }
    example = tf.train.Example(features=tf.train.Features(feature=values))
    return example.SerializeToString()


@pytest.fixture
def save_examples(tmp_path: Path) -> Callable[..., Path]:
    """Save an Examples artifact: its `test` split has 60 images of three colours."""

    def save(name: str, brightness: int = 0) -> Path:
        folder = tmp_path / name
        (folder / "Split-test").mkdir(parents=True)
        path = folder / "Split-test" / "data-00000-of-00001"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for seed in range(60):
                colour = ("red", "green", "blue")[seed % 3]
                writer.write(encode_example(colour, seed, brightness))
        return folder

    return save


@pytest.fixture
def examples_folder(save_examples: Callable[..., Path]) -> Path:
    """Return the folder of such an artifact."""
    return save_examples("examples")


def feature_of(record: bytes) -> tuple[str, np.ndarray]:
    """Return an example's content hash, and its mean red, green and blue."""
    found = tf.train.Example.FromString(record).features.feature
    image = found[example_keys.IMAGE_KEY].bytes_list.value[0]
    pixels = tf.image.resize(tf.io.decode_png(image, 3), [8, 8]) / 255
    key = found[example_keys.CONTENT_HASH_KEY].bytes_list.value[0].decode()
    return key, tf.reduce_mean(pixels, [0, 1]).numpy()


@pytest.fixture
def save_features(tmp_path: Path) -> Callable[..., Path]:
    """Save the features of an Examples artifact's `test` split, in another order.

    `save_features(examples, change)` applies `change` to the features of all images, an
    array (N, 3).
    """

    def save(
        examples: Path, change: Callable[[np.ndarray], np.ndarray] = lambda all: all
    ) -> Path:
        (path,) = (examples / "Split-test").iterdir()
        records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
        keys, values = zip(*map(feature_of, records), strict=True)
        folder = tmp_path / f"features-{len(list(tmp_path.glob('features-*')))}"
        (folder / "Split-test").mkdir(parents=True)
        with tf.io.TFRecordWriter(str(folder / "Split-test" / path.name)) as writer:
            pairs = list(zip(keys, change(np.stack(values)), strict=True))
            for key, row in reversed(pairs):
                example = tf.train.Example()
                feature = example.features.feature
                feature[example_keys.CONTENT_HASH_KEY].bytes_list.value.append(
                    key.encode()
                )
                feature[example_keys.FEATURES_KEY].float_list.value.extend(row)
                writer.write(example.SerializeToString())
        return folder

    return save
