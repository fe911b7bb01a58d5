"""The memory of a training: independent of the images, or their features once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graft.trainer.loops.feature_source import FeatureSource

WriteShards = Callable[..., FeatureSource]

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
    write_shards: WriteShards,
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


def test_memory_of_a_stream_is_bounded(
    tmp_path: Path, write_shards: WriteShards
) -> None:
    """Five times the rows, 103 MiB of features more."""
    small, large = (
        _growth_mib(write_shards, tmp_path / str(rows), rows, 1024, 4 * 2**20)
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
    wide: Path, write_shards: WriteShards, settings: dict[str, Any]
) -> None:
    """Five times the rows, 103 MiB of features more."""
    small, large = (
        _growth_mib(
            write_shards,
            wide / str(rows),
            rows,
            2048,
            4 * 2**20,
            reading="memory",
            **settings,
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
    wide: Path, write_shards: WriteShards, settings: dict[str, Any]
) -> None:
    """All memory of the process. 512 MB of features against 51 MB."""
    small, large = (
        _memory_mib(
            write_shards, wide / f"{rows}-narrow", rows, 512, 16 * 2**20, **settings
        )[1]
        for rows in (25_000, 250_000)
    )
    assert large < 1.1 * small, (small, large)
