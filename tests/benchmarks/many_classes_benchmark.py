"""Compare the training of many classes with that of few, on as many images.

    python tests/benchmarks/many_classes_benchmark.py [--images 20000] [--width 3584]

One case has 1,000 classes, the other has 10. Both have the same number of images and
the default config: a linear head that tries the default penalties. `train` has eight
ninths of the images and `eval` the rest. The features are synthetic: a class is a
centre in 256 dimensions, an image is its centre plus noise, and 3,584 rectified sums of
these numbers are its features. Each case runs in a process of its own, as the Trainer
does: it imports the trainer, reads the features from a shard and fits the head. The
accuracy is that on 4,000 other images.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

_MANY, _FEW = 1000, 10
_DIMENSIONS = 256
_HELD_OUT = 4000
_GOAL = 5.0


def main() -> None:
    """Run both cases and print their ratio."""
    parser = argparse.ArgumentParser(description="Time the training of many classes.")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--width", type=int, default=3584)
    parser.add_argument("--only", type=int, nargs="+", default=[_FEW, _MANY])
    parser.add_argument("--fit", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fit:
        _fit(arguments.fit)
        return
    seconds = {}
    for num_classes in arguments.only:
        with tempfile.TemporaryDirectory(prefix="graft-bench-") as folder:
            write_case(Path(folder), num_classes, arguments.images, arguments.width)
            found = _run(Path(folder))
        seconds[num_classes] = found["processor"]
        _say(
            f"{num_classes} classes of {arguments.images // num_classes}: "
            f"{found['processor']:.1f} s of processor time, of which the head "
            f"{found['head_processor']:.1f} s; {found['wall']:.1f} s by the clock; "
            f"{found['peak_gib']:.2f} GiB; penalty {found['penalty']:g} of "
            f"{found['tried']} tried; accuracy {found['accuracy']:.4f}"
        )
    if len(seconds) > 1:
        ratio = seconds[_MANY] / seconds[_FEW]
        outcome = "reached" if ratio <= _GOAL else "MISSED"
        _say(f"ratio {ratio:.1f}; goal {_GOAL:g}, {outcome}")


def synthetic(
    num_classes: int, num_images: int, width: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return features, float32 (N, F), and labels, int64 (N,), of mixed classes.

    Args:
        num_classes: Number of classes, K.
        num_images: Number of images, N; each class has about as many.
        width: Number of features, F.
        seed: Seed of the images. The classes are always the same.
    """
    fixed = np.random.default_rng(17)
    spread = np.arange(1, _DIMENSIONS + 1) ** -0.5
    centres = fixed.normal(size=(num_classes, _DIMENSIONS)) * spread
    mixing = fixed.normal(size=(_DIMENSIONS, width)).astype(np.float32)
    offset = fixed.normal(size=width).astype(np.float32)
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(num_images) % num_classes)
    features = np.empty((num_images, width), np.float32)
    for start in range(0, num_images, 4096):
        some = labels[start : start + 4096]
        noise = rng.normal(size=(len(some), _DIMENSIONS)) * spread
        own = rng.normal(size=(len(some), width)).astype(np.float32)
        latent = (0.45 * centres[some] + noise).astype(np.float32)
        features[start : start + 4096] = np.maximum(latent @ mixing + offset + own, 0)
    return features, labels


def write_case(folder: Path, num_classes: int, num_images: int, width: int) -> None:
    """Write shards `train` and `eval`, and held-out images, to the folder."""
    import tensorflow as tf

    from graft.contract import example_keys

    x, y = synthetic(num_classes, num_images, width, 1)
    num_eval = num_images // 9
    for name, part in (("eval", slice(num_eval)), ("train", slice(num_eval, None))):
        with tf.io.TFRecordWriter(str(folder / name)) as writer:
            for values, label in zip(x[part], y[part], strict=True):
                example = tf.train.Example()
                feature = example.features.feature
                feature[example_keys.FEATURES_KEY].float_list.value.extend(values)
                feature[example_keys.LABEL_KEY].int64_list.value.append(label)
                writer.write(example.SerializeToString())
    held_out, labels = synthetic(num_classes, _HELD_OUT, width, 2)
    np.savez(folder / "held_out.npz", x=held_out, y=labels)


def _run(folder: Path) -> dict[str, float]:
    finished = subprocess.run(
        [sys.executable, __file__, "--fit", str(folder)],
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return found


def _fit(folder: Path) -> None:
    """Fit a head to the shards of a folder and print what it took."""
    from graft.trainer.config import ModelConfig, TrainingConfig
    from graft.trainer.loops.input_fn import load_features
    from graft.trainer.loops.training import fit_head

    started, before = time.monotonic(), None
    train, evaluation = (load_features([str(folder / n)]) for n in ("train", "eval"))
    before = time.process_time()
    fitted = fit_head(
        train,
        evaluation,
        model=ModelConfig(),
        training=TrainingConfig(),
        num_classes=int(train[1].max()) + 1,
    )
    usage = resource.getrusage(resource.RUSAGE_SELF)
    after, wall = time.process_time(), time.monotonic() - started
    held_out = np.load(folder / "held_out.npz")
    logits = fitted.head.predict(held_out["x"], batch_size=1024, verbose=0)
    path = fitted.history
    best = int(np.argmin(path["eval_loss"]))
    sys.stderr.write(json.dumps(path) + "\n")
    _say(
        json.dumps(
            {
                "processor": after,
                "head_processor": after - before,
                "wall": wall,
                "peak_gib": usage.ru_maxrss / 2**20,
                "penalty": path["penalty"][best],
                "tried": len(path["penalty"]),
                "accuracy": float((logits.argmax(1) == held_out["y"]).mean()),
            }
        )
    )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
