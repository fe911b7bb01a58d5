"""Run epochs over stored features, each as one call into TensorFlow's graph.

Keras's `fit` over a `tf.data` pipeline was tried. It spends more time around a step
than the step itself takes (docs/decisions/0041-training-loop.md).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from graft.trainer.config import TrainingConfig
from graft.trainer.heads.objective import Objective, is_correct
from graft.trainer.heads.shared_tensor import as_tensor
from graft.trainer.loops.training_loop import Logs, NonFiniteLoss

Arrays = tuple[np.ndarray, np.ndarray]
"""Features, float32 (N, ...), and labels, int64 (N,)."""

_EVAL_BATCH_SIZE = 1024


class ArrayEpochs:
    """Runs epochs of a compiled model over arrays.

    Args:
        model: The head, with the optimizer that it was compiled with.
        objective: Losses to minimise and to report.
        train: Features and labels to train on.
        evaluation: Features and labels of `eval`.
        training: Batch size, seed and sampling.
        num_classes: Number of classes, K.
    """

    def __init__(
        self,
        model: keras.Model,
        objective: Objective,
        train: Arrays,
        evaluation: Arrays,
        *,
        training: TrainingConfig,
        num_classes: int,
    ) -> None:
        self._model = model
        self._objective = objective
        self._training = training
        self._labels = train[1]
        self._train, self._evaluation = (
            (as_tensor(features), tf.one_hot(labels, num_classes))
            for features, labels in (train, evaluation)
        )
        # AutoGraph would rewrite Keras's code, which takes long and isn't needed.
        self._run_epoch = tf.function(self._epoch, autograph=False)
        self._score = tf.function(self._scores, autograph=False, reduce_retracing=True)

    def train(self, epoch: int) -> Logs:
        """Train for one epoch; see `Epochs`.

        The order of the examples depends on seed and epoch only.
        """
        rng = np.random.default_rng([self._training.seed, epoch])
        order = order_of_epoch(
            self._labels, rng, is_balanced=self._training.balanced_sampling
        )
        losses, num_correct = self._run_epoch(tf.constant(order))
        values = losses.numpy()
        broken = np.flatnonzero(~np.isfinite(values))
        if len(broken):
            raise NonFiniteLoss(int(broken[0]) + 1, float(values[broken[0]]))
        size = self._training.batch_size
        shares = np.minimum(size, len(order) - size * np.arange(len(values)))
        return {
            "loss": float(np.average(values, weights=shares)),
            "accuracy": float(num_correct) / len(order),
        }

    def evaluate(self) -> Logs:
        """Return `loss` and `accuracy` on `eval`."""
        targets = self._evaluation[1]
        num_examples = len(targets)
        loss = accuracy = 0.0
        for start in range(0, num_examples, _EVAL_BATCH_SIZE):
            rows = tf.range(start, min(start + _EVAL_BATCH_SIZE, num_examples))
            sums = self._score(rows)
            loss += float(sums[0])
            accuracy += float(sums[1])
        return {"loss": loss / num_examples, "accuracy": accuracy / num_examples}

    def _epoch(self, order: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return each step's loss, float32 (S,), and the number of correct answers."""
        size = self._training.batch_size
        num_steps = -(-len(self._labels) // size)

        def step(index: tf.Tensor, losses: Any, num_correct: tf.Tensor) -> Any:
            loss, right = self._step(order[index * size : (index + 1) * size])
            return index + 1, losses.write(index, loss), num_correct + right

        _, losses, num_correct = tf.while_loop(
            lambda index, *_: index < num_steps,
            step,
            (0, tf.TensorArray(tf.float32, num_steps), 0.0),
        )
        return losses.stack(), num_correct

    def _step(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features, targets = (tf.gather(each, rows) for each in self._train)
        return gradient_step(self._model, self._objective, features, targets)

    def _scores(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features, targets = (tf.gather(each, rows) for each in self._evaluation)
        return batch_scores(self._model, self._objective, features, targets)


def gradient_step(
    model: keras.Model, objective: Objective, features: tf.Tensor, targets: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Take a step of the model's optimizer.

    Args:
        model: A compiled model.
        objective: The loss to minimise.
        features: Features of a batch, float32 (B, ...).
        targets: float32 (B, K).

    Returns:
        The loss, and the number of correct answers.
    """
    with tf.GradientTape() as tape:
        logits = model(features, training=True)
        loss = objective.loss(targets, logits)
        if model.losses:
            loss += tf.add_n(model.losses)
    variables = model.trainable_variables
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    model.optimizer.apply(gradients, variables)
    return loss, tf.reduce_sum(is_correct(targets, logits))


def batch_scores(
    model: keras.Model, objective: Objective, features: tf.Tensor, targets: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the sum of a batch's losses, and the number of correct answers."""
    logits = model(features, training=False)
    losses = objective.eval_loss.call(targets, logits)
    return tf.reduce_sum(losses), tf.reduce_sum(is_correct(targets, logits))


def order_of_epoch(
    labels: np.ndarray, rng: np.random.Generator, *, is_balanced: bool
) -> np.ndarray:
    """Return the order of examples in one epoch.

    Args:
        labels: Label of each example, int64 (N,).
        rng: Source of random numbers.
        is_balanced: Whether to sample all classes equally often.

    Returns:
        Indices of examples, int64 (N,).
    """
    if not is_balanced:
        return rng.permutation(len(labels))
    classes = np.unique(labels)
    drawn = rng.permutation(np.arange(len(labels)) % len(classes))
    order = np.empty(len(labels), np.int64)
    for index, label in enumerate(classes):
        places = np.flatnonzero(drawn == index)
        members = rng.permutation(np.flatnonzero(labels == label))
        order[places] = np.resize(members, len(places))
    return order
