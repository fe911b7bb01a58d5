"""Cuts, pooling, fingerprints, and predictions of the packaged weights."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from graft.contract.errors import UserError
from graft.trainer.backbones.backbone import (
    backbone_fingerprint,
    build_backbone,
    shared_backbone,
)
from graft.trainer.backbones.efficientnet_lite import (
    build_efficientnet_lite,
    load_torch_weights,
)
from graft.trainer.backbones.presets import get_preset
from graft.trainer.backbones.torch_checkpoint import read_torch_checkpoint
from graft.trainer.backbones.weight_files import find_local_weights
from graft.trainer.config import ModelConfig

_SMALL = {"weights": "none", "image_size": 64}
_IMAGE = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype(np.float32)


def test_several_layers_are_pooled_and_joined() -> None:
    cut = ("block3b_add", "top_activation")
    joined = build_backbone(ModelConfig(**_SMALL, cut=cut))
    parts = [build_backbone(ModelConfig(**_SMALL, cut=(name,))) for name in cut]
    assert joined.output_shape == (None, 40 + 1280)
    np.testing.assert_allclose(
        joined(_IMAGE), np.concatenate([part(_IMAGE) for part in parts], 1), atol=1e-5
    )


def test_a_numbered_layer_is_the_same_whatever_was_built_before() -> None:
    inception = {"preset": "inception_v3", "weights": "none", "image_size": 150}
    numbered = ModelConfig(**inception, cut=("conv2d_3",), pooling="none")
    names = []
    for _ in range(2):
        backbone = build_backbone(numbered)
        assert backbone.output_shape[1:] == (35, 35, 80)
        names.append([layer.name for layer in backbone.layers])
        # A layer on top gets another name than those below.
        on_top = keras.layers.Conv2D(1, 1)(backbone.layers[-1].output)
        keras.Model(backbone.inputs, on_top)
    assert names[0] == names[1]
    assert {"conv2d", "conv2d_1", "batch_normalization"} <= set(names[0])


def test_pooling_agrees_with_the_map() -> None:
    cut = ("block5c_add",)
    kept = build_backbone(ModelConfig(**_SMALL, cut=cut, pooling="none"))(_IMAGE)
    mean = build_backbone(ModelConfig(**_SMALL, cut=cut))(_IMAGE)
    peak = build_backbone(ModelConfig(**_SMALL, cut=cut, pooling="max"))(_IMAGE)
    assert kept.shape == (2, 4, 4, 112)
    np.testing.assert_allclose(np.mean(kept, (1, 2)), mean, atol=1e-5)
    np.testing.assert_allclose(np.max(kept, (1, 2)), peak, atol=1e-5)


def test_backbone_is_frozen() -> None:
    assert not build_backbone(ModelConfig(**_SMALL)).trainable_variables


_BAD = {
    "no such layer": ({"cut": ("block5c_ad",)}, "block5c_add"),
    "too small": ({"image_size": 16}, "32 pixels or more"),
    "maps of several sizes": (
        {"cut": ("block3b_add", "top_activation"), "pooling": "none"},
        "several cut layers need",
    ),
}


@pytest.mark.parametrize(("values", "message"), _BAD.values(), ids=_BAD)
def test_bad_choice(values: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_backbone(ModelConfig.model_validate({**_SMALL, **values}))


def test_fingerprint_tells_features_apart() -> None:
    configs = [
        ModelConfig(),
        ModelConfig(weights="none"),
        ModelConfig(cut=("top_activation",)),
        ModelConfig(pooling="max"),
        ModelConfig(image_size=192),
        ModelConfig(preset="efficientnet_lite1"),
    ]
    fingerprints = [backbone_fingerprint(config) for config in configs]
    assert len(set(fingerprints)) == len(configs)
    assert backbone_fingerprint(ModelConfig(output="sigmoid")) == fingerprints[0]


def test_a_shared_backbone_is_built_once_and_is_that_of_its_config() -> None:
    config = ModelConfig(**_SMALL)
    shared = shared_backbone(config)
    assert shared_backbone(ModelConfig(**_SMALL)) is shared
    larger = shared_backbone(ModelConfig(weights="none", image_size=96))
    assert larger.input_shape == (None, 96, 96, 3)
    np.testing.assert_array_equal(
        shared_backbone(config).predict(_IMAGE, verbose=0),
        build_backbone(config).predict(_IMAGE, verbose=0),
    )


def test_a_shared_backbone_follows_its_weights(tmp_path: Path) -> None:
    path = tmp_path / "mobile.weights.h5"
    config = ModelConfig(preset="mobilenet_v2", image_size=64, weights=str(path))
    outputs = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        keras.applications.MobileNetV2(
            weights=None, include_top=False, input_shape=(64, 64, 3)
        ).save_weights(path)
        outputs.append(shared_backbone(config).predict(_IMAGE, verbose=0))
    assert np.abs(outputs[0] - outputs[1]).max() > 0


def test_random_weights_are_the_same_every_time() -> None:
    one, two = (build_backbone(ModelConfig(**_SMALL)) for _ in range(2))
    np.testing.assert_array_equal(one(_IMAGE), two(_IMAGE))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_dogs_are_dogs(real_data: Path, number: int) -> None:
    """Photographs of dogs are classed among ImageNet's dogs, classes 151 to 268."""
    preset = get_preset(f"efficientnet_lite{number}")
    size = preset.image_size
    network = build_efficientnet_lite(
        input_shape=(size, size, 3),
        width=preset.width,
        depth=preset.depth,
        name="classifier",
        include_top=True,
    )
    path = find_local_weights(preset)
    assert path is not None
    load_torch_weights(network, read_torch_checkpoint(path))
    with tarfile.open(real_data / "cats_vs_dogs.tar") as archive:
        names = sorted(name for name in archive.getnames() if "/dog/" in name)[:16]
        photos = [
            Image.open(io.BytesIO(archive.extractfile(name).read())) for name in names
        ]
    pixels = np.stack(
        [
            np.asarray(photo.convert("RGB").resize((size, size), Image.BICUBIC))
            for photo in photos
        ]
    ).astype(np.float32)
    logits = keras.ops.convert_to_numpy(network((pixels - 127) / 128, training=False))
    labels = logits.argmax(1)
    assert np.sum((labels >= 151) & (labels <= 268)) >= 15
