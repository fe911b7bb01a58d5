"""The exported SavedModel: encoded images or tf.Examples in, class names out.

One file holds all that an answer depends on: decoding, resizing, normalising, backbone,
head and label map. A client sends the bytes of an image file and repeats nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from trainer import features
from trainer.objective import probabilities

LABELS_FUNCTION = "transform_labels"
"""Signature that maps serialized tf.Examples to labels: how TFMA learns the truth."""

_BATCH = [None]


class ServingModel(tf.Module):
    """Everything between the bytes of an image and its class name.

    Args:
        transform: The Transform graph as a layer, from raw to transformed features.
        backbone: Preprocessed pixels (N, H, W, 3) to features.
        head: Features to logits.
        class_names: The label map, in the order of the labels.
    """

    def __init__(
        self,
        *,
        transform: Callable[[Mapping[str, tf.Tensor]], Mapping[str, tf.Tensor]],
        backbone: keras.Model,
        head: keras.Model,
        class_names: Sequence[str],
    ) -> None:
        super().__init__(name="graft")
        self._transform = transform
        self._backbone = backbone
        self._head = head
        # Keras models keep their variables behind their own type: name them to tf.Module.
        self._tracked = [
            variable.value for model in (backbone, head) for variable in model.variables
        ]
        self._class_names = tf.constant(list(class_names))

    def probabilities_of(self, encoded: tf.Tensor) -> tf.Tensor:
        """Return float32 (N, K) for encoded images, string (N,)."""
        pixels = self._transform({features.IMAGE_KEY: encoded})[features.PIXELS_KEY]
        bottleneck = self._backbone(pixels, training=False)
        return probabilities(self._head(bottleneck, training=False))

    @tf.function(
        input_signature=[tf.TensorSpec(_BATCH, tf.string, features.IMAGES_INPUT)],
        autograph=False,
    )
    def predict_images(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answer encoded images, string (N,)."""
        return self._answer(images)

    @tf.function(
        input_signature=[tf.TensorSpec(_BATCH, tf.string, features.EXAMPLES_INPUT)],
        autograph=False,
    )
    def predict_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answer serialized tf.Examples that hold `image/encoded`, string (N,)."""
        return self._answer(_images_of(examples))

    @tf.function(
        input_signature=[tf.TensorSpec(_BATCH, tf.string, "inputs")], autograph=False
    )
    def classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answer TF Serving's Classify: `classes` string and `scores` float32, (N, K)."""
        scores = self.probabilities_of(_images_of(inputs))
        classes = tf.broadcast_to(self._class_names[tf.newaxis], tf.shape(scores))
        return {"classes": classes, "scores": scores}

    @tf.function(
        input_signature=[tf.TensorSpec(_BATCH, tf.string, features.EXAMPLES_INPUT)],
        autograph=False,
    )
    def transform_labels(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Map serialized tf.Examples, string (N,), to labels, int64 (N,); -1: unknown."""
        spec = {features.CLASS_NAME_KEY: tf.io.FixedLenFeature([], tf.string)}
        names = tf.io.parse_example(examples, spec)[features.CLASS_NAME_KEY]
        # Not through the Transform graph: it would decode the images too.
        matches = tf.equal(names[:, tf.newaxis], self._class_names[tf.newaxis])
        labels = tf.argmax(tf.cast(matches, tf.int32), axis=1)
        is_known = tf.reduce_any(matches, axis=1)
        return {features.LABEL_KEY: tf.where(is_known, labels, tf.constant(-1, tf.int64))}

    def _answer(self, encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        scores = self.probabilities_of(encoded)
        return {
            features.PROBABILITIES_OUTPUT: scores,
            features.LABEL_OUTPUT: tf.gather(self._class_names, tf.argmax(scores, axis=1)),
        }


def _images_of(examples: tf.Tensor) -> tf.Tensor:
    spec = {features.IMAGE_KEY: tf.io.FixedLenFeature([], tf.string)}
    return tf.io.parse_example(examples, spec)[features.IMAGE_KEY]


def export_model(model: ServingModel, folder: str) -> None:
    """Write a SavedModel with the signatures of `trainer.features`.

    Args:
        model: What to export.
        folder: Where to; `assets.extra/class_names.txt` holds the label map beside it.
    """
    tf.saved_model.save(
        model,
        folder,
        signatures={
            features.SERVING_SIGNATURE: model.predict_examples,
            features.IMAGES_SIGNATURE: model.predict_images,
            features.CLASSIFY_SIGNATURE: model.classify,
            LABELS_FUNCTION: model.transform_labels,
        },
    )
    extra = os.path.join(folder, "assets.extra")
    tf.io.gfile.makedirs(extra)
    names = [name.decode() for name in model._class_names.numpy()]
    with tf.io.gfile.GFile(os.path.join(extra, features.CLASS_NAMES_ASSET), "w") as file:
        file.write("".join(f"{name}\n" for name in names))


def load_exported(folder: str) -> Any:
    """Load a SavedModel of `export_model`; its signatures are in `.signatures`."""
    return tf.saved_model.load(folder)
