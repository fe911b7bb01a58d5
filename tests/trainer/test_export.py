"""Parity: the same bytes give the same probabilities on every way through the model."""

from __future__ import annotations

import functools
import os

import apache_beam as beam
import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
import tensorflow_transform as tft
from PIL import Image, ImageOps
from tensorflow_transform import beam as tft_beam

from components.gate.config import GateConfig
from components.gate.eval_config import build_eval_config
from components.transform import PREPROCESSING_KEY, preprocessing_fn
from trainer import features
from trainer.backbone import build_backbone
from trainer.config import ModelConfig
from trainer.export import LABELS_FUNCTION, ServingModel, export_model
from trainer.head import build_head
from trainer.objective import probabilities
from trainer.preprocessing import PreprocessingSpec, preprocess_images

_TOLERANCE = 1e-5
_NAMES = ["ape", "bee é x", "zebra"]
_SIZE = 64


def _example(encoded: bytes, name: str) -> bytes:
    example = tf.train.Example()
    feature = example.features.feature
    feature[features.IMAGE_KEY].bytes_list.value.append(encoded)
    feature[features.CLASS_NAME_KEY].bytes_list.value.append(name.encode())
    return example.SerializeToString()


@pytest.fixture(scope="module")
def images(picture, encode) -> list[bytes]:
    turned = Image.Exif()
    turned[274] = 6
    return [
        encode(picture, "JPEG", quality=90),
        encode(picture, "JPEG", quality=90, exif=turned.tobytes()),
        encode(picture.convert("L"), "PNG"),
        encode(ImageOps.invert(picture).resize((33, 57)), "PNG"),
        encode(picture.resize((900, 700)), "JPEG", quality=80),
        encode(picture.rotate(90, expand=True), "WEBP"),
    ]


@pytest.fixture(scope="module")
def spec() -> PreprocessingSpec:
    return PreprocessingSpec(height=_SIZE, width=_SIZE, scaling="lite")


@pytest.fixture(scope="module")
def transform_output(images, spec, tmp_path_factory) -> tft.TFTransformOutput:
    rows = [
        {features.IMAGE_KEY: image, features.CLASS_NAME_KEY: name.encode()}
        for image, name in zip(images, [*_NAMES, *reversed(_NAMES)], strict=True)
    ]
    metadata = tft.DatasetMetadata.from_feature_spec(
        {key: tf.io.FixedLenFeature([], tf.string) for key in rows[0]}
    )
    function = functools.partial(
        preprocessing_fn, custom_config={PREPROCESSING_KEY: spec.to_json()}
    )
    folder = str(tmp_path_factory.mktemp("transform"))
    with tft_beam.Context(temp_dir=str(tmp_path_factory.mktemp("beam"))):
        graph = (rows, metadata) | tft_beam.AnalyzeDataset(function)
        graph | tft_beam.WriteTransformFn(folder)
    return tft.TFTransformOutput(folder)


@pytest.fixture(scope="module")
def network() -> tuple[keras.Model, keras.Model]:
    model = ModelConfig(image_size=_SIZE)
    keras.utils.set_random_seed(0)
    backbone = build_backbone(model)
    return backbone, build_head(model, backbone.output_shape[1:], len(_NAMES))


@pytest.fixture(scope="module")
def saved_model(transform_output, network, tmp_path_factory) -> str:
    folder = str(tmp_path_factory.mktemp("model") / "Format-Serving")
    backbone, head = network
    export_model(
        ServingModel(
            transform=transform_output.transform_features_layer(),
            backbone=backbone,
            head=head,
            class_names=_NAMES,
        ),
        folder,
    )
    return folder


@pytest.fixture(scope="module")
def expected(images, spec, network) -> np.ndarray:
    """The Trainer's own network on pixels that the one definition gives."""
    backbone, head = network
    pixels = preprocess_images(tf.constant(images), spec)
    return np.asarray(probabilities(head(backbone(pixels, training=False))))


def test_the_label_map_is_sorted_and_exported_with_the_model(
    transform_output, saved_model
):
    names = transform_output.vocabulary_by_name(features.CLASS_NAMES_VOCABULARY)
    assert [name.decode() for name in names] == sorted(_NAMES)
    path = os.path.join(saved_model, "assets.extra", features.CLASS_NAMES_ASSET)
    with open(path, encoding="utf-8") as file:
        assert file.read().splitlines() == sorted(_NAMES)


