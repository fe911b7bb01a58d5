"""Every decoder of the project sees the same pixels of the same bytes, or refuses them.

`image_corpus` makes the files and knows their pixels.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from PIL import Image

from graft.components.pictures import thumbnail
from graft.components.quality.image_statistics import measure_image
from graft.components.report.grad_cam import overlay
from graft.contract import example_keys, signature_names
from graft.serving.embedded.contract.status import StatusError
from graft.serving.embedded.loading.saved_model import SavedModel
from graft.trainer.decoding import from_bytes
from graft.trainer.decoding.images import refusal_of
from graft.trainer.export.saved_model import ServingModel, export_model
from graft.trainer.preprocessing.image_preprocessing import PreprocessingSpec

_THUMBNAIL_TOLERANCE = 32

_refusal_of = tf.function(
    refusal_of, input_signature=[tf.TensorSpec([], tf.string)], autograph=False
)


def _mismatch(case, pixels: np.ndarray) -> str:
    """Return what is wrong with decoded pixels, or ""."""
    if pixels.shape != case.expected.shape:
        return f"{case.name}: {pixels.shape}, not {case.expected.shape}"
    most = np.abs(pixels.astype(int) - case.expected).max()
    return "" if most <= case.tolerance else f"{case.name}: differs by {most}"


def _wrong(cases, find) -> list[str]:
    return [text for case in cases if (text := find(case))]


@pytest.fixture(scope="module")
def readable(corpus):
    return [case for case in corpus if case.expected is not None]


@pytest.fixture(scope="module")
def refused(corpus):
    return [case for case in corpus if case.expected is None]


def test_the_corpus_is_large(corpus, readable, refused):
    assert len(corpus) == len({case.name for case in corpus})
    assert len(readable) >= 400
    assert len(refused) >= 50


def test_the_graph_shows_what_a_viewer_shows(readable):
    assert not _wrong(
        readable, lambda case: _mismatch(case, from_bytes.decode_pixels(case.encoded))
    )


def test_the_graph_refuses_by_name(refused):
    def find(case) -> str:
        try:
            from_bytes.decode_pixels(case.encoded)
        except ValueError as error:
            fits = str(error).find(case.refusal) >= 0
            return "" if fits else f"{case.name}: {error}"
        return f"{case.name}: is not refused"

    assert not _wrong(refused, find)


def test_every_refusal_can_be_asked_for(refused):
    def find(case) -> str:
        reason = _refusal_of(tf.constant(case.encoded)).numpy().decode()
        return "" if case.refusal in reason else f"{case.name}: {reason}"

    assert not _wrong(refused, find)


def test_ingestion_knows_the_size_as_shown(readable):
    def find(case) -> str:
        header = from_bytes.read_header(case.encoded)
        from_bytes.check_pixels(case.encoded, header.format)
        size = header.height, header.width
        fits = size == case.expected.shape[:2]
        return "" if fits else f"{case.name}: {header}"

    assert not _wrong(readable, find)


def test_ingestion_refuses_with_the_same_sentence(refused):
    def find(case) -> str:
        with pytest.raises(ValueError) as of_graph:
            from_bytes.decode_pixels(case.encoded)
        try:
            header = from_bytes.read_header(case.encoded)
            from_bytes.check_pixels(case.encoded, header.format)
        except ValueError as error:
            fits = str(error) == str(of_graph.value)
            return "" if fits else f"{case.name}: {error}, not {of_graph.value}"
        return f"{case.name}: is not refused"

    assert not _wrong(refused, find)


def test_data_quality_measures_these_pixels(readable):
    def find(case) -> str:
        brightness = measure_image(case.encoded).brightness
        grey = np.asarray(Image.fromarray(case.expected).convert("L"))
        difference = abs(brightness - grey.mean())
        return "" if difference < 1 else f"{case.name}: differs by {difference}"

    assert not _wrong(readable, find)


def test_thumbnails_show_these_pixels(readable):
    heat = np.zeros((2, 2), np.float32)

    def find(case) -> str:
        wanted = Image.fromarray(case.expected).resize((8, 8), Image.Resampling.BOX)
        shown = _from_data_uri(thumbnail(case.encoded))
        seen = shown.convert("RGB").resize((8, 8), Image.Resampling.BOX)
        difference = np.abs(np.asarray(seen, int) - np.asarray(wanted, int)).max()
        # Compressed once more, with colours at half the scale.
        limit = _THUMBNAIL_TOLERANCE + case.tolerance
        if difference > limit:
            return f"{case.name}: differs by {difference}"
        explained = _from_data_uri(overlay(case.encoded, heat)).convert("L")
        grey = np.asarray(explained.resize((8, 8), Image.Resampling.BOX), int)
        wanted_grey = np.asarray(wanted.convert("L"), int)
        difference = np.abs(grey - wanted_grey).max()
        return "" if difference <= limit else f"{case.name}: explained {difference}"

    assert not _wrong(readable, find)


def test_a_refused_file_has_no_thumbnail(refused):
    assert [case.name for case in refused if thumbnail(case.encoded)] == []


def _from_data_uri(uri: str) -> Image.Image:
    encoded = base64.b64decode(uri.partition(",")[2])
    return Image.open(io.BytesIO(encoded))


# --- The exported model ---------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(readable, analyse, tmp_path_factory) -> str:
    """A SavedModel that answers with what it saw, on a grid of 4 by 4."""
    size = 32
    spec = PreprocessingSpec(height=size, width=size, scaling="tf")
    images = [case.encoded for case in readable[:2]]
    output = tft.TFTransformOutput(analyse(images, ["a", "b"], spec))
    pixels = keras.Input((size, size, 3))
    means = keras.layers.AveragePooling2D(size // 4)(pixels)
    features = keras.layers.Flatten()(means)
    base = tmp_path_factory.mktemp("exported")
    export_model(
        ServingModel(
            transform=output.transform_features_layer(),
            backbone=keras.Model(pixels, features),
            head=keras.Sequential(
                [keras.Input((48,)), keras.layers.Rescaling(3.0, name="logits")]
            ),
            class_names=[f"class {number:02d}" for number in range(48)],
        ),
        str(base / "1"),
    )
    return str(base)


def _run(model: SavedModel, signature: str, batch: list[bytes]) -> dict:
    found = model.signatures[signature]
    (tensor,) = found.inputs.values()
    array = np.empty(len(batch), object)
    array[:] = batch
    names = sorted(found.outputs)
    fetches = [found.outputs[name].name for name in names]
    return dict(zip(names, model.run({tensor.name: array}, fetches), strict=True))


def _as_example(encoded: bytes) -> bytes:
    example = tf.train.Example()
    feature = example.features.feature[example_keys.IMAGE_KEY]
    feature.bytes_list.value.append(encoded)
    return example.SerializeToString()


@pytest.fixture(scope="module")
def server_core(exported):
    """The export as the embedded server and `graft predict` load it."""
    model = SavedModel(Path(exported) / "1")
    yield model
    model.close()


def test_every_signature_answers_from_these_pixels(readable, server_core):
    encoded = [case.encoded for case in readable]
    shown = [tf.io.encode_png(case.expected).numpy() for case in readable]
    probabilities = signature_names.PROBABILITIES_OUTPUT
    wanted = _run(server_core, signature_names.IMAGES_SIGNATURE, shown)[probabilities]
    by_image = _run(server_core, signature_names.IMAGES_SIGNATURE, encoded)
    by_example = _run(
        server_core,
        signature_names.SERVING_SIGNATURE,
        [_as_example(each) for each in encoded],
    )
    each = _run(server_core, signature_names.EACH_SIGNATURE, encoded)
    differences = np.abs(np.log(by_image[probabilities] / wanted)).max(axis=1)
    # A shade is 2 / 255 of the input's range, three times that in the logits.
    limits = [6 / 255 * (case.tolerance + 0.5) for case in readable]
    assert not [
        f"{case.name}: {difference}"
        for case, difference, limit in zip(readable, differences, limits, strict=True)
        if difference > limit
    ]
    assert np.ptp(np.log(wanted), axis=0).min() > 10 * 6 / 255
    for other in (by_example, each):
        np.testing.assert_allclose(
            other[probabilities], by_image[probabilities], atol=1e-6
        )


def test_every_signature_refuses_with_the_same_sentence(refused, server_core):
    batch = [case.encoded for case in refused]
    each = _run(server_core, signature_names.EACH_SIGNATURE, batch)
    errors = [error.decode() for error in each[signature_names.ERROR_OUTPUT]]
    sentences = [
        _refusal_of(tf.constant(encoded)).numpy().decode() for encoded in batch
    ]
    assert errors == sentences
    for case, sentence in zip(refused, sentences, strict=True):
        for signature, encoded in (
            (signature_names.IMAGES_SIGNATURE, case.encoded),
            (signature_names.SERVING_SIGNATURE, _as_example(case.encoded)),
        ):
            with pytest.raises(StatusError) as error:
                _run(server_core, signature, [encoded])
            assert error.value.code.name == "INVALID_ARGUMENT"
            if not sentence.startswith("damaged"):
                assert error.value.message.startswith(sentence), case.name
