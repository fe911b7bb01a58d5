"""Mistakes about the network are reported before the first image is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from graft.contract.errors import UserError, WeightsError
from graft.trainer.backbones.backbone import build_backbone
from graft.trainer.config import HeadLayer, ModelConfig, TrainingConfig
from graft.trainer.loops.early_checks import check_network

_LITE = {"preset": "efficientnet_lite0", "weights": "none", "image_size": 32}
_CONVOLUTION = {"type": "conv2d", "filters": 2, "kernel_size": 2}


@pytest.mark.parametrize(
    ("model", "training", "message"),
    [
        ({"image_size": 16}, {}, "32 pixels or more"),
        ({"cut": ["block4c_activatoin"]}, {}, "block4c_activation"),
        ({"head": [_CONVOLUTION]}, {}, r"head\[0\].*does not fit"),
        (
            {"pooling": "none", "cut": ["block4c_activation"], "head": [_CONVOLUTION]},
            {},
            "end in a vector",
        ),
        ({"head": [{"type": "dropout", "rate": 0.1}]}, {"optimizer": "lbfgs"}, "empty"),
        ({"pooling": "none"}, {"strategy": "linear"}, "pooling='none'"),
        (
            {},
            {"strategy": "fine_tune", "fine_tune": {"blocks": ["blok6"]}},
            "nearest names are.*block6",
        ),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(
    model: dict[str, Any], training: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        check_network(ModelConfig(**{**_LITE, **model}), TrainingConfig(**training))


def test_weights_are_looked_for_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    damaged = (
        tmp_path / "models" / ("resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5")
    )
    damaged.parent.mkdir()
    damaged.write_bytes(b"half of it")
    for model in (ModelConfig(weights="nowhere.h5"), ModelConfig(preset="resnet50")):
        with pytest.raises(WeightsError, match=r"does not exist|damaged"):
            check_network(model, TrainingConfig())


def test_what_fits_passes_and_leaves_no_trace() -> None:
    """The check does not change the numbers in the names of layers."""
    head = TypeAdapter(tuple[HeadLayer, ...]).validate_python(
        [_CONVOLUTION, {"type": "flatten"}]
    )
    model = ModelConfig(
        preset="inception_v3",
        weights="none",
        image_size=150,
        cut=("conv2d_3",),
        pooling="none",
        head=head,
    )
    check_network(model, TrainingConfig())
    check_network(ModelConfig(), TrainingConfig())
    assert build_backbone(model).output_shape[1:] == (35, 35, 80)
