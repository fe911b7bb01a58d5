"""Parity: the same bytes give the same probabilities in every use of the model."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
import tensorflow_transform as tft
from PIL import Image, ImageOps
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_serving.apis import prediction_log_pb2
from tfx_bsl.tfxio.tf_example_record import TFExampleBeamRecord

from graft.components.report.grad_cam import Explainer
from graft.contract import example_keys, signature_names
from graft.trainer.backbones.backbone import build_backbone
from graft.trainer.config import ModelConfig
from graft.trainer.export.linear_head import LinearHead, read_weights
from graft.trainer.export.saved_model import (
    CHUNK_IMAGES,
    WARMUP_BATCH_SIZES,
    WARMUP_FILE,
    ServingModel,
    export_model,
    warmup_requests,
)
from graft.trainer.heads.head import build_head
from graft.trainer.heads.objective import probabilities
from graft.trainer.preprocessing.image_preprocessing import preprocess_images
from graft.trainer.preprocessing.spec import PreprocessingSpec

_TOLERANCE = 1e-5
LINEAR_HEAD = LinearHead("fingerprint", 0.25)
_NAMES = ["ape", "bee é x", "zebra"]
_SIZE = 64
_REFUSED = (
    (
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "HEIC is not supported; save it as JPEG or PNG",
    ),
    (
        b"RIFF\x22\0\0\0WEBPVP8X\x0a\0\0\0\x02" + bytes(17),
        "an animated WebP; save its first frame as PNG",
    ),
    (
        b"GIF89a" + bytes(20),
        "damaged GIF: incomplete, or not what it was; replace or remove it",
    ),
)


def _example(encoded: bytes, name: str) -> bytes:
    example = tf.train.Example()
    feature = example.features.feature
    feature[example_keys.IMAGE_KEY].bytes_list.value.append(encoded)
    feature[example_keys.CLASS_NAME_KEY].bytes_list.value.append(name.encode())
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
def transform_output(images, spec, analyse) -> tft.TFTransformOutput:
    return tft.TFTransformOutput(analyse(images, [*_NAMES, *reversed(_NAMES)], spec))


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
        LINEAR_HEAD,
    )
    return folder


@pytest.fixture(scope="module")
def expected(images, spec, network) -> np.ndarray:
    """The Trainer's own network on pixels from the one preprocessing."""
    backbone, head = network
    pixels = preprocess_images(tf.constant(images), spec)
    return np.asarray(probabilities(head(backbone(pixels, training=False))))


@pytest.fixture(scope="module")
def signatures(saved_model):
    """The export's signatures by name."""
    return tf.saved_model.load(saved_model).signatures


def test_the_label_map_is_sorted_and_exported_with_the_model(
    transform_output, saved_model
):
    names = transform_output.vocabulary_by_name(example_keys.CLASS_NAMES_VOCABULARY)
    assert [name.decode() for name in names] == sorted(_NAMES)
    path = os.path.join(saved_model, "assets.extra", signature_names.CLASS_NAMES_ASSET)
    with open(path, encoding="utf-8") as file:
        assert file.read().splitlines() == sorted(_NAMES)


