"""The exported SavedModel: encoded images or tf.Examples in, class names out.

One file holds all that an answer depends on: decoding, resizing, normalising, backbone,
head and label map. A client sends the bytes of an image file and repeats nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

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
from graft.trainer.heads.objective import probabilities

WARMUP_FILE = "tf_serving_warmup_requests"
"""In `assets.extra`: TensorFlow Serving replays it before a version takes requests."""

WARMUP_BATCH_SIZES = (1, 4)
"""Images of each warm-up request, per signature: the usual one, and a batch."""

_BATCH = [None]


class ServingModel(tf.Module):
    """Everything between the bytes of an image and its class name.

    Args:
        transform: The Transform graph as a layer, from raw to transformed features.
        backbone: Preprocessed pixels (N, H, W, 3) to features.
        head: Features to logits.
        class_names: The label map, in the order of the labels.
        unknown_threshold: Greatest probability below which an image's label is
            `UNKNOWN_LABEL`, as `calibrate_threshold` gives it; None: never.
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
        # Keras models keep variables behind their own type: name them to tf.Module. The
        # models themselves stay out, with the thousand objects that they are made of.
        self._tracked = [
            variable.value for model in (backbone, head) for variable in model.variables
        ]

        def classify_pixels(pixels: tf.Tensor) -> tf.Tensor:
            return probabilities(head(backbone(pixels, training=False), training=False))

        # Functions of their own, so that all signatures share one graph of each. The
        # layer's `call`: one called as a layer would be saved with a graph of its own.
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
        self._class_names = tf.constant(list(class_names))
        self._unknown_threshold = unknown_threshold
        self._blank = tf.constant(_blank_image(8))

    def probabilities_of(self, encoded: tf.Tensor) -> tf.Tensor:
        """Return float32 (N, K) for encoded images, string (N,).

        Raises:
            tf.errors.InvalidArgumentError: When executed on bytes that are no image;
                the message names the positions in the batch.
        """
        return self._classify_pixels(self._pixels_of(_check_images(encoded)))

    @tf.function(
        input_signature=[
            tf.TensorSpec(_BATCH, tf.string, signature_names.IMAGES_INPUT)
        ],
        autograph=False,
    )
    def predict_images(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answer encoded images, string (N,)."""
        return self._answer(images)

    @tf.function(
        input_signature=[
            tf.TensorSpec(_BATCH, tf.string, signature_names.IMAGES_INPUT)
        ],
        autograph=False,
    )
    def predict_images_each(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answer encoded images, string (N,), the good ones among bad ones too.

        A bad image has an error, an empty label, and probabilities of zero.
        """
        # A map over a data set may drop what fails, which no other loop in a graph can.
        # The blank image in front is always left, and no batch is ever empty.
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
        answer = self._named(self._classify_pixels(all_pixels))
        scores = answer[signature_names.PROBABILITIES_OUTPUT]
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
                is_good, answer[signature_names.LABEL_OUTPUT], ""
            ),
            signature_names.ERROR_OUTPUT: tf.tensor_scatter_nd_update(
                tf.fill(tf.shape(images), ""), bad, reasons
            ),
        }

    @tf.function(
        input_signature=[
            tf.TensorSpec(_BATCH, tf.string, signature_names.EXAMPLES_INPUT)
        ],
        autograph=False,
    )
    def predict_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answer serialized tf.Examples that hold `image/encoded`, string (N,)."""
        return self._answer(_images_of(examples))

    @tf.function(
        input_signature=[tf.TensorSpec(_BATCH, tf.string, "inputs")], autograph=False
    )
    def classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answer Classify: `classes` string and `scores` float32, (N, K)."""
        scores = self.probabilities_of(_images_of(inputs))
        classes = tf.broadcast_to(self._class_names[tf.newaxis], tf.shape(scores))
        return {"classes": classes, "scores": scores}

    def _answer(self, encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._named(self.probabilities_of(encoded))

    def _named(self, scores: tf.Tensor) -> dict[str, tf.Tensor]:
        labels = tf.gather(self._class_names, tf.argmax(scores, axis=1))
        if self._unknown_threshold is not None:
            is_sure = tf.reduce_max(scores, axis=1) >= self._unknown_threshold
            labels = tf.where(is_sure, labels, signature_names.UNKNOWN_LABEL)
        return {
            signature_names.PROBABILITIES_OUTPUT: scores,
            signature_names.LABEL_OUTPUT: labels,
        }


def _images_of(examples: tf.Tensor) -> tf.Tensor:
    spec = {example_keys.IMAGE_KEY: tf.io.FixedLenFeature([], tf.string)}
    return tf.io.parse_example(examples, spec)[example_keys.IMAGE_KEY]


def _is_image(encoded: tf.Tensor) -> tf.Tensor:
    """Tell by their first bytes, string (N,), what is an image, bool (N,)."""
    return tf.not_equal(format_index(encoded), UNKNOWN_FORMAT)


def _check_images(encoded: tf.Tensor) -> tf.Tensor:
    """Return `encoded`, string (N,), or fail with the positions of what is no image."""
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


def export_model(model: ServingModel, folder: str) -> None:
    """Write a SavedModel with the signatures of `graft.contract`.

    Args:
        model: What to export.
        folder: Where to; `assets.extra` holds the label map, `class_names.txt`, the
            threshold of `unknown`, if any, and warm-up requests for TensorFlow Serving.
    """
    tf.saved_model.save(
        model,
        folder,
        signatures={
            signature_names.SERVING_SIGNATURE: model.predict_examples,
            signature_names.IMAGES_SIGNATURE: model.predict_images,
            signature_names.EACH_SIGNATURE: model.predict_images_each,
            signature_names.CLASSIFY_SIGNATURE: model.classify,
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
    with tfrecords.writer(os.path.join(extra, WARMUP_FILE)) as writer:
        for request in warmup_requests():
            log = prediction_log_pb2.PredictLog(request=request)
            record = prediction_log_pb2.PredictionLog(predict_log=log)
            writer.write(record.SerializeToString())


def warmup_requests() -> Iterator[predict_pb2.PredictRequest]:
    """Yield the requests that make a version fast before its first user asks.

    Each of the signatures `predict_images` and `serving_default` gets one request for
    each of `WARMUP_BATCH_SIZES`. The model's name in them counts for nothing.
    """
    # Larger than most backbones' input: users' images are shrunk.
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
