"""Run epochs over stored features that are read from their files in each epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import keras
import numpy as np
import tensorflow as tf

from graft.trainer.heads.objective import Objective
from graft.trainer.loops.array_epochs import Arrays, batch_scores, gradient_step
from graft.trainer.loops.training_loop import Logs, NonFiniteLoss


class StreamEpochs:
    """Runs epochs of a compiled model over batches; see `Epochs`.

    Args:
        model: The head, with the optimizer that it was compiled with.
        objective: Losses to minimise and to report.
        train: Takes the number of an epoch and returns its batches, in mixed order.
        evaluation: Returns the batches of `eval`.
        num_classes: Number of classes, K.
    """

    def __init__(
        self,
        model: keras.Model,
        objective: Objective,
        train: Callable[[int], Iterable[Arrays]],
        evaluation: Callable[[], Iterable[Arrays]],
        *,
        num_classes: int,
    ) -> None:
        self._train = train
        self._evaluation = evaluation

        def step(features: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            targets = tf.one_hot(labels, num_classes)
            return gradient_step(model, objective, features, targets)

        def score(
            features: tf.Tensor, labels: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            targets = tf.one_hot(labels, num_classes)
            return batch_scores(model, objective, features, targets)

        # The last batch of an epoch has another size, but needs no graph of its own.
        shape = (None, *model.input_shape[1:])
        batch = [tf.TensorSpec(shape), tf.TensorSpec((None,), tf.int64)]
        # AutoGraph would rewrite Keras's code, which takes long and isn't needed.
        self._step = tf.function(step, batch, autograph=False)
        self._score = tf.function(score, batch, autograph=False)

    def train(self, epoch: int) -> Logs:
        """Train for one epoch; see `Epochs`."""
        sums = np.zeros(2)
        seen = 0
        for index, (features, labels) in enumerate(self._train(epoch)):
            loss, num_correct = (float(each) for each in self._step(features, labels))
            if not math.isfinite(loss):
                raise NonFiniteLoss(index + 1, loss)
            sums += loss * len(labels), num_correct
            seen += len(labels)
        return {"loss": float(sums[0] / seen), "accuracy": float(sums[1] / seen)}

    def evaluate(self) -> Logs:
        """Return `loss` and `accuracy` on `eval`."""
        sums = np.zeros(2)
        seen = 0
        for features, labels in self._evaluation():
            sums += [float(each) for each in self._score(features, labels)]
            seen += len(labels)
        return {"loss": float(sums[0] / seen), "accuracy": float(sums[1] / seen)}