def test_a_later_training_can_read_the_head(saved_model, network):
    assert LinearHead.read(saved_model) == LINEAR_HEAD
    for found, expected in zip(
        read_weights(saved_model), network[1].get_weights(), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_a_report_can_explain_the_export(saved_model, images):
    explainer = Explainer(saved_model)
    heat = explainer.heat(images)
    explainer.close()
    assert heat.max(axis=(1, 2)).tolist() == pytest.approx([1.0] * len(images))


def test_the_images_differ_enough_to_tell_them_apart(expected):
    assert np.ptp(expected, axis=0).max() > 100 * _TOLERANCE


def test_predict_images_agrees_with_the_trainer(signatures, images, expected):
    answer = signatures[signature_names.IMAGES_SIGNATURE](images=tf.constant(images))
    found = answer[signature_names.PROBABILITIES_OUTPUT].numpy()
    np.testing.assert_allclose(found, expected, atol=_TOLERANCE)
    np.testing.assert_allclose(found.sum(1), 1, atol=_TOLERANCE)
    labels = [label.decode() for label in answer[signature_names.LABEL_OUTPUT].numpy()]
    assert labels == [_NAMES[index] for index in expected.argmax(1)]


def test_score_features_agrees_on_the_backbones_output(
    signatures, images, spec, network, expected
):
    features = network[0](preprocess_images(tf.constant(images), spec), training=False)
    flat = tf.reshape(features, [len(images), -1])
    answer = signatures[signature_names.FEATURES_SIGNATURE](features=flat)
    assert list(answer) == [signature_names.PROBABILITIES_OUTPUT]
    found = answer[signature_names.PROBABILITIES_OUTPUT].numpy()
    np.testing.assert_allclose(found, expected, atol=_TOLERANCE)


def test_one_image_at_a_time_agrees_with_a_batch(signatures, images, expected):
    signature = signatures[signature_names.IMAGES_SIGNATURE]
    for image, row in zip(images, expected, strict=True):
        found = signature(images=tf.constant([image]))[
            signature_names.PROBABILITIES_OUTPUT
        ]
        np.testing.assert_allclose(found[0], row, atol=_TOLERANCE)


@pytest.mark.parametrize(
    "name", [signature_names.IMAGES_SIGNATURE, signature_names.EACH_SIGNATURE]
)
@pytest.mark.parametrize("count", [0, CHUNK_IMAGES, CHUNK_IMAGES + 1, 100])
def test_a_request_of_several_chunks_agrees_with_the_trainer(
    signatures, images, expected, name, count
):
    batch = [images[number % len(images)] for number in range(count)]
    answer = signatures[name](images=tf.constant(batch, tf.string))
    rows = [expected[number % len(images)] for number in range(count)]
    np.testing.assert_allclose(
        answer[signature_names.PROBABILITIES_OUTPUT],
        np.reshape(rows, (count, len(_NAMES))),
        atol=_TOLERANCE,
    )
    assert answer[signature_names.LABEL_OUTPUT].shape == [count]


def _memory_mb(key: str) -> float:
    status = Path("/proc/self/status").read_text()
    (kilobytes,) = re.findall(rf"^{key}:\s+(\d+) kB", status, re.MULTILINE)
    return int(kilobytes) / 1000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "name", [signature_names.IMAGES_SIGNATURE, signature_names.EACH_SIGNATURE]
)
def test_many_tiny_images_take_little_memory(signatures, encode, name):
    """All 1,200 at a time would take a gigabyte: each is resized to 64 pixels."""
    dot = encode(Image.new("RGB", (1, 1)), "PNG")
    signatures[name](images=tf.constant([dot] * 4))
    before = _memory_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # The peak starts anew: proc(5).
    signatures[name](images=tf.constant([dot] * 1200))
    assert _memory_mb("VmHWM") - before < 200


def test_serving_default_and_classify_take_examples(signatures, images, expected):
    examples = tf.constant([_example(image, "ape") for image in images])
    answer = signatures[signature_names.SERVING_SIGNATURE](examples=examples)
    np.testing.assert_allclose(
        answer[signature_names.PROBABILITIES_OUTPUT], expected, atol=_TOLERANCE
    )
    answer = signatures[signature_names.CLASSIFY_SIGNATURE](inputs=examples)
    np.testing.assert_allclose(answer["scores"], expected, atol=_TOLERANCE)
    assert answer["classes"].numpy()[0].tolist() == [name.encode() for name in _NAMES]


def test_tfma_sees_what_the_trainer_computed(saved_model, images, expected, tmp_path):
    # Through TFMA's own loader. The gate has another one.
    spec = config_pb2.ModelSpec(
        signature_name=signature_names.SERVING_SIGNATURE,
        label_key=example_keys.CLASS_NAME_KEY,
        prediction_key=signature_names.PROBABILITIES_OUTPUT,
    )
    config = tfma.utils.update_eval_config_with_defaults(
        config_pb2.EvalConfig(
            model_specs=[spec], slicing_specs=[config_pb2.SlicingSpec()]
        )
    )
    model = tfma.default_eval_shared_model(
        eval_saved_model_path=saved_model, eval_config=config
    )
    extractors = tfma.default_extractors(eval_shared_model=model, eval_config=config)
    path = tmp_path / "found.jsonl"

    def keep(extracts: dict) -> None:
        # To a file: Beam runs a copy of this function. One example each, or a batch.
        predictions = extracts[tfma.PREDICTIONS_KEY]
        if isinstance(predictions, dict):
            predictions = predictions[signature_names.PROBABILITIES_OUTPUT]
        with path.open("a") as file:
            for serialized, row in zip(
                extracts[tfma.INPUT_KEY], np.atleast_2d(predictions), strict=True
            ):
                line = [hashlib.sha256(serialized).hexdigest(), row.tolist()]
                file.write(json.dumps(line) + "\n")

    inputs = [_example(image, "ape") for image in images]
    reader = TFExampleBeamRecord(
        physical_format="inmem", raw_record_column_name=tfma.ARROW_INPUT_COLUMN
    )
    with beam.Pipeline() as pipeline:
        extracts = (
            pipeline
            | beam.Create(inputs)
            | reader.BeamSource(batch_size=len(inputs))
            | tfma.BatchedInputsToExtracts()
        )
        for extractor in extractors:
            extracts |= extractor.stage_name >> extractor.ptransform
        _ = extracts | beam.Map(keep)
    found = dict(json.loads(line) for line in path.read_text().splitlines())
    rows = [found[hashlib.sha256(serialized).hexdigest()] for serialized in inputs]
    np.testing.assert_allclose(rows, expected, atol=_TOLERANCE)


