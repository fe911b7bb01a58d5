"""Stored features are loaded where they fit, and streamed in bounded memory else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graft.contract.errors import DataError, TrainingError, UserError
from graft.trainer.config import ModelConfig, TrainingConfig
from graft.trainer.heads import minibatch
from graft.trainer.loops import streamed_heads
from graft.trainer.loops.array_checkpoint import ArrayCheckpoint
from graft.trainer.loops.checkpoint import Checkpoint
from graft.trainer.loops.feature_source import FeatureSource
from graft.trainer.loops.streamed_heads import fit_stored_features
from graft.trainer.loops.training import Fitted, fit_head

_WIDTH = 12
_ROWS = {"train": 6000, "eval": 300}


def _blobs(num_classes: int, split: str) -> tuple[np.ndarray, np.ndarray]:
    centres = np.random.default_rng(9).normal(size=(num_classes, _WIDTH)) * 0.6
    rng = np.random.default_rng(len(split))
    labels = rng.integers(0, num_classes, _ROWS[split])
    noise = rng.normal(size=(len(labels), _WIDTH))
    return (centres[labels] + noise).astype(np.float32), labels


Sources = dict[str, FeatureSource]
WriteShards = Callable[..., FeatureSource]


@pytest.fixture(scope="module")
def sources(
    tmp_path_factory: pytest.TempPathFactory, write_shards: WriteShards
) -> Sources:
    """Features of three classes."""
    folder = tmp_path_factory.mktemp("features")
    return {split: write_shards(folder / split, *_blobs(3, split)) for split in _ROWS}


@pytest.fixture(autouse=True)
def few_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the tests short: fewer steps, which are larger."""
    monkeypatch.setattr(minibatch, "_STEPS", 400)
    monkeypatch.setattr(minibatch, "_RATE", 0.4)


def _fit(
    sources: Sources, num_classes: int = 3, model: Any = None, **training: Any
) -> Fitted:
    return fit_stored_features(
        sources["train"],
        sources["eval"],
        model=model or ModelConfig(),
        training=TrainingConfig(**training),
        num_classes=num_classes,
        feature_shape=(_WIDTH,),
    )


def _weights(fitted: Fitted) -> list[np.ndarray]:
    weights: list[np.ndarray] = fitted.head.get_weights()
    return weights


