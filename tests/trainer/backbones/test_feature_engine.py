"""Engines differ only in speed."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from graft.trainer.backbones.backbone import build_backbone
from graft.trainer.backbones.feature_engine import (
    build_engine,
    engine_label,
    resolve_engine,
)
from graft.trainer.config import ModelConfig
from graft.trainer.decoding.images import decode_image
from graft.trainer.preprocessing.image_preprocessing import preprocess_images
from graft.trainer.preprocessing.normalisation import normalise_pixels
from graft.trainer.preprocessing.spec import PreprocessingSpec

RELATIVE = 1e-4
SCALE_TOLERANCE = 0.1
"""Of the length of the difference to that of the features; docs/decisions/0004."""


@pytest.fixture(scope="module")
def backbone():
    return build_backbone(ModelConfig(image_size=64))


@pytest.fixture(scope="module")
def batches() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        rng.uniform(-1, 1, (size, 64, 64, 3)).astype(np.float32)
        for size in (4, 1, 3, 4)
    ]


@pytest.fixture(scope="module")
def expected(backbone, batches) -> list[np.ndarray]:
    return [np.asarray(backbone(batch, training=False)) for batch in batches]


@pytest.mark.parametrize("name", ["tensorflow", "openvino"])
def test_every_engine_gives_the_features_of_the_keras_model_in_order(
    backbone, batches, expected, name
):
    engine = build_engine(lambda: backbone, name)
    found = list(engine.run(iter(batches)))
    assert engine.name == f"{name}-float32"
    assert len(found) == len(expected)
    for values, reference in zip(found, expected, strict=True):
        scale = np.abs(reference).max()
        np.testing.assert_allclose(values, reference, atol=RELATIVE * scale)


def test_bfloat16_stays_near(backbone, batches, expected):
    """Only the size: a processor without bfloat16 computes in float32."""
    found = list(
        build_engine(lambda: backbone, "openvino", "bfloat16").run(iter(batches))
    )
    for values, reference in zip(found, expected, strict=True):
        difference = np.abs(values - reference).mean() / np.abs(reference).mean()
        assert difference < 0.1


def test_no_batches_give_no_features(backbone):
    assert list(build_engine(lambda: backbone, "openvino").run(iter([]))) == []


def test_cached_graph_is_read_and_a_damaged_one_rebuilt(
    backbone, batches, tmp_path, caplog
):
    built = []

    def make():
        built.append(1)
        return backbone

    def features_now() -> list[np.ndarray]:
        engine = build_engine(make, "openvino", cache_folder=str(tmp_path))
        return list(engine.run(iter(batches)))

    first = features_now()
    for values, again in zip(first, features_now(), strict=True):
        np.testing.assert_array_equal(values, again)
    assert len(built) == 1
    (kept,) = tmp_path.iterdir()
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1
    kept.write_bytes(content)
    for values, again in zip(first, features_now(), strict=True):
        np.testing.assert_array_equal(values, again)
    assert len(built) == 2
    assert f"Rebuilding {kept}" in caplog.text


def test_a_graph_of_another_folder_is_not_used(tmp_path, backbone):
    def engine_in(folder: Path) -> int:
        folder.mkdir(exist_ok=True)
        built = []
        build_engine(
            lambda: built.append(1) or backbone, "openvino", cache_folder=str(folder)
        )
        return len(built)

    one, other = tmp_path / "one", tmp_path / "other"
    assert [engine_in(one), engine_in(one)] == [1, 0]
    other.mkdir()
    (graph,) = one.iterdir()
    shutil.copy(graph, other)
    assert [engine_in(other), engine_in(other)] == [1, 0]


def test_auto_is_resolved_and_an_unknown_engine_is_named():
    assert resolve_engine("auto") in ("tensorflow", "openvino")
    assert engine_label("tensorflow", "bfloat16") == "tensorflow-float32"
    with pytest.raises(ValueError, match="Received: engine='onnx'"):
        resolve_engine("onnx")  # type: ignore[arg-type]


# --- Real photographs -----------------------------------------------------------------
NUM_PHOTOGRAPHS = 8
SPEC = PreprocessingSpec(height=224, width=224, scaling="lite")


@pytest.fixture(scope="module")
def full_size_backbone():
    return build_backbone(ModelConfig())


def _photographs(archive, least_edge: int) -> list[bytes]:
    """Return the first photographs that are so large, in the archive's order."""
    found: list[bytes] = []
    with tarfile.open(archive) as file:
        for member in file:
            content = file.extractfile(member) if member.isfile() else None
            if content is None:
                continue
            encoded = content.read()
            with Image.open(io.BytesIO(encoded)) as image:
                is_large = min(image.size) >= least_edge
            if is_large and image.format == "JPEG":
                found.append(encoded)
            if len(found) == NUM_PHOTOGRAPHS:
                break
    return found


def _features(engine, pixels) -> np.ndarray:
    (values,) = engine.run([np.asarray(pixels)])
    return values


@pytest.mark.parametrize("archive", ["santa.tar", "cats_vs_dogs.tar"])
def test_engines_agree_on_real_photographs(real_data, full_size_backbone, archive):
    encoded = _photographs(real_data / archive, 200)
    pixels = preprocess_images(tf.constant(encoded), SPEC)
    expected = _features(build_engine(lambda: full_size_backbone, "tensorflow"), pixels)
    found = _features(build_engine(lambda: full_size_backbone, "openvino"), pixels)
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert error < RELATIVE


def test_a_smaller_scale_of_decoding_stays_within_its_tolerance(
    real_data, full_size_backbone
):
    """Large photographs, decoded at full scale and at a smaller one."""
    encoded = _photographs(real_data / "santa.tar", 3 * 224)

    def at_full_scale(image: bytes) -> tf.Tensor:
        pixels = tf.image.resize(
            decode_image(tf.constant(image)), (224, 224), "bicubic", antialias=True
        )
        return normalise_pixels(tf.clip_by_value(pixels, 0.0, 255.0), "lite")

    engine = build_engine(lambda: full_size_backbone, "openvino")
    expected = _features(engine, tf.stack([at_full_scale(each) for each in encoded]))
    found = _features(engine, preprocess_images(tf.constant(encoded), SPEC))
    error = np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert (error > 0).all()  # every one was decoded at a smaller scale
    assert error.max() < SCALE_TOLERANCE
