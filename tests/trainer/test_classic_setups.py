"""The five classic set-ups have the parameter counts of their originals.

Random weights are enough for this. Each set-up also runs a forward and a backward pass,
and only its head is trained.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml

from graft.trainer.backbones.backbone import build_backbone, image_size_of
from graft.trainer.backbones.presets import get_preset
from graft.trainer.config import FineTuneConfig, ModelConfig, TrainingConfig
from graft.trainer.heads.head import build_head
from graft.trainer.loops.fine_tuning import unfreeze

_CONFIGS = Path(__file__).resolve().parents[2] / "pipeline" / "configs"


class _Counts(NamedTuple):
    """Parameters in all, trained ones, the backbone's output, and classes."""

    total: int
    trained: int
    features: tuple[int, ...]
    num_classes: int


_COUNTS = {
    "classic_cifar10_vgg16": _Counts(14_777_098, 62_410, (1, 1, 512), 10),
    "classic_cats_vs_dogs": _Counts(14_715_201, 513, (512,), 2),
    "classic_santa_vgg19": _Counts(20_294_985, 270_601, (2, 2, 512), 2),
    "classic_cifar10_resnet50": _Counts(24_408_022, 820_310, (5, 5, 2048), 10),
    "classic_inception_v3_mixed7": _Counts(47_512_481, 38_537_217, (7, 7, 768), 2),
}


@pytest.mark.parametrize("name", _COUNTS)
def test_parameters_and_a_step(name: str) -> None:
    values = yaml.safe_load((_CONFIGS / f"{name}.yaml").read_text())
    model = ModelConfig.model_validate({**values["model"], "weights": "none"})
    TrainingConfig.model_validate(values["training"])
    counts = _COUNTS[name]
    backbone = build_backbone(model)
    head = build_head(model, backbone.output_shape[1:], counts.num_classes)
    assert backbone.output_shape[1:] == counts.features
    assert backbone.count_params() + head.count_params() == counts.total
    assert not backbone.trainable_variables
    assert sum(np.prod(v.shape) for v in head.trainable_variables) == counts.trained
    size = image_size_of(model)
    with tf.GradientTape() as tape:
        features = backbone(np.ones((1, size, size, 3), np.float32), training=False)
        loss = keras.ops.sum(head(features, training=True) ** 2)
    gradients = tape.gradient(loss, [v.value for v in head.trainable_variables])
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_santa_fine_tunes_block_5_and_nothing_else() -> None:
    backbone = build_backbone(
        ModelConfig(preset="vgg19", weights="none", image_size=64, pooling="none")
    )
    unfreeze(backbone, get_preset("vgg19"), FineTuneConfig(blocks=("block5",)))
    paths = {variable.path for variable in backbone.trainable_variables}
    assert paths == {
        f"block5_conv{number}/{part}"
        for number in range(1, 5)
        for part in ("kernel", "bias")
    }
