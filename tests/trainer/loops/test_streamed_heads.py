"""Stored features are loaded where they fit, and streamed in bounded memory else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from graft.contract import example_keys
from graft.contract.errors import DataError, TrainingError, UserError
from graft.trainer.config import ModelConfig, TrainingConfig
from graft.trainer.heads import minibatch
from graft.trainer.loops import streamed_heads
from graft.trainer.loops.array_checkpoint import ArrayCheckpoint
from graft.trainer.loops.checkpoint import Checkpoint
from graft.trainer.loops.feature_source import FeatureSource
from graft.trainer.loops.input_fn import load_features
from graft.trainer.loops.streamed_heads import fit_stored_features
from graft.trainer.loops.training import Fitted, fit_head

_WIDTH = 12
_ROWS = {"train": 6000, "eval": 300}


def write_shards(
    folder: Path, features: np.ndarray, labels: np.ndarray, num_shards: int = 3
) -> FeatureSource:
    """Write shards as BottleneckFeatures does."""
    folder.mkdir(parents=True)
    for index in range(num_shards):
        with tf.io.TFRecordWriter(str(folder / f"data-{index}")) as writer:
            for values, label in zip(
                features[index::num_shards], labels[index::num_shards], strict=True
            ):
                example = tf.train.Example()
                feature = example.features.feature
                feature[example_keys.FEATURES_KEY].float_list.value.extend(values)
                feature[example_keys.LABEL_KEY].int64_list.value.append(int(label))
                writer.write(example.SerializeToString())
    return FeatureSource.of([str(folder / "*")])


def _blobs(num_classes: int, split: str) -> tuple[np.ndarray, np.ndarray]:
    centres = np.random.default_rng(9).normal(size=(num_classes, _WIDTH)) * 0.6
    rng = np.random.default_rng(len(split))
    labels = rng.integers(0, num_classes, _ROWS[split])
    noise = rng.normal(size=(len(labels), _WIDTH))
    return (centres[labels] + noise).astype(np.float32), labels


Sources = dict[str, FeatureSource]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
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
    arrays = [load_features(sources[split].patterns) for split in ("train", "eval")]
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
    tmp_path: Path, output: str, num_classes: int, power: float
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


@pytest.mark.parametrize("size", [7, 50, 700])
def test_batches_have_the_size_asked_for(sources: Sources, size: int) -> None:
    sizes = [len(y) for _, y in sources["train"].batches(size, (0, 0))]
    assert sizes == [size] * (6000 // size) + [6000 % size] * (6000 % size > 0)


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


def test_each_epoch_sees_every_example_once_in_an_order_of_its_own(
    sources: Sources,
) -> None:
    def order(*shuffle: int) -> np.ndarray:
        return np.concatenate(
            [x[:, 0] for x, _ in sources["train"].batches(50, shuffle)]
        )

    one, again, other = order(1, 0), order(1, 0), order(1, 1)
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    stored = np.concatenate([x[:, 0] for x, _ in sources["train"].batches(50)])
    assert not np.array_equal(one, stored)
    np.testing.assert_array_equal(np.sort(one), np.sort(stored))


_PEAK = """
import json, sys
from graft.trainer.config import ModelConfig, TrainingConfig
from graft.storage import mapped_rows
from graft.trainer.heads import many_classes, minibatch, ridge
from graft.trainer.loops import feature_source
from graft.trainer.loops.feature_source import FeatureSource
from graft.trainer.loops.streamed_heads import fit_stored_features
folder, width, buffer = sys.argv[1], *map(int, sys.argv[2:4])
model, training = map(json.loads, sys.argv[4:6])
feature_source._BUFFER_BYTES = buffer
mapped_rows._bytes_in_memory = lambda: buffer
ridge._BYTES_AT_ONCE = buffer
many_classes._LARGE_PROBLEM = training.pop("large_problem", 1e10)
minibatch._STEPS = 1
minibatch._FEWEST_EPOCHS = 2
# `ru_maxrss` would begin with the memory of the process that started this one.
def kib(name):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
before = kib("VmRSS")
fit_stored_features(
    FeatureSource.of([folder + "/train/*"]),
    FeatureSource.of([folder + "/eval/*"]),
    model=ModelConfig(**model),
    training=TrainingConfig(**training),
    num_classes=3,
    feature_shape=(width,),
)
print(kib("VmHWM") - before, kib("VmHWM"))
"""


def _growth_mib(*arguments: Any, **training: Any) -> float:
    """Return by how much a training raises a process's memory; see `_memory_mib`."""
    return _memory_mib(*arguments, **training)[0]


