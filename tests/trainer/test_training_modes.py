"""A key that is set and not read is named; the marks agree with what the code reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graft.trainer import training_modes
from graft.trainer.config import (
    AugmentationConfig,
    DenseLayer,
    FineTuneConfig,
    ModelConfig,
    TrainingConfig,
)
from graft.trainer.loops.training import fit_head

# Read outside of `loops`: where a run keeps its files, and the exported model.
_ELSEWHERE = {
    *("checkpoints", "feature_reading", "tensorboard", "unknown_share", "warm_start")
}


class Recorded(TrainingConfig):
    """Notes the keys that are read."""

    def __getattribute__(self, name: str) -> Any:
        if name in TrainingConfig.model_fields:
            _READ.add(name)
        return super().__getattribute__(name)


_READ: set[str] = set()


def _marked(modes: set[str]) -> set[str]:
    """Return the keys that are marked as read with these kinds of training."""
    return {
        name
        for name, field in TrainingConfig.model_fields.items()
        if all(
            mark.modes <= modes
            for mark in field.metadata
            if isinstance(mark, training_modes.ReadWith)
        )
    }


def _fit(head: tuple[DenseLayer, ...], **settings: Any) -> set[str]:
    features = np.random.default_rng(0).normal(size=(24, 6)).astype(np.float32)
    data = (features, np.arange(24) % 3)
    training = Recorded(**settings)
    _READ.clear()
    fit_head(data, data, model=ModelConfig(head=head), training=training, num_classes=3)
    return set(_READ)


@pytest.mark.parametrize(
    ("head", "settings", "solver"),
    [
        ((), {"cross_validation_folds": 2}, True),
        ((), {"optimizer": "ridge"}, True),
        ((DenseLayer(units=2),), {"optimizer": "adam", "epochs": 1}, False),
        (
            (DenseLayer(units=2),),
            {
                "optimizer": "sgd",
                "schedule": "plateau",
                "epochs": 2,
                "learning_rate": 1e-9,
                "plateau_patience": 1,
                "ema_momentum": 0.5,
            },
            False,
        ),
        ((DenseLayer(units=2),), {"optimizer": "adamw", "epochs": 1}, False),
    ],
    ids=["lbfgs", "ridge", "adam", "sgd", "adamw"],
)
def test_marks_agree_with_what_training_on_features_reads(
    head: tuple[DenseLayer, ...], settings: dict[str, Any], solver: bool
) -> None:
    read = _fit(head, **settings)
    training = TrainingConfig(**settings)
    modes = training_modes.modes_of(
        training.strategy, training.optimizer, training.schedule, solver
    )
    marked = _marked(modes)
    assert not read - marked, "read, but marked as not read"
    missing = marked - read - _ELSEWHERE - {"strategy"}
    # `ridge` refuses smoothing, and reads no seed without folds.
    allowed = {"label_smoothing"} if settings.get("optimizer") == "ridge" else set()
    assert not missing - allowed, "marked as read, but not read"


@pytest.mark.parametrize("strategy", ["frozen", "fine_tune"])
def test_training_on_images_reads_no_key_of_stored_features(strategy: str) -> None:
    modes = training_modes.modes_of(strategy, "auto", "cosine", True)
    unread = TrainingConfig.model_fields.keys() - _marked(modes)
    assert {"standardize", "regularization", "momentum", "plateau_patience"} <= unread
    assert ("fine_tune" in unread) is (strategy == "frozen")
    assert not {"augmentation", "devices", "epochs", "weight_decay"} & unread


def test_only_what_was_set_and_differs_is_named() -> None:
    assert TrainingConfig().unused_keys(has_linear_head=True) == {}
    copied = TrainingConfig(**TrainingConfig().model_dump())
    assert copied.unused_keys(has_linear_head=True) == {}
    unused = TrainingConfig(epochs=3, momentum=0.5).unused_keys(has_linear_head=True)
    assert list(unused) == ["epochs", "momentum"]
    assert "adamw" in unused["epochs"]
    other = TrainingConfig(epochs=3, momentum=0.5, regularization=(1.0,))
    assert list(other.unused_keys(has_linear_head=False)) == [
        "momentum",
        "regularization",
    ]
    spec = TrainingConfig(
        strategy="frozen",
        fine_tune=FineTuneConfig(epochs=2),
        augmentation=AugmentationConfig(zoom=0.1),
        standardize=False,
    )
    assert list(spec.unused_keys(has_linear_head=True)) == ["standardize", "fine_tune"]
