"""Compare an epoch on stored features with an epoch with the backbone in the loop.

    python tests/benchmarks/epoch_benchmark.py [--images 1000]

The network is classic set-up 4: CIFAR-10, ResNet50 at 139x139 pixels, a convolutional
head on its 5x5x2048 features. The weights are random, because time does not depend on
them. Both sides run in one process. Stored features are measured before and after the
other side, because a machine's speed changes. An epoch trains on nine tenths of the
images and evaluates on the rest. The first epoch of each training traces graphs and
does not count. The result of each side is its median epoch.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from results import ROOT, Image, data_folder, read_images

from graft.pipeline.config import PipelineConfig, load_config
from graft.pipeline.pipeline import preprocessing_spec
from graft.trainer.backbones.backbone import build_backbone
from graft.trainer.loops.image_epochs import ImageStream
from graft.trainer.loops.training import fit_end_to_end, fit_head
from graft.trainer.preprocessing.image_preprocessing import resize_image
from graft.trainer.preprocessing.normalisation import normalise_pixels

_NUM_CLASSES = 10
_EPOCHS_IN_THE_LOOP = 2
_EPOCHS_ON_FEATURES = 6


class Clock:
    """Measures wall time and processor time of each epoch."""

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None
        self._durations: list[tuple[float, float]] = []

    def __call__(self, phase: str, history: Mapping[str, Sequence[float]]) -> None:
        """Take the time at the end of an epoch."""
        now = (time.perf_counter(), time.process_time())
        if len(history["loss"]) > 1 and self._last is not None:
            self._durations.append((now[0] - self._last[0], now[1] - self._last[1]))
        self._last = now

    def epoch_seconds(self) -> tuple[float, float]:
        """Return the median epoch, in wall and processor seconds."""
        wall, processor = np.median(self._durations, axis=0)
        return float(wall), float(processor)


def main() -> None:
    """Measure both sides and print the ratio."""
    parser = argparse.ArgumentParser(description="Time one epoch both ways.")
    parser.add_argument("--images", type=int, default=1000)
    arguments = parser.parse_args()
    config = load_config(
        ROOT / "pipeline" / "configs" / "classic_cifar10_resnet50.yaml",
        overrides=["model.weights=none"],
    )
    images = _some(data_folder() / "cifar10_train.tar.xz", arguments.images)
    names = sorted({image.class_name for image in images})
    labels = np.array([names.index(image.class_name) for image in images])
    in_the_loop, features = Clock(), Clock()
    _train_on_features(config, labels, features)
    _train_in_the_loop(config, images, labels, in_the_loop)
    _train_on_features(config, labels, features)
    lines = [f"ResNet50, 139 px, {len(images)} images, one epoch, seconds:"]
    slow, fast = in_the_loop.epoch_seconds(), features.epoch_seconds()
    for name, index in (("wall", 0), ("processor", 1)):
        lines.append(
            f"  {name:10} backbone in the loop {slow[index]:.2f}, stored features "
            f"{fast[index]:.3f}: {slow[index] / fast[index]:.0f} times"
        )
    sys.stdout.write("\n".join(lines) + "\n")


def _some(archive: Path, number: int) -> list[Image]:
    """Return images in mixed order, the same number of each class."""
    counts: dict[str, int] = {}
    images = []
    for image in read_images(archive):
        counts[image.class_name] = counts.get(image.class_name, 0) + 1
        if counts[image.class_name] <= number // _NUM_CLASSES:
            images.append(image)
    return sorted(images, key=lambda image: image.key)


def _train_in_the_loop(
    config: PipelineConfig, images: Sequence[Image], labels: np.ndarray, clock: Clock
) -> None:
    spec = preprocessing_spec(config)

    def decode(encoded: tf.Tensor) -> tf.Tensor:
        return normalise_pixels(resize_image(encoded, spec), spec.scaling)

    contents = np.array([image.content for image in images], object)
    held_out = len(images) // 10
    streams = [
        ImageStream(
            tf.data.Dataset.from_tensor_slices((contents[part], labels[part])), decode
        )
        for part in (slice(held_out, None), slice(held_out))
    ]
    fit_end_to_end(
        *streams,
        backbone=build_backbone(config.model),
        model=config.model,
        training=config.training.model_copy(
            update={"strategy": "frozen", "epochs": _EPOCHS_IN_THE_LOOP + 1}
        ),
        num_classes=_NUM_CLASSES,
        on_epoch=clock,
    )


def _train_on_features(
    config: PipelineConfig, labels: np.ndarray, clock: Clock
) -> None:
    shape = build_backbone(config.model).output_shape[1:]
    # Random numbers are enough, because time does not depend on them.
    features = np.random.default_rng(0).random((len(labels), *shape), np.float32)
    held_out = len(labels) // 10
    fit_head(
        (features[held_out:], labels[held_out:]),
        (features[:held_out], labels[:held_out]),
        model=config.model,
        training=config.training.model_copy(update={"epochs": _EPOCHS_ON_FEATURES + 1}),
        num_classes=_NUM_CLASSES,
        on_epoch=clock,
    )


if __name__ == "__main__":
    main()
