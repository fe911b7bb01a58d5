"""Measure the table of results: accuracy on real photographs, with three seeds.

    python tests/benchmarks/results.py [--only santa cifar10_1000] [--cache FOLDER]

Each row is a config of `pipeline/configs/`. The functions of `graft run` train it:
BottleneckFeatures' store gives the features, and
`graft.trainer.loops.training.fit_head` fits the head. A seed decides which images are
held out or trained on (`Row.hold_out`), and which of the latter are `eval`. Held-out
images choose nothing: recipes come from images that no seed holds out
(docs/results.md), penalties from each seed's own training images.

The images come from the folder that GRAFT_TEST_DATA names (see tests/conftest.py).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from graft.components.features.extraction import (
    Extraction,
    ExtractShard,
    Shard,
    release_workers,
)
from graft.contract import example_keys
from graft.pipeline.config import PipelineConfig, load_config
from graft.pipeline.pipeline import preprocessing_spec
from graft.trainer.loops.input_fn import load_features
from graft.trainer.loops.training import fit_head

ROOT = Path(__file__).resolve().parents[2]
SEEDS = (1, 2, 3)
_SHARD_IMAGES = 5000

HoldOut = tuple[np.ndarray, np.ndarray]
"""Positions, among a data set's images, of those to learn from and those held out."""


@dataclass(frozen=True)
class Image:
    """An image of a data set.

    Attributes:
        key: SHA-256 of its bytes, 64 hexadecimal digits.
        name: Path in its archive.
        class_name: Its class.
        folder: `train` or `validation` where the archive has such folders.
        content: The file's bytes.
    """

    key: str
    name: str
    class_name: str
    folder: str
    content: bytes


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        title: What is measured, in words.
        archive: Name of the archive in the data folder.
        config: Name of the config in `pipeline/configs/`.
        target: The accuracy to reach.
        hold_out: Takes the images, in the order of their hash, and a seed.
    """

    title: str
    archive: str
    config: str
    target: float
    hold_out: Callable[[Sequence[Image], int], HoldOut]


def validation(images: Sequence[Image], seed: int) -> HoldOut:
    """Hold out the folder `validation`, for every seed."""
    is_held_out = np.array([image.folder == "validation" for image in images])
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def own_fifth(images: Sequence[Image], seed: int) -> HoldOut:
    """Hold out a fifth by the seed. The fifths of three seeds are disjoint."""
    fifth = np.arange(len(images)) * 5 // len(images)
    return np.flatnonzero(fifth != seed - 1), np.flatnonzero(fifth == seed - 1)


def thousand(images: Sequence[Image], seed: int) -> HoldOut:
    """Hold out the first fifth; train on 1,000 others, 100 per class, by the seed."""
    others, held_out = own_fifth(images, 1)
    pool = np.random.default_rng(seed).permutation(others)
    names = np.array([images[index].class_name for index in pool])
    chosen = [pool[names == name][:100] for name in sorted(set(names.tolist()))]
    return np.concatenate(chosen), held_out


ROWS = {
    "santa": Row(
        "Santa or not: trained on `train`, accuracy on `validation`",
        "santa.tar",
        "santa.yaml",
        0.98,
        validation,
    ),
    "cats_and_dogs": Row(
        "Cats and dogs: accuracy on 20 % held out",
        "cats_vs_dogs.tar",
        "cats_and_dogs.yaml",
        0.985,
        own_fifth,
    ),
    "cifar10_1000": Row(
        "CIFAR-10, 1,000 training images: accuracy on 10,000 others",
        "cifar10_train.tar.xz",
        "cifar10_few_images.yaml",
        0.78,
        thousand,
    ),
    "cifar10": Row(
        "CIFAR-10, 40,000 training images: accuracy on the other 10,000",
        "cifar10_train.tar.xz",
        "cifar10.yaml",
        0.86,
        own_fifth,
    ),
}


def main() -> None:
    """Measure the chosen rows and print the table."""
    parser = argparse.ArgumentParser(description="Measure the table of results.")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--cache", type=Path, help="Folder that keeps features.")
    parser.add_argument("--features-only", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="graft-results-") as scratch:
        cache = arguments.cache or Path(scratch) / "features"
        for name in arguments.only:
            measure(ROWS[name], cache, with_heads=not arguments.features_only)


def measure(row: Row, cache: Path, *, with_heads: bool = True) -> None:
    """Print a row's accuracy for each seed, their mean and spread."""
    config = load_config(ROOT / "pipeline" / "configs" / row.config)
    images = distinct(read_images(data_folder() / row.archive))
    splits = [row.hold_out(images, seed) for seed in SEEDS]
    used = np.unique(np.concatenate([part for split in splits for part in split]))
    x, y = stored_features(config, [images[index] for index in used], cache)
    if not with_heads:
        return
    scores, seconds = [], []
    for seed, split in zip(SEEDS, splits, strict=True):
        learnt, held_out = (np.searchsorted(used, part) for part in split)
        score, duration = accuracy(config, (x, y), learnt, held_out, seed)
        scores.append(score)
        seconds.append(duration)
        _tell(f"  seed {seed}: {score:.4f}, {len(learnt)} images to learn from")
    mean, deviation = float(np.mean(scores)), float(np.std(scores, ddof=1))
    _tell(
        f"{row.title} ({row.config}): {mean:.4f}, deviation {deviation:.4f}; target "
        f"{row.target}, {'reached' if mean >= row.target else 'MISSED'}; head in "
        f"{np.mean(seconds):.1f} s"
    )


