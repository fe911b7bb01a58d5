"""The records of backbones agree with the architectures."""

from __future__ import annotations

import pytest

from graft.contract.errors import UserError
from graft.trainer.backbones.backbone import build_backbone
from graft.trainer.backbones.presets import PRESETS, get_preset
from graft.trainer.config import ModelConfig

# The others take a minute to build.
_QUICK = {"efficientnet_lite0", "efficientnet_lite2", "vgg16", "resnet50"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in _QUICK else [pytest.mark.large])
        for name in PRESETS
    ],
)
def test_record_fits_architecture(name: str) -> None:
    """Parameters, width, cut points and blocks (large: building takes seconds each)."""
    preset = get_preset(name)
    whole = build_backbone(
        ModelConfig(preset=name, weights="none", image_size=96, pooling="none")
    )
    names = {layer.name for layer in whole.layers}
    assert whole.count_params() == preset.num_parameters
    assert whole.output_shape[-1] == preset.feature_width
    assert set(preset.cut_points + preset.default_cut) <= names
    assert set(preset.fine_tune_from) <= set(preset.blocks)
    for block in preset.blocks:
        assert any(layer.startswith(block) for layer in names), block


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("efficientnet-lite", "efficientnet_lite0"),
        ("VGG-16", "vgg16"),
        ("Densenet12", "DenseNet121"),
        ("zzz", "allowed: efficientnet_lite0"),
    ],
)
def test_unknown_name_is_told_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(UserError, match=hint):
        get_preset(name)


@pytest.mark.parametrize(
    ("name", "scaling"),
    [
        ("ResNet152", "caffe"),
        ("ResNet152V2", "tf"),
        ("DenseNet121", "torch"),
        ("MobileNetV3Large", "none"),
        ("MobileNet", "tf"),
    ],
)
def test_other_models_of_keras_applications(name: str, scaling: str) -> None:
    assert get_preset(name).scaling == scaling