def test_the_images_differ_enough_to_tell_them_apart(expected):
    assert np.ptp(expected, axis=0).max() > 100 * _TOLERANCE


def test_predict_images_agrees_with_the_trainer(saved_model, images, expected):
    answer = tf.saved_model.load(saved_model).signatures[features.IMAGES_SIGNATURE](
        images=tf.constant(images)
    )
    found = answer[features.PROBABILITIES_OUTPUT].numpy()
    np.testing.assert_allclose(found, expected, atol=_TOLERANCE)
    np.testing.assert_allclose(found.sum(1), 1, atol=_TOLERANCE)
    labels = [label.decode() for label in answer[features.LABEL_OUTPUT].numpy()]
    assert labels == [_NAMES[index] for index in expected.argmax(1)]


def test_one_image_at_a_time_agrees_with_a_batch(saved_model, images, expected):
    signature = tf.saved_model.load(saved_model).signatures[features.IMAGES_SIGNATURE]
    for image, row in zip(images, expected, strict=True):
        found = signature(images=tf.constant([image]))[features.PROBABILITIES_OUTPUT]
        np.testing.assert_allclose(found[0], row, atol=_TOLERANCE)


def test_serving_default_and_classify_take_examples(saved_model, images, expected):
    signatures = tf.saved_model.load(saved_model).signatures
    examples = tf.constant([_example(image, "ape") for image in images])
    answer = signatures[features.SERVING_SIGNATURE](examples=examples)
    np.testing.assert_allclose(
        answer[features.PROBABILITIES_OUTPUT], expected, atol=_TOLERANCE
    )
    answer = signatures[features.CLASSIFY_SIGNATURE](inputs=examples)
    np.testing.assert_allclose(answer["scores"], expected, atol=_TOLERANCE)
    assert answer["classes"].numpy()[0].tolist() == [name.encode() for name in _NAMES]


def test_transform_labels_knows_the_label_map_and_nothing_else(saved_model, images):
    signature = tf.saved_model.load(saved_model).signatures[LABELS_FUNCTION]
    names = [*_NAMES, "unknown"]
    examples = tf.constant([_example(images[0], name) for name in names])
    assert signature(examples=examples)[features.LABEL_KEY].numpy().tolist() == [
        0,
        1,
        2,
        -1,
    ]


def test_tfma_sees_what_the_trainer_computed(saved_model, images, expected):
    config = tfma.utils.update_eval_config_with_defaults(
        build_eval_config(GateConfig(), has_baseline=False)
    )
    model = tfma.default_eval_shared_model(
        eval_saved_model_path=saved_model, eval_config=config
    )
    extractors = tfma.default_extractors(eval_shared_model=model, eval_config=config)
    found: list[tuple[np.ndarray, np.ndarray]] = []

    def keep(extracts: dict) -> None:
        predictions = extracts[tfma.PREDICTIONS_KEY]
        if isinstance(predictions, dict):
            predictions = predictions[features.PROBABILITIES_OUTPUT]
        found.append((extracts[tfma.INPUT_KEY], predictions))

    inputs = [_example(image, "ape") for image in images]
    with beam.Pipeline() as pipeline:
        extracts = (
            pipeline
            | beam.Create(inputs)
            | tfma.InputsToExtracts()
            | beam.BatchElements(min_batch_size=len(inputs))
            | beam.Map(tfma.utils.merge_extracts)
        )
        for extractor in extractors:
            extracts |= extractor.stage_name >> extractor.ptransform
        _ = extracts | beam.Map(keep)
    by_input = {
        serialized: row
        for batch, rows in found
        for serialized, row in zip(batch, rows, strict=True)
    }
    for serialized, row in zip(inputs, expected, strict=True):
        np.testing.assert_allclose(by_input[serialized], row, atol=_TOLERANCE)


def test_no_image_is_an_invalid_argument(saved_model):
    signature = tf.saved_model.load(saved_model).signatures[features.IMAGES_SIGNATURE]
    with pytest.raises(tf.errors.InvalidArgumentError, match="no image"):
        signature(images=tf.constant([b"words"]))
