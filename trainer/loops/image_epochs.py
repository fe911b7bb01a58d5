"""Run epochs with the backbone in the loop: images stream from disk to Keras's `fit`.

Images are shuffled while they are encoded, since decoded pixels take much more memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from graft.trainer.config import TrainingConfig
from graft.trainer.loops.augmentation import mix_batches
from graft.trainer.loops.training_loop import Logs, NonFiniteLoss

_SHUFFLE_BUFFER = 1000


@dataclass(frozen=True)
class ImageStream:
    """A stream of labelled images from disk."""

    records: tf.data.Dataset
    """Pairs of an image, in any form, and its label, int64 (). Their order is fixed."""
    decode: Callable[[Any], tf.Tensor] = tf.identity
    """Converts an image of `records` to preprocessed pixels, float32 (H, W, 3)."""

    def count_labels(self, num_classes: int) -> np.ndarray:
        """Count the images per class, int64 (K + 1,); the last count is of no class."""
        counts = np.zeros(num_classes + 1, np.int64)
        for labels in self.records.map(lambda _, label: label).batch(1024):
            counts += np.bincount(
                np.where(labels < 0, num_classes, labels), minlength=num_classes + 1
            )
        return counts

    def batches(
        self, records: tf.data.Dataset, size: int, num_classes: int
    ) -> tf.data.Dataset:
        """Decode records to batches of pixels and one-hot targets.

        Args:
            records: `self.records`, or some of them in any order.
            size: Batch size, B.
            num_classes: Number of classes, K.

        Returns:
            Batches of pixels, float32 (B, H, W, 3), and targets, float32 (B, K).
        """
        return records.map(
            lambda image, label: (self.decode(image), tf.one_hot(label, num_classes)),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        ).batch(size)


class ImageEpochs:
    """Runs epochs of a compiled model over streams of images.

    Args:
        model: Compiled model from pixels to logits.
        train: Images to train on.
        evaluation: Images of `eval`.
        training: Batch size, seed, sampling, mixup and CutMix.
        num_examples: Number of images in `train`.
        num_classes: Number of classes, K.
    """

    def __init__(
        self,
        model: keras.Model,
        train: ImageStream,
        evaluation: ImageStream,
        *,
        training: TrainingConfig,
        num_examples: int,
        num_classes: int,
    ) -> None:
        self._model = model
        self._stream = train
        self._training = training
        self._num_examples = num_examples
        self._num_classes = num_classes
        self._evaluation = evaluation.batches(
            evaluation.records, training.batch_size, num_classes
        ).prefetch(tf.data.AUTOTUNE)

    def train(self, epoch: int) -> Logs:
        """Train for one epoch; see `Epochs`.

        The order of the examples depends on seed and epoch only.
        """
        guard = _FiniteLossGuard()
        logs = self._model.fit(
            self._batches_of(epoch),
            initial_epoch=epoch,
            epochs=epoch + 1,
            callbacks=[guard],
            shuffle=False,
            verbose=0,
        ).history
        return {"loss": logs["loss"][-1], "accuracy": logs["accuracy"][-1]}

    def evaluate(self) -> Logs:
        """Return `loss` and `accuracy` on `eval`."""
        scores = self._model.evaluate(self._evaluation, verbose=0, return_dict=True)
        return {"loss": scores["eval_loss"], "accuracy": scores["accuracy"]}

    def _batches_of(self, epoch: int) -> tf.data.Dataset:
        training, size = self._training, self._training.batch_size
        seed = int(np.random.default_rng([training.seed, epoch]).integers(2**31))
        records = self._stream.records
        if training.balanced_sampling:
            parts = [
                records.filter(lambda _, label, k=k: label == k).repeat()
                for k in range(self._num_classes)
            ]
            records = tf.data.Dataset.sample_from_datasets(parts, seed=seed)
            records = records.take(self._num_examples)
        # Each device of a strategy iterates this dataset and must see the same order.
        records = records.shuffle(
            _SHUFFLE_BUFFER, seed=seed, reshuffle_each_iteration=False
        )
        batches = self._stream.batches(records, size, self._num_classes)
        batches = mix_batches(batches, training.augmentation, seed)
        num_steps = -(-self._num_examples // size)
        batches = batches.apply(tf.data.experimental.assert_cardinality(num_steps))
        return batches.prefetch(tf.data.AUTOTUNE)


class _FiniteLossGuard(keras.callbacks.Callback):
    """Raises `NonFiniteLoss` at the first step with a NaN or infinite loss."""

    def on_train_batch_end(
        self, batch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            raise NonFiniteLoss(batch + 1, loss)
