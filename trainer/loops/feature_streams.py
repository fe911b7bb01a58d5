"""Streams of the stored features of `train` and `eval`, checked in the first pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from graft.contract.counts import counted
from graft.contract.errors import DataError, TrainingError
from graft.trainer.config import TrainingConfig
from graft.trainer.heads.head import signed_power
from graft.trainer.heads.minibatch import Moments, measure
from graft.trainer.loops.feature_source import Arrays, FeatureSource
from graft.trainer.loops.training import count_labels

_BATCH_SIZE = 512
Split = Literal["train", "eval"]


class Streams:
    """Reads the features of both splits as often as asked.

    Args:
        train: Features to train on.
        evaluation: Features of `eval`.
        training: `seed`, `feature_power` and `standardize` are read.
        num_classes: Number of classes, K.
    """

    def __init__(
        self,
        train: FeatureSource,
        evaluation: FeatureSource,
        training: TrainingConfig,
        num_classes: int,
    ) -> None:
        self._sources: dict[Split, FeatureSource] = {"train": train, "eval": evaluation}
        self._training = training
        self._num_classes = num_classes
        self.counts = np.zeros(num_classes + 1, np.int64)
        """Examples of each class in `train`, int64 (K + 1,), after `measure`; the last
        are of no class."""

    def measure(self, width: int) -> Moments:
        """Check, count and measure `train` in one pass.

        Args:
            width: Size of the last axis of features. Maps are measured over space.

        Raises:
            DataError: There are no examples, or a label is outside of the label map.
            TrainingError: Features are not finite.
        """
        self.counts[:] = 0
        power = self._training.feature_power
        return measure(
            (
                (signed_power(features, power).reshape(-1, width), labels)
                for features, labels in self._checked("train", self.counts)
            ),
            self._num_classes,
            standardize=self._training.standardize is not False,
        )

    def count_evaluation(self) -> np.ndarray:
        """Check `eval`, and return its examples of each class as `counts`."""
        counts = np.zeros_like(self.counts)
        for _ in self._checked("eval", counts):
            pass
        return counts

    def shuffled(
        self, epoch: int, batch_size: int, *, is_powered: bool = False
    ) -> Iterator[Arrays]:
        """Stream `train` in an order that depends on seed and epoch.

        Args:
            epoch: Number of the epoch.
            batch_size: Examples per batch.
            is_powered: Whether to apply `feature_power`.
        """
        power = self._training.feature_power if is_powered else 1.0
        order = (self._training.seed, epoch)
        for features, labels in self._sources["train"].batches(batch_size, order):
            yield signed_power(features, power), labels

    def plain(self, split: Split, batch_size: int) -> Iterator[Arrays]:
        """Stream a split in the order of its shards."""
        return self._sources[split].batches(batch_size)

    def powered(self, split: Split, batch_size: int) -> Iterator[Arrays]:
        """Stream a split as `plain`, after `feature_power`."""
        power = self._training.feature_power
        for features, labels in self.plain(split, batch_size):
            yield signed_power(features, power), labels

    def _checked(self, split: Split, counts: np.ndarray) -> Iterator[Arrays]:
        """Yield the examples of known classes, and count all."""
        for features, labels in self.plain(split, _BATCH_SIZE):
            counts += count_labels(labels, self._num_classes)
            broken = np.flatnonzero(~np.isfinite(features).all(1))
            if len(broken):
                raise TrainingError(
                    f"features of `{split}` are not finite: compute them again. "
                    f"Received: {counted(len(broken), 'such example')} among "
                    f"{counts.sum()}"
                )
            known = labels >= 0
            yield features[known], labels[known]
        if not counts.sum():
            raise DataError(
                "A split has no images, but `train` and `eval` both need some. "
                "Add images, or change `data.splits`."
            )
