"""Compare heads fitted to features from a stream with those from memory.

    python tests/benchmarks/streaming_benchmark.py --images 50000 --cache FOLDER

CIFAR-10 at 64 pixels, the features of the default preset. Eight tenths of the images
are `train`, one tenth is `eval`, and the last tenth is only for the figures. Each head
is fitted in a process of its own by the function that the Trainer calls: the linear
head of the default config, a ridge head, and a head with one dense layer. The memory is
the growth of the process while it trains; pages of mapped files count, too.

GRAFT_TEST_DATA names the folder of `cifar10_train.tar.xz`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

_NUM_SHARDS = 4
_HEADS = {
    "linear": ({}, {}),
    "ridge": ({}, {"optimizer": "ridge"}),
    "dense": (
        {"head": [{"type": "dense", "units": 128, "activation": "relu"}]},
        {"optimizer": "adamw", "epochs": 5, "batch_size": 128},
    ),
}


def main() -> None:
    """Write the features, fit all heads, and print a table."""
    parser = argparse.ArgumentParser(description="Compare a stream with memory.")
    parser.add_argument("--images", type=int, nargs="+", default=[50_000])
    parser.add_argument("--heads", nargs="+", default=list(_HEADS), choices=_HEADS)
    parser.add_argument("--cache", type=Path, help="Folder that keeps the features.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--fit", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fit:
        _fit(*arguments.fit)
        return
    _say("| Images | Head | Reading | Processor time | Memory | Penalty | Accuracy |")
    _say("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="graft-bench-") as folder:
        features, labels = _features(arguments.cache or Path(folder))
        for number in arguments.images:
            case = Path(folder) / str(number)
            _write(case, features[:number], labels[:number])
            for head in arguments.heads:
                for seed in arguments.seeds:
                    for reading in ("memory", "stream"):
                        _say(_row(case, head, reading, seed))


def _features(cache: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the features of all images, in random order, and their labels."""
    from results import distinct, read_images, stored_features

    from graft.pipeline.config import PipelineConfig

    config = PipelineConfig.model_validate(
        {
            "name": "cifar10",
            "data": {"path": "cifar10"},
            "model": {"preset": "efficientnet_lite0", "image_size": 64},
        }
    )
    archive = Path(os.environ["GRAFT_TEST_DATA"]) / "cifar10_train.tar.xz"
    features, labels = stored_features(config, distinct(read_images(archive)), cache)
    # They are in the order of their SHA-256, which is random.
    return features, labels


def _write(folder: Path, features: np.ndarray, labels: np.ndarray) -> None:
    """Write shards of `train` and `eval`, and the other images."""
    import tensorflow as tf

    from graft.contract import example_keys

    first, second = (len(labels) * tenths // 10 for tenths in (8, 9))
    for split, rows in (("train", slice(first)), ("eval", slice(first, second))):
        (folder / split).mkdir(parents=True)
        for index in range(_NUM_SHARDS):
            path = str(folder / split / f"data-{index}")
            with tf.io.TFRecordWriter(path) as writer:
                part = slice(index, None, _NUM_SHARDS)
                pairs = zip(features[rows][part], labels[rows][part], strict=True)
                for values, label in pairs:
                    example = tf.train.Example()
                    feature = example.features.feature
                    feature[example_keys.FEATURES_KEY].float_list.value.extend(values)
                    feature[example_keys.LABEL_KEY].int64_list.value.append(label)
                    writer.write(example.SerializeToString())
    np.savez(folder / "others.npz", x=features[second:], y=labels[second:])


def _row(case: Path, head: str, reading: str, seed: int) -> str:
    done = subprocess.run(
        [sys.executable, __file__, "--fit", str(case), head, reading, str(seed)],
        stdout=subprocess.PIPE,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    penalty = "" if found["penalty"] is None else f"{found['penalty']:g}"
    return (
        f"| {case.name} | {head} | {reading} | {found['seconds']:.0f} s "
        f"| {found['mib']:.0f} MiB | {penalty} | {found['accuracy']:.4f} |"
    )


def _fit(case: str, head: str, reading: str, seed: str) -> None:
    """Fit a head and print what it took."""
    from graft.trainer.config import ModelConfig, TrainingConfig
    from graft.trainer.loops.feature_source import FeatureSource
    from graft.trainer.loops.streamed_heads import fit_stored_features

    others = np.load(f"{case}/others.npz")
    features, labels = others["x"], others["y"]
    model, training = _HEADS[head]
    before, started = _kib("VmRSS"), time.process_time()
    fitted = fit_stored_features(
        FeatureSource.of([f"{case}/train/*"]),
        FeatureSource.of([f"{case}/eval/*"]),
        model=ModelConfig.model_validate(model),
        training=TrainingConfig.model_validate(
            {**training, "feature_reading": reading, "seed": int(seed)}
        ),
        num_classes=10,
        feature_shape=features.shape[1:],
    )
    seconds, peak = time.process_time() - started, _kib("VmHWM")
    logits = fitted.head.predict(features, batch_size=1024, verbose=0)
    _say(
        json.dumps(
            {
                "seconds": seconds,
                "mib": (peak - before) / 1024,
                "penalty": fitted.facts.penalty,
                "accuracy": float((logits.argmax(1) == labels).mean()),
            }
        )
    )


def _kib(name: str) -> int:
    """Return a value of this process's status, in KiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