@pytest.mark.parametrize("reading", ["auto", "memory"])
def test_features_that_fit_give_the_head_of_the_exact_solver(
    sources: Sources, reading: str
) -> None:
    fitted = _fit(sources, feature_reading=reading)
    arrays = [sources[split].load_within(np.inf) for split in ("train", "eval")]
    expected = fit_head(
        *arrays, model=ModelConfig(), training=TrainingConfig(), num_classes=3
    )
    for one, other in zip(_weights(fitted), _weights(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    assert fitted.facts.reading == "memory"
    assert fitted.facts.solver == "lbfgs"


def test_large_features_are_streamed_and_that_is_told(
    sources: Sources, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    size = 4 * _WIDTH * sum(_ROWS.values())
    monkeypatch.setattr(streamed_heads, "MOST_BYTES_IN_MEMORY", size)
    assert _fit(sources).facts.reading == "memory"
    assert "'auto': the features are read as `memory`" in caplog.text
    monkeypatch.setattr(streamed_heads, "MOST_BYTES_IN_MEMORY", size - 1)
    fitted = _fit(sources, cross_validation_folds=3)
    assert (fitted.facts.solver, fitted.facts.reading) == ("minibatch", "stream")
    assert "'auto': the features are read as `stream`" in caplog.text
    told = " ".join(fitted.facts.notes)
    assert "they take more than" in told
    assert "no cross-validation" in told
    assert len(fitted.history["eval_loss"]) == 9
    fitted = _fit(sources, optimizer="ridge")
    assert (fitted.facts.solver, fitted.facts.reading) == ("ridge", "stream")
    fitted = _fit(sources, optimizer="sgd", epochs=1)
    assert (fitted.facts.solver, fitted.facts.reading) == ("sgd", "stream")
    assert "mini-batches" not in " ".join(fitted.facts.notes)
    # A training that needs all features gets them.
    fitted = _fit(sources, optimizer="sgd", epochs=1, balanced_sampling=True)
    assert fitted.facts.reading == "memory"


@pytest.mark.parametrize(
    ("output", "num_classes", "power"),
    [("softmax", 3, 1.0), ("softmax", 3, 0.5), ("sigmoid", 2, 1.0)],
)
def test_stream_and_memory_agree(
    tmp_path: Path,
    write_shards: WriteShards,
    output: str,
    num_classes: int,
    power: float,
) -> None:
    data = {split: _blobs(num_classes, split) for split in _ROWS}
    sources = {split: write_shards(tmp_path / split, *data[split]) for split in _ROWS}
    logits = [
        _fit(
            sources,
            num_classes,
            ModelConfig(output=output),
            feature_reading=reading,
            feature_power=power,
            regularization=(0.01, 0.1, 1.0),
        ).head.predict(data["eval"][0], verbose=0)
        for reading in ("stream", "memory")
    ]
    np.testing.assert_allclose(logits[0], logits[1], atol=0.25)


@pytest.mark.parametrize("weights", [None, (1.0, 2.0, 0.5)])
@pytest.mark.parametrize("power", [1.0, 0.5])
def test_ridge_of_a_stream_is_that_of_memory(
    sources: Sources, weights: tuple[float, ...] | None, power: float
) -> None:
    stream, memory = (
        _fit(
            sources,
            optimizer="ridge",
            class_weights=weights,
            feature_power=power,
            feature_reading=reading,
        )
        for reading in ("stream", "memory")
    )
    for one, other in zip(_weights(stream), _weights(memory), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)
    assert stream.facts.penalty == memory.facts.penalty
    for key, values in memory.history.items():
        np.testing.assert_allclose(stream.history[key], values, rtol=2e-3)


_DENSE = [{"type": "dense", "units": 16, "activation": "relu"}]
_CONV = [{"type": "conv2d", "filters": 8, "kernel_size": 2}, {"type": "flatten"}]


@pytest.mark.parametrize(
    ("shape", "head", "settings"),
    [
        pytest.param((_WIDTH,), _DENSE, {}, id="vectors"),
        pytest.param((_WIDTH,), _DENSE, {"feature_power": 0.5}, id="roots"),
        pytest.param((_WIDTH,), [], {"optimizer": "adamw"}, id="linear"),
        pytest.param((2, 2, 3), _CONV, {"standardize": True}, id="maps"),
    ],
)
def test_layers_learn_as_well_from_a_stream(
    sources: Sources,
    shape: tuple[int, ...],
    head: list[dict[str, object]],
    settings: dict[str, object],
) -> None:
    stream, memory = (
        fit_stored_features(
            sources["train"],
            sources["eval"],
            model=ModelConfig(head=head, pooling="avg" if len(shape) == 1 else "none"),
            training=TrainingConfig(
                epochs=4, learning_rate=0.01, feature_reading=reading, **settings
            ),
            num_classes=3,
            feature_shape=shape,
        )
        for reading in ("stream", "memory")
    )
    assert stream.facts.reading == "stream"
    assert set(stream.history) == set(memory.history)
    best, expected = (min(each.history["eval_loss"]) for each in (stream, memory))
    assert best == pytest.approx(expected, rel=0.05)
    if settings.get("standardize") is not None or not settings:
        layers = [each.head.get_layer("standardization") for each in (stream, memory)]
        for one, other in zip(*(layer.get_weights() for layer in layers), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_stream_is_refused_where_all_features_are_needed(sources: Sources) -> None:
    with pytest.raises(UserError, match="balanced_sampling=True"):
        _fit(sources, optimizer="sgd", balanced_sampling=True, feature_reading="stream")


def test_loss_that_is_not_finite_stops_a_stream(sources: Sources) -> None:
    with pytest.raises(TrainingError, match=r"at step \d+ \(epoch 1\) of head"):
        _fit(
            sources,
            optimizer="sgd",
            learning_rate=1e38,
            schedule="constant",
            feature_reading="stream",
        )


@pytest.mark.parametrize(
    ("settings", "keeper", "epoch"),
    [
        pytest.param({}, ArrayCheckpoint, 3, id="mini-batches"),
        pytest.param({"optimizer": "adamw", "epochs": 4}, Checkpoint, 2, id="steps"),
    ],
)
def test_a_stream_goes_on_where_it_was_broken_off(
    sources: Sources,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, object],
    keeper: Any,
    epoch: int,
) -> None:
    def fit(folder: str | None) -> Fitted:
        return fit_stored_features(
            sources["train"],
            sources["eval"],
            model=ModelConfig(),
            training=TrainingConfig(feature_reading="stream", **settings),
            num_classes=3,
            feature_shape=(_WIDTH,),
            checkpoint_dir=folder,
        )

    save = keeper.save
    saved = 0

    def save_and_end(*args: Any, **kwargs: Any) -> None:
        nonlocal saved
        save(*args, **kwargs)
        saved += 1
        if saved == epoch:
            raise KeyboardInterrupt

    folder = str(tmp_path / "checkpoint")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(keeper, "save", save_and_end)
        fit(folder)
    states = [json.loads(path.read_text()) for path in Path(folder).glob("*.json")]
    assert [each["state"]["epoch"] for each in states] == [epoch]
    assert len(list(Path(folder).glob("head-[0-9]*"))) == 1
    unbroken, resumed = fit(None), fit(folder)
    for one, other in zip(_weights(resumed), _weights(unbroken), strict=True):
        np.testing.assert_array_equal(one, other)
    assert resumed.history["eval_loss"] == unbroken.history["eval_loss"]


@pytest.mark.parametrize(
    ("split", "change", "error", "message"),
    [
        ("train", "nan", TrainingError, "of `train` are not finite"),
        ("eval", "nan", TrainingError, "of `eval` are not finite"),
        ("train", "unknown", DataError, "every class needs images"),
        ("eval", "unknown", DataError, "1 image of `eval` in classes that"),
        ("train", "missing", DataError, "none of the classes"),
        ("eval", "empty", DataError, "A split has no images"),
    ],
)
def test_data_that_do_not_fit_are_refused(
    tmp_path: Path,
    write_shards: WriteShards,
    split: str,
    change: str,
    error: type[Exception],
    message: str,
) -> None:
    data = {name: _blobs(3, name) for name in _ROWS}
    features, labels = data[split]
    match change:
        case "nan":
            features[7, 2] = np.nan
        case "unknown":
            labels[7] = -1
        case "missing":
            labels[labels == 1] = 0
        case _:
            features, labels = features[:0], labels[:0]
    data[split] = features, labels
    sources = {name: write_shards(tmp_path / name, *data[name]) for name in _ROWS}
    with pytest.raises(error, match=message):
        _fit(sources, feature_reading="stream")


@pytest.mark.parametrize("reading", ["memory", "stream"])
@pytest.mark.parametrize(
    ("labels", "num_classes", "message"),
    [
        ([0, 1, 2], 2, r"must be in \[0, 2\).*Received: 2, in 20 of 60"),
        ([0, 1, 7], 2, r"must be in \[0, 2\).*Received: 7, in 20 of 60"),
        ([0, 1, -2], 2, r"must be in \[0, 2\).*Received: -2, in 20 of 60"),
        ([0], 1, "2 classes or more. Received: 1"),
    ],
    ids=["next", "far", "negative", "one class"],
)
def test_labels_that_cannot_be_trained_on_are_refused(
    tmp_path: Path,
    write_shards: WriteShards,
    reading: str,
    labels: list[int],
    num_classes: int,
    message: str,
) -> None:
    rows = np.random.default_rng(0).normal(size=(60, _WIDTH))
    all_labels = np.resize(labels, 60)
    sources = {each: write_shards(tmp_path / each, rows, all_labels) for each in _ROWS}
    with pytest.raises(DataError, match=message):
        _fit(sources, num_classes, feature_reading=reading)


@pytest.mark.parametrize("reading", ["memory", "stream"])
@pytest.mark.parametrize("width", [0, 5])
def test_features_of_another_backbone_are_refused(
    tmp_path: Path, write_shards: WriteShards, reading: str, width: int
) -> None:
    rows, labels = np.ones((60, width)), np.resize([0, 1], 60)
    sources = {each: write_shards(tmp_path / each, rows, labels) for each in _ROWS}
    with pytest.raises(DataError, match=f"Received: {width} numbers a record"):
        _fit(sources, 2, feature_reading=reading)
