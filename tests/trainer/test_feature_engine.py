"""Engines differ in speed alone."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.backbone import build_backbone
from trainer.config import ModelConfig
from trainer.feature_engine import build_engine, engine_label, resolve_engine

RELATIVE = 1e-4


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
    engine = build_engine(backbone, name)
    found = list(engine.run(iter(batches)))
    assert engine.name == f"{name}-float32"
    assert len(found) == len(expected)
    for values, reference in zip(found, expected, strict=True):
        scale = np.abs(reference).max()
        np.testing.assert_allclose(values, reference, atol=RELATIVE * scale)


def test_bfloat16_stays_near(backbone, batches, expected):
    """Only the size: a processor without bfloat16 computes in float32."""
    found = list(build_engine(backbone, "openvino", "bfloat16").run(iter(batches)))
    for values, reference in zip(found, expected, strict=True):
        difference = np.abs(values - reference).mean() / np.abs(reference).mean()
        assert difference < 0.1


def test_no_batches_give_no_features(backbone):
    assert list(build_engine(backbone, "openvino").run(iter([]))) == []


def test_auto_is_resolved_and_an_unknown_engine_is_named():
    assert resolve_engine("auto") in ("tensorflow", "openvino")
    assert engine_label("tensorflow", "bfloat16") == "tensorflow-float32"
    with pytest.raises(ValueError, match="Received: engine='onnx'"):
        resolve_engine("onnx")  # type: ignore[arg-type]