def accuracy(
    config: PipelineConfig,
    data: tuple[np.ndarray, np.ndarray],
    learnt: np.ndarray,
    held_out: np.ndarray,
    seed: int,
) -> tuple[float, float]:
    """Train the config's head; return its accuracy on what is held out, and seconds.

    Args:
        config: `data.splits` says how much of what is learnt from becomes `eval`.
        data: Features, float32 (N, F), and labels, int64 (N,).
        learnt: Positions of the images to learn from.
        held_out: Positions of the images to be judged by.
        seed: Of the division, and of training.
    """
    x, y = data
    shares = config.data.splits
    shuffled = np.random.default_rng(seed).permutation(learnt)
    num_eval = round(len(shuffled) * shares.eval / (shares.train + shares.eval))
    evaluation, train = np.split(shuffled, [num_eval])
    fitted = fit_head(
        (x[train], y[train]),
        (x[evaluation], y[evaluation]),
        model=config.model,
        training=config.training.model_copy(update={"seed": seed}),
        num_classes=int(y.max()) + 1,
    )
    logits = fitted.head.predict(x[held_out], batch_size=1024, verbose=0)
    predicted = logits.argmax(1) if logits.shape[1] > 1 else logits[:, 0] > 0
    return float((predicted == y[held_out]).mean()), fitted.seconds


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def data_folder() -> Path:
    """Return the folder of real images."""
    named = os.environ.get("GRAFT_TEST_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        sys.exit(f"{folder} is not here: set GRAFT_TEST_DATA to the real images")
    return folder


def read_images(archive: Path) -> Iterator[Image]:
    """Yield the images of a tar file whose folders are classes."""
    with tarfile.open(archive) as file:
        for member in file:
            stream = file.extractfile(member) if member.isfile() else None
            if stream is None:
                continue
            content = stream.read()
            yield Image(
                key=hashlib.sha256(content).hexdigest(),
                name=member.name,
                class_name=Path(member.name).parent.name,
                folder=Path(member.name).parent.parent.name,
                content=content,
            )


def distinct(images: Iterable[Image]) -> list[Image]:
    """Return one copy of each image, in the order of their hash."""
    return [copy for _, copy in sorted({image.key: image for image in images}.items())]


def stored_features(
    config: PipelineConfig, images: Sequence[Image], cache: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Return features, float32 (N, F), and labels, int64 (N,), by BottleneckFeatures.

    What the store at `cache` lacks is computed and kept there.
    """
    extraction = Extraction(
        model_json=config.model.model_dump_json(exclude={"head", "output"}),
        preprocessing_json=preprocessing_spec(config).to_json(),
        engine=config.features.engine,
        precision=config.features.precision,
        store_folder=str(cache),
        class_names=tuple(sorted({image.class_name for image in images})),
    )
    extract = ExtractShard(extraction)
    extract.setup()
    parts = []
    with tempfile.TemporaryDirectory(prefix="graft-records-") as folder:
        for start in range(0, len(images), _SHARD_IMAGES):
            source, target = (os.path.join(folder, name) for name in ("raw", "ready"))
            with tf.io.TFRecordWriter(source) as writer:
                for image in images[start : start + _SHARD_IMAGES]:
                    writer.write(_example(image))
            started = time.monotonic()
            list(extract.process(Shard(source, source, target)))
            sys.stderr.write(
                f"{config.name}: features of {start}.. in "
                f"{time.monotonic() - started:.0f} s\n"
            )
            parts.append(load_features([target]))
            os.unlink(target)
    release_workers()
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def _example(image: Image) -> bytes:
    example = tf.train.Example()
    for key, value in (
        (example_keys.CONTENT_HASH_KEY, image.key.encode()),
        (example_keys.FILENAME_KEY, image.name.encode()),
        (example_keys.CLASS_NAME_KEY, image.class_name.encode()),
        (example_keys.IMAGE_KEY, image.content),
    ):
        example.features.feature[key].bytes_list.value.append(value)
    return bytes(example.SerializeToString())


if __name__ == "__main__":
    main()