def _memory_mib(
    folder: Path,
    num_rows: int,
    width: int,
    buffer: int,
    *,
    head: Sequence[object] = (),
    reading: str = "stream",
    **training: object,
) -> tuple[float, float]:
    """Return what a training adds to its process's memory, and all at the peak."""
    if not folder.exists():
        rng = np.random.default_rng(0)
        for split, number in (("train", num_rows), ("eval", num_rows // 10)):
            features = rng.random((number, width), np.float32)
            write_shards(folder / split, features, rng.integers(0, 3, number))
    settings = ({"head": head}, {"feature_reading": reading, **training})
    texts = [str(folder), str(width), str(buffer), *map(json.dumps, settings)]
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, *texts],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    growth, peak = (int(each) / 1024 for each in done.stdout.split()[-2:])
    return growth, peak


def test_memory_of_a_stream_is_bounded(tmp_path: Path) -> None:
    """Five times the rows, 103 MiB of features more."""
    small, large = (
        _growth_mib(tmp_path / str(rows), rows, 1024, 4 * 2**20)
        for rows in (6000, 30000)
    )
    assert large - small < 40, (small, large)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where wide features will lie, so that they are written once."""
    return tmp_path_factory.mktemp("wide")


_LAYERS = [{"type": "dense", "units": 4}]


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="lbfgs"),
        pytest.param({"large_problem": 0}, id="many classes", marks=pytest.mark.large),
        pytest.param({"feature_power": 0.5}, id="roots", marks=pytest.mark.large),
        pytest.param({"optimizer": "ridge"}, id="ridge", marks=pytest.mark.large),
        pytest.param(
            {"head": _LAYERS, "epochs": 1}, id="layers", marks=pytest.mark.large
        ),
    ],
)
def test_features_in_memory_are_there_once(
    wide: Path, settings: dict[str, Any]
) -> None:
    """Five times the rows, 103 MiB of features more."""
    small, large = (
        _growth_mib(
            wide / str(rows), rows, 2048, 4 * 2**20, reading="memory", **settings
        )
        for rows in (3000, 15000)
    )
    assert 90 < large - small < 180, (small, large)


@pytest.mark.large
@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="mini-batches"),
        pytest.param({"optimizer": "ridge"}, id="ridge"),
        pytest.param(
            {"optimizer": "adamw", "epochs": 1, "batch_size": 512}, id="steps"
        ),
    ],
)
@pytest.mark.timeout(1000)
def test_memory_of_ten_times_the_images_is_the_same(
    wide: Path, settings: dict[str, Any]
) -> None:
    """All memory of the process. 512 MB of features against 51 MB."""
    small, large = (
        _memory_mib(wide / f"{rows}-narrow", rows, 512, 16 * 2**20, **settings)[1]
        for rows in (25_000, 250_000)
    )
    assert large < 1.1 * small, (small, large)


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
    tmp_path: Path, reading: str, labels: list[int], num_classes: int, message: str
) -> None:
    rows = np.random.default_rng(0).normal(size=(60, _WIDTH))
    all_labels = np.resize(labels, 60)
    sources = {each: write_shards(tmp_path / each, rows, all_labels) for each in _ROWS}
    with pytest.raises(DataError, match=message):
        _fit(sources, num_classes, feature_reading=reading)


@pytest.mark.parametrize("reading", ["memory", "stream"])
@pytest.mark.parametrize("width", [0, 5])
def test_features_of_another_backbone_are_refused(
    tmp_path: Path, reading: str, width: int
) -> None:
    rows, labels = np.ones((60, width)), np.resize([0, 1], 60)
    sources = {each: write_shards(tmp_path / each, rows, labels) for each in _ROWS}
    with pytest.raises(DataError, match=f"Received: {width} numbers a record"):
        _fit(sources, 2, feature_reading=reading)
