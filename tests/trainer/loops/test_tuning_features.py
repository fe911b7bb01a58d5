"""A search trains on features as the Trainer reads them, and judges them alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graft.contract.errors import UserError
from graft.trainer.config import DenseLayer, ModelConfig, TrainingConfig
from graft.trainer.heads import minibatch
from graft.trainer.loops import streamed_heads
from graft.trainer.loops.feature_source import FeatureSource
from graft.trainer.loops.tuning import Problem, finished_trials, open_study, search
from graft.trainer.loops.tuning_features import (
    LoadedFeatures,
    StreamedFeatures,
    stored_features,
)

_WIDTH = 6


@pytest.fixture
def sources(
    tmp_path: Path,
    write_shards: Callable[..., FeatureSource],
    monkeypatch: pytest.MonkeyPatch,
) -> list[FeatureSource]:
    """Features of `train` and `eval`, of three classes."""
    monkeypatch.setattr(minibatch, "_STEPS", 200)
    monkeypatch.setattr(minibatch, "_RATE", 0.4)
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, _WIDTH))
    sources = []
    for split, number in (("train", 1500), ("eval", 400)):
        labels = rng.integers(0, 3, number)
        rows = centres[labels] + rng.normal(size=(number, _WIDTH))
        sources.append(write_shards(tmp_path / split, rows.astype(np.float32), labels))
    return sources


def _problem(
    sources: list[FeatureSource], reading: str, model: ModelConfig, **training: Any
) -> Problem:
    settings = TrainingConfig(feature_reading=reading, epochs=3, **training)
    features = stored_features(*sources, model=model, training=settings, is_pooled=True)
    return Problem(features, model, settings, 3, (features.width(),), "loss")


@pytest.mark.parametrize(
    ("head", "training", "tolerance"),
    [
        pytest.param((), {}, 0.02, id="linear"),
        pytest.param((), {"optimizer": "ridge"}, 1e-3, id="ridge"),
        pytest.param((DenseLayer(units=8),), {"learning_rate": 0.01}, 0.1, id="layers"),
    ],
)
def test_streamed_and_loaded_features_give_nearly_the_same_score(
    sources: list[FeatureSource],
    head: tuple[DenseLayer, ...],
    training: dict[str, Any],
    tolerance: float,
) -> None:
    one, other = (
        _problem(sources, reading, ModelConfig(head=head), **training)
        for reading in ("memory", "stream")
    )
    assert isinstance(one.features, LoadedFeatures)
    assert isinstance(other.features, StreamedFeatures)
    assert one.features.width() == other.features.width() == _WIDTH
    assert one.fit(None).loss == pytest.approx(other.fit(None).loss, abs=tolerance)


def test_a_search_on_a_stream_ends(sources: list[FeatureSource]) -> None:
    problem = _problem(sources, "stream", ModelConfig())
    study = open_study("sqlite:///:memory:", "stream", seed=0)
    search(study, problem, num_trials=4)
    assert len(finished_trials(study)) == 4


def test_large_features_are_streamed(
    sources: list[FeatureSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 1900 * _WIDTH * 4
    for most, kind in ((size, LoadedFeatures), (size - 1, StreamedFeatures)):
        monkeypatch.setattr(streamed_heads, "MOST_BYTES_IN_MEMORY", most)
        assert isinstance(_problem(sources, "auto", ModelConfig()).features, kind)


def test_the_digest_changes_with_the_features(
    sources: list[FeatureSource], tmp_path: Path, write_shards: Any
) -> None:
    other = write_shards(tmp_path / "other", np.ones((9, _WIDTH)), np.arange(9) % 3)
    for reading in ("memory", "stream"):
        one, same, changed = (
            _problem(each, reading, ModelConfig()).features.digest()
            for each in (sources, sources, [sources[0], other])
        )
        assert one == same != changed


def test_what_a_stream_cannot_do_is_refused(sources: list[FeatureSource]) -> None:
    problem = _problem(sources, "memory", ModelConfig())
    training = problem.training.model_dump() | {
        "feature_reading": "stream",
        "optimizer": "sgd",
        "balanced_sampling": True,
    }
    with pytest.raises(UserError, match="balanced_sampling"):
        stored_features(
            *(replace(each, width=_WIDTH) for each in sources),
            model=problem.model,
            training=TrainingConfig.model_validate(training),
            is_pooled=True,
        )