def test_no_image_is_an_invalid_argument(signatures):
    signature = signatures[signature_names.IMAGES_SIGNATURE]
    with pytest.raises(tf.errors.InvalidArgumentError, match="not an image"):
        signature(images=tf.constant([b"words"]))


@pytest.mark.parametrize(
    "name", [signature_names.IMAGES_SIGNATURE, signature_names.SERVING_SIGNATURE]
)
def test_bytes_that_are_no_image_are_named_by_position(signatures, images, name):
    batch = [images[0], b"words", images[1], b""]
    signature = signatures[name]
    if name == signature_names.SERVING_SIGNATURE:
        arguments = {"examples": tf.constant([_example(item, "ape") for item in batch])}
    else:
        arguments = {"images": tf.constant(batch)}
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"not an image.*\[1 3\]"):
        signature(**arguments)


def test_each_image_answers_for_itself(signatures, images, expected):
    signature = signatures[signature_names.EACH_SIGNATURE]
    cut = images[0][: len(images[0]) // 2]
    batch = [b"words", images[0], cut, *images[1:], b""]
    answer = {
        key: value.numpy() for key, value in signature(tf.constant(batch)).items()
    }
    bad = [0, 2, len(batch) - 1]
    good = [index for index in range(len(batch)) if index not in bad]
    found = answer[signature_names.PROBABILITIES_OUTPUT]
    np.testing.assert_allclose(found[good], expected, atol=_TOLERANCE)
    np.testing.assert_array_equal(found[bad], 0)
    assert all(answer[signature_names.ERROR_OUTPUT][index] == b"" for index in good)
    assert b"not an image" in answer[signature_names.ERROR_OUTPUT][0]
    assert b"damaged" in answer[signature_names.ERROR_OUTPUT][2]
    assert b"empty file" in answer[signature_names.ERROR_OUTPUT][-1]
    assert [answer[signature_names.LABEL_OUTPUT][index] for index in bad] == [b""] * 3


def test_each_image_may_be_bad(signatures):
    signature = signatures[signature_names.EACH_SIGNATURE]
    answer = signature(images=tf.constant([b"words", b"more"]))
    assert all(
        b"not an image" in error
        for error in answer[signature_names.ERROR_OUTPUT].numpy()
    )
    assert answer[signature_names.PROBABILITIES_OUTPUT].shape == (2, len(_NAMES))


# --- In a server ----------------------------------------------------------------------
def test_below_its_threshold_a_model_says_unknown(
    transform_output, network, images, expected, tmp_path
):
    greatest = expected.max(1)
    threshold = float(np.sort(greatest)[2])
    backbone, head = network
    model = ServingModel(
        transform=transform_output.transform_features_layer(),
        backbone=backbone,
        head=head,
        class_names=_NAMES,
        unknown_threshold=threshold - _TOLERANCE,
    )
    export_model(model, str(tmp_path))
    answer = tf.saved_model.load(str(tmp_path)).signatures[
        signature_names.EACH_SIGNATURE
    ](images=tf.constant(images))
    labels = [label.decode() for label in answer[signature_names.LABEL_OUTPUT].numpy()]
    assert labels.count(signature_names.UNKNOWN_LABEL) == 2
    assert labels == [
        _NAMES[row.argmax()]
        if row.max() >= threshold
        else signature_names.UNKNOWN_LABEL
        for row in expected
    ]
    np.testing.assert_allclose(
        answer[signature_names.PROBABILITIES_OUTPUT], expected, atol=_TOLERANCE
    )
    file = tmp_path / "assets.extra" / signature_names.UNKNOWN_THRESHOLD_FILE
    assert float(file.read_text()) == threshold - _TOLERANCE


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _served(base_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The embedded server over `base_path`: its process, and the URL of its model."""
    port = _free_port()
    process = subprocess.Popen(
        [
            *(
                sys.executable,
                "-m",
                "graft.serving.embedded",
                "--host=localhost",
                "--port=0",
                f"--grpc_socket_path={base_path.parent / 'grpc.sock'}",
            ),
            f"--rest_api_port={port}",
            f"--model_base_path={base_path}",
            *("--model_name=graft", "--max_num_load_retries=0"),
        ],
        cwd=Path(__file__).resolve().parents[3],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, f"http://localhost:{port}/v1/models/graft"
    finally:
        process.kill()
        process.communicate()


def _post(url: str, signature: str, batch: list[bytes]) -> tuple[int, dict]:
    instances = [{"b64": base64.b64encode(item).decode()} for item in batch]
    body = {"signature_name": signature, "instances": instances}
    request = urllib.request.Request(f"{url}:predict", json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_no_layer_is_saved_with_a_graph_of_its_own(saved_model):
    """Only signatures are: tracing and saving the Transform layer's took 1.5 s."""
    file = Path(saved_model) / "saved_model.pb"
    loaded = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    functions = loaded.meta_graphs[0].graph_def.library.function
    names = [function.signature.name for function in functions]
    assert any("decode" in name for name in names)
    assert not [name for name in names if "layer" in name or "call_fn" in name]


def test_warm_up_asks_both_signatures_for_one_and_for_a_few(saved_model):
    path = os.path.join(saved_model, "assets.extra", WARMUP_FILE)
    found = []
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(
            record
        ).predict_log.request
        ((name, images),) = request.inputs.items()
        found.append((request.model_spec.signature_name, name, images.tensor_shape))
    asked = [(signature, name, shape.dim[0].size) for signature, name, shape in found]
    assert asked == [
        (signature, name, size)
        for signature, name in (
            (signature_names.IMAGES_SIGNATURE, signature_names.IMAGES_INPUT),
            (signature_names.SERVING_SIGNATURE, signature_names.EXAMPLES_INPUT),
        )
        for size in WARMUP_BATCH_SIZES
    ]


def test_server_replays_the_warm_up_and_answers(
    saved_model, images, expected, tmp_path
):
    shutil.copytree(saved_model, tmp_path / "1")
    with _served(tmp_path) as (process, url):
        code, reply = 0, {}
        deadline = time.monotonic() + 60
        while not code and process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(urllib.error.URLError):
                code, reply = _post(url, signature_names.IMAGES_SIGNATURE, images)
            time.sleep(0.1)
        assert code == 200
        found = [
            row[signature_names.PROBABILITIES_OUTPUT] for row in reply["predictions"]
        ]
        np.testing.assert_allclose(found, expected, atol=_TOLERANCE)
        batch = [images[0], b"words"]
        code, reply = _post(url, signature_names.IMAGES_SIGNATURE, batch)
        assert code == 400
        assert re.search(r"not an image.*\[1\]", reply["error"], re.DOTALL)
        for refused, sentence in _REFUSED:
            for signature, sent in (
                (signature_names.IMAGES_SIGNATURE, refused),
                (signature_names.SERVING_SIGNATURE, _example(refused, "ape")),
            ):
                code, reply = _post(url, signature, [sent])
                assert (code, reply["error"][: len(sentence)]) == (400, sentence)
        code, reply = _post(url, signature_names.EACH_SIGNATURE, batch)
        assert code == 200
        assert [
            row[signature_names.ERROR_OUTPUT] == "" for row in reply["predictions"]
        ] == [
            True,
            False,
        ]


def test_server_refuses_a_version_whose_warm_up_fails(saved_model, tmp_path):
    """The requests of the test above are really sent."""
    shutil.copytree(saved_model, tmp_path / "1")
    request = next(warmup_requests())
    request.inputs[signature_names.IMAGES_INPUT].string_val[0] = b"words"
    log = prediction_log_pb2.PredictionLog(
        predict_log=prediction_log_pb2.PredictLog(request=request)
    )
    path = str(tmp_path / "1" / "assets.extra" / WARMUP_FILE)
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(log.SerializeToString())
    with _served(tmp_path) as (process, _):
        _, log = process.communicate(timeout=60)
        assert process.returncode != 0
    assert "Warm-up request 1" in log
    assert "not an image" in log
