"""Export a SavedModel that maps encoded images or tf.Examples to class names.

The SavedModel contains decoding, resizing, normalisation, backbone, head and label map.
So a client sends the bytes of an image file and does no preprocessing.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from graft.contract import example_keys, signature_names
from graft.contract.label_map import LabelMap
from graft.storage import atomic, tfrecords
from graft.trainer.backbones.batch_norm_folding import fold_batch_norms
from graft.trainer.decoding.formats import UNKNOWN_FORMAT
from graft.trainer.decoding.graph_code import checked
from graft.trainer.decoding.images import format_index, name_other, refusal_of
from graft.trainer.export.linear_head import LinearHead
from graft.trainer.heads.objective import probabilities

WARMUP_FILE = "tf_serving_warmup_requests"
"""File in `assets.extra` that TensorFlow Serving replays when it loads a version."""

WARMUP_BATCH_SIZES = (1, 4)
"""Images per warm-up request: a single image, and a batch."""

CHUNK_IMAGES = 32
"""Images that are decoded and classified together. Those of a larger request follow
one another, so that many small files can't take the memory of the server."""

_BATCH = [None]


class ServingModel(tf.Module):
    """A model from encoded images to probabilities and class names.

    Args:
        transform: The Transform graph as a layer, from raw to transformed features.
        backbone: Model from preprocessed pixels (N, H, W, 3) to features.
        head: Model from features to logits.
        class_names: Class names in the order of their labels.
        unknown_threshold: From `calibrate_threshold`. An image whose greatest
            probability is lower gets `UNKNOWN_LABEL`. None: no image does.
    """

    def __init__(
        self,
        *,
        transform: tft.TransformFeaturesLayer,
        backbone: keras.Model,
        head: keras.Model,
        class_names: Sequence[str],
        unknown_threshold: float | None = None,
    ) -> None:
        super().__init__(name="graft")
        self._transform = transform
        backbone = fold_batch_norms(backbone)
        # tf.Module doesn't find Keras's variables. Tracking the models instead would
        # save thousands of objects that serving doesn't need.
        self._tracked = [variable.value for variable in backbone.variables]
        # `linear_head.HEAD_VARIABLES` names them.
        self.head_variables = [variable.value for variable in head.variables]

        def classify_pixels(pixels: tf.Tensor) -> tf.Tensor:
            return probabilities(head(backbone(pixels, training=False), training=False))

        # Separate functions, so that all signatures share their graphs. `call` is used
        # because calling `transform` as a layer would save another graph.
        self._classify_pixels = tf.function(
            classify_pixels,
            input_signature=[tf.TensorSpec(backbone.input_shape, tf.float32)],
            autograph=False,
        )
        self._pixels_of = tf.function(
            lambda encoded: transform.call({example_keys.IMAGE_KEY: encoded})[
                example_keys.PIXELS_KEY
            ],
            input_signature=[tf.TensorSpec(_BATCH, tf.string)],
            autograph=False,
        )
        self.score_features = _feature_scorer(head, backbone.output_shape[1:])
        self._class_names = tf.constant(list(class_names))
        self._unknown_threshold = unknown_threshold
        self._blank = tf.constant(_blank_image(8))

    # A function of its own, so that the signatures share its graph.
    @tf.function(input_signature=[tf.TensorSpec(_BATCH, tf.string)], autograph=False)
    def probabilities_of(self, encoded: tf.Tensor) -> tf.Tensor:
        """Return probabilities, float32 (N, K), of encoded images, string (N,).

        Raises:
            tf.errors.InvalidArgumentError: At execution, if some bytes are not an
                image. The message names their positions in the batch.
        """
        (scores,) = self._in_chunks(
            lambda images: (self._classify_pixels(self._pixels_of(images)),),
            _check_images(encoded),
            [tf.TensorSpec([None, len(self._class_names)], tf.float32)],
        )
        return scores

    @tf.function(
        input_signature=[
            tf.TensorSpec(_BATCH, tf.string, signature_names.IMAGES_INPUT)
        ],
        autograph=False,
    )
    def predict_images(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classify encoded images, string (N,)."""
        return self._classify(images)

    @tf.function(
        input_signature=[
            tf.TensorSpec(_BATCH, tf.string, signature_names.IMAGES_INPUT)
        ],
        autograph=False,
    )
    def predict_images_each(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classify encoded images, string (N,), even if some of them are bad.

        A bad image gets an error, an empty label, and probabilities of zero.
        """
        scores, is_good = self._in_chunks(
            self._classify_each,
            images,
            [
                tf.TensorSpec([None, len(self._class_names)], tf.float32),
                tf.TensorSpec([None], tf.bool),
            ],
        )
        outputs = self._add_labels(scores)
        bad = tf.where(tf.logical_not(is_good))
        reasons = tf.map_fn(
            refusal_of,
            tf.gather_nd(images, bad),
            fn_output_signature=tf.TensorSpec([], tf.string),
        )
        return {
            signature_names.PROBABILITIES_OUTPUT: tf.where(
                is_good[:, tf.newaxis], scores, 0.0
            ),
            signature_names.LABEL_OUTPUT: tf.where(
                is_good, outputs[signature_names.LABEL_OUTPUT], ""
            ),
            signature_names.ERROR_OUTPUT: tf.tensor_scatter_nd_update(
                tf.fill(tf.shape(images), ""), bad, reasons
            ),
        }

    def _classify_each(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return probabilities of encoded images, and which of them are images."""
        # Only a dataset can drop failed elements in a graph. The blank image in front
        # never fails, so the batch is never empty.
        decoded = (
            tf.data.Dataset.from_tensor_slices(tf.concat([[self._blank], images], 0))
            .enumerate()
            .map(
                lambda index, image: (index, self._pixels_of(image[tf.newaxis])[0]),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
            .ignore_errors()
            .batch(tf.size(images, tf.int64) + 1)
        )
        kept, pixels = decoded.get_single_element()
        shape = tf.concat([[tf.size(images) + 1], tf.shape(pixels)[1:]], 0)
        places = kept[:, tf.newaxis]
        all_pixels = tf.scatter_nd(places, pixels, tf.cast(shape, tf.int64))[1:]
        all_pixels = tf.ensure_shape(all_pixels, [None, *pixels.shape[1:]])
        is_good = tf.scatter_nd(
            places, tf.ones_like(kept, tf.bool), tf.cast(shape[:1], tf.int64)
        )[1:]
        return self._classify_pixels(all_pixels), is_good

    def _in_chunks(
        self,
        function: Callable[[tf.Tensor], tuple[tf.Tensor, ...]],
        images: tf.Tensor,
        outputs: Sequence[tf.TensorSpec],
    ) -> list[tf.Tensor]:
        """Return a function's outputs for all images, from `CHUNK_IMAGES` at a time.

        Args:
            function: From encoded images, string (N,), to outputs of N rows.
            images: Encoded images.
            outputs: What `function` returns.
        """
        num_images = tf.size(images)
        num_chunks = (num_images + CHUNK_IMAGES - 1) // CHUNK_IMAGES
        collected = [
            tf.TensorArray(
                output.dtype, num_chunks, element_shape=output.shape, infer_shape=False
            )
            for output in outputs
        ]

        def step(index: tf.Tensor, arrays: list[tf.TensorArray]) -> Any:
            start = index * CHUNK_IMAGES
            results = function(images[start : start + CHUNK_IMAGES])
            written = [
                array.write(index, result)
                for array, result in zip(arrays, results, strict=True)
            ]
            return index + 1, written

        _, collected = tf.while_loop(
            lambda index, _: index < num_chunks,
            step,
            (tf.constant(0), collected),
            parallel_iterations=1,
        )
        return [array.concat() for array in collected]

    @tf.function(
        input_signature=[
            tf.TensorSpec(_BATCH, tf.string, signature_names.EXAMPLES_INPUT)
        ],
        autograph=False,
    )
    def predict_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classify serialized tf.Examples with `image/encoded`, string (N,)."""
        return self._classify(_images_of(examples))

    @tf.function(
        input_signature=[tf.TensorSpec(_BATCH, tf.string, "inputs")], autograph=False
    )
    def classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Serve the Classify API: `classes`, string, and `scores`, float32, (N, K)."""
        scores = self.probabilities_of(_images_of(inputs))
        classes = tf.broadcast_to(self._class_names[tf.newaxis], tf.shape(scores))
        return {"classes": classes, "scores": scores}

    def _classify(self, encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._add_labels(self.probabilities_of(encoded))

    def _add_labels(self, scores: tf.Tensor) -> dict[str, tf.Tensor]:
        labels = tf.gather(self._class_names, tf.argmax(scores, axis=1))
        if self._unknown_threshold is not None:
            is_sure = tf.reduce_max(scores, axis=1) >= self._unknown_threshold
            labels = tf.where(is_sure, labels, signature_names.UNKNOWN_LABEL)
        return {
            signature_names.PROBABILITIES_OUTPUT: scores,
            signature_names.LABEL_OUTPUT: labels,
        }


def _feature_scorer(
    head: keras.Model, feature_shape: Sequence[int]
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Return a function from flat features, float32 (N, F), to probabilities."""
    scorer: Callable[[tf.Tensor], dict[str, tf.Tensor]] = tf.function(
        lambda features: {
            signature_names.PROBABILITIES_OUTPUT: probabilities(
                head(tf.reshape(features, [-1, *feature_shape]), training=False)
            )
        },
        input_signature=[
            tf.TensorSpec(
                [None, math.prod(feature_shape)],
                tf.float32,
                signature_names.FEATURES_INPUT,
            )
        ],
        autograph=False,
    )
    return scorer


def _images_of(examples: tf.Tensor) -> tf.Tensor:
    spec = {example_keys.IMAGE_KEY: tf.io.FixedLenFeature([], tf.string)}
    return tf.io.parse_example(examples, spec)[example_keys.IMAGE_KEY]


def _is_image(encoded: tf.Tensor) -> tf.Tensor:
    """Return whether each file, string (N,), begins as an image does, bool (N,)."""
    return tf.not_equal(format_index(encoded), UNKNOWN_FORMAT)


def _check_images(encoded: tf.Tensor) -> tf.Tensor:
    """Return `encoded`, string (N,); fail with the positions of files of no format."""
    is_image = _is_image(encoded)

    def refuse() -> tf.Tensor:
        positions = tf.where(tf.logical_not(is_image))[:, 0]
        reason = name_other(encoded[positions[0]])
        where = tf.strings.format("; bad images, counted from 0: {}", positions)
        never = tf.size(positions) < 0
        return checked(encoded, never, tf.strings.join([reason, where]))

    return tf.cond(tf.reduce_all(is_image), lambda: encoded, refuse)


def _blank_image(size: int) -> bytes:
    """Return a grey JPEG of `size` x `size` pixels."""
    grey = tf.fill([size, size, 3], tf.constant(127, tf.uint8))
    return bytes(tf.io.encode_jpeg(grey).numpy())


def export_model(
    model: ServingModel, folder: str, linear_head: LinearHead | None = None
) -> None:
    """Write a SavedModel with the signatures of `graft.contract`.

    Its `assets.extra` has the label map (`class_names.txt`), warm-up requests for
    TensorFlow Serving, and the threshold of `unknown` if there is one.

    Args:
        model: The model to export.
        folder: Path of the SavedModel.
        linear_head: How its head was trained, if a training can start from it.
    """
    tf.saved_model.save(
        model,
        folder,
        signatures={
            signature_names.SERVING_SIGNATURE: model.predict_examples,
            signature_names.IMAGES_SIGNATURE: model.predict_images,
            signature_names.EACH_SIGNATURE: model.predict_images_each,
            signature_names.CLASSIFY_SIGNATURE: model.classify,
            signature_names.FEATURES_SIGNATURE: model.score_features,
        },
    )
    extra = os.path.join(folder, "assets.extra")
    label_map = LabelMap.from_lines(model._class_names.numpy())
    atomic.write_text(
        os.path.join(extra, signature_names.CLASS_NAMES_ASSET), label_map.to_text()
    )
    if model._unknown_threshold is not None:
        threshold_path = os.path.join(extra, signature_names.UNKNOWN_THRESHOLD_FILE)
        atomic.write_text(threshold_path, f"{model._unknown_threshold!r}\n")
    if linear_head is not None:
        linear_head.write(folder)
    with tfrecords.writer(os.path.join(extra, WARMUP_FILE)) as writer:
        for request in warmup_requests():
            log = prediction_log_pb2.PredictLog(request=request)
            record = prediction_log_pb2.PredictionLog(predict_log=log)
            writer.write(record.SerializeToString())


def warmup_requests() -> Iterator[predict_pb2.PredictRequest]:
    """Yield requests that warm up a model version before its first real request.

    There is one request for each of `predict_images` and `serving_default` and each of
    `WARMUP_BATCH_SIZES`. The model name in a request has no effect.
    """
    # Larger than most backbones' input, so that the warm-up includes shrinking.
    image = _blank_image(256)
    example = tf.train.Example()
    example.features.feature[example_keys.IMAGE_KEY].bytes_list.value.append(image)
    for signature, name, value in (
        (signature_names.IMAGES_SIGNATURE, signature_names.IMAGES_INPUT, image),
        (
            signature_names.SERVING_SIGNATURE,
            signature_names.EXAMPLES_INPUT,
            example.SerializeToString(),
        ),
    ):
        for size in WARMUP_BATCH_SIZES:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = "graft"
            request.model_spec.signature_name = signature
            request.inputs[name].CopyFrom(tf.make_tensor_proto([value] * size))
            yield request
