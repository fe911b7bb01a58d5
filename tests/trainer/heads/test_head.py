"""Heads of a config, and heads that don't fit."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from graft.contract.errors import UserError
from graft.trainer.config import ModelConfig
from graft.trainer.heads.head import Standardization, build_head

_BAD = {
    "no pooling": ([], "must end in a vector"),
    "a kernel too large": (
        [{"type": "conv2d", "filters": 4, "kernel_size": 9}],
        r"\[0\]",
    ),
    "pooling twice": ([{"type": "pooling"}, {"type": "pooling"}], r"`head\[1\]`"),
}


@pytest.mark.parametrize(("layers", "message"), _BAD.values(), ids=_BAD)
def test_head_that_does_not_fit(layers: list[object], message: str) -> None:
    config = ModelConfig.model_validate({"pooling": "none", "head": layers})
    with pytest.raises(UserError, match=message):
        build_head(config, (5, 5, 8), 3)


def test_every_kind_of_layer() -> None:
    config = ModelConfig.model_validate(
        {
            "pooling": "none",
            "head": [
                {"type": "conv2d", "filters": 4, "kernel_size": 2, "l2": 0.1},
                {"type": "batch_norm"},
                {"type": "activation", "activation": "relu"},
                {"type": "flatten"},
                {"type": "dropout", "rate": 0.5},
                {"type": "dense", "units": 6},
            ],
        }
    )
    head = build_head(config, (5, 5, 8), 3)
    features = np.ones((2, 5, 5, 8), np.float32)
    assert head(features).shape == (2, 3)
    assert len(head.losses) == 1


def test_sigmoid_is_one_logit() -> None:
    head = build_head(ModelConfig(output="sigmoid"), (8,), 2)
    assert head.output_shape == (None, 1)


def test_standardization_survives_saving(tmp_path: object) -> None:
    head = build_head(ModelConfig(), (8,), 3, with_standardization=True)
    features = np.random.default_rng(0).normal(5, 3, (500, 8)).astype(np.float32)
    features[:, 3] = 2.0
    layer = head.get_layer("standardization")
    assert isinstance(layer, Standardization)
    layer.adapt(features)
    moved = np.asarray(layer(features))
    np.testing.assert_allclose(moved.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(np.delete(moved.std(0), 3), 1, atol=1e-4)
    head.save(f"{tmp_path}/head.keras")
    again = keras.models.load_model(f"{tmp_path}/head.keras")
    np.testing.assert_allclose(again(features), head(features), atol=1e-6)
