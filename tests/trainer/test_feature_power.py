"""Features raised to a power: the served head gives the values of training."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from pydantic import ValidationError

from graft.trainer.config import ModelConfig, TrainingConfig
from graft.trainer.heads.head import signed_power
from graft.trainer.loops.training import fit_head


def _classes(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two classes that differ in small features; two large features are noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 300)
    features = rng.exponential(size=(300, 6)).astype(np.float32)
    features[:, :4] *= 0.01 + 0.02 * labels[:, None]
    features[:, 4:] = rng.normal(size=(300, 2)) * 100
    return features, labels


@pytest.mark.parametrize("optimizer", ["lbfgs", "ridge", "adamw"])
def test_head_takes_raw_features(optimizer: str, tmp_path: Path) -> None:
    """One that is trained on roots gives, for raw features, what it was trained to."""
    train, evaluation = _classes(1), _classes(2)
    settings = TrainingConfig.model_validate(
        {"optimizer": optimizer, "feature_power": 0.5, "epochs": 2}
    )
    head = fit_head(
        train, evaluation, model=ModelConfig(), training=settings, num_classes=2
    ).head
    plain = fit_head(
        (signed_power(train[0], 0.5), train[1]),
        (signed_power(evaluation[0], 0.5), evaluation[1]),
        model=ModelConfig(),
        training=settings.model_copy(update={"feature_power": 1.0}),
        num_classes=2,
    ).head
    new, labels = _classes(3)
    logits = head.predict(new, verbose=0)
    expected = plain.predict(signed_power(new, 0.5), verbose=0)
    np.testing.assert_allclose(logits, expected, atol=1e-3)
    head.save(tmp_path / "head.keras")
    again = keras.models.load_model(tmp_path / "head.keras", compile=False)
    np.testing.assert_allclose(again.predict(new, verbose=0), logits, atol=1e-6)
    if optimizer != "adamw":
        assert (logits.argmax(1) == labels).mean() > 0.8


def test_signs_stay() -> None:
    np.testing.assert_allclose(
        signed_power(np.array([-4.0, 0.0, 9.0], np.float32), 0.5), [-2.0, 0.0, 3.0]
    )


def test_backbone_in_the_loop_has_none() -> None:
    with pytest.raises(ValidationError, match="`feature_power` is for stored features"):
        TrainingConfig(strategy="frozen", feature_power=0.5)
