"""Train a head on stored features, or a network with its backbone in the loop."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from trainer.augmentation import build_augmentation, mix_batches
from trainer.checkpoint import Checkpoint
from trainer.config import AugmentationConfig, ModelConfig, TrainingConfig
from trainer.errors import DataError, TrainingError, UserError
from trainer.fine_tuning import rate_factors, unfreeze
from trainer.head import build_head
from trainer.linear import fit_logistic_regression
from trainer.objective import build_objective, resolve_class_weights
from trainer.optimizer import build_optimizer
from trainer.presets import get_preset
from trainer.training_loop import History, Phase, fingerprint_of, run_phase

logger = logging.getLogger(__name__)

Arrays = tuple[np.ndarray, np.ndarray]
"""Features, float32 (N, ...), and labels, int64 (N,)."""

_SHUFFLE_BUFFER = 1000
_VECTOR_RANK = 2


@dataclass(frozen=True)
class Fitted:
    """What training gives."""

    head: keras.Model
    """Features to logits, (B, K) or (B, 1)."""
    history: History
    """Metric name to its value per epoch (per penalty tried, for `lbfgs`)."""
    seconds: float
    """Duration of training."""


def fit_head(
    train: Arrays,
    evaluation: Arrays,
    *,
    model: ModelConfig,
    training: TrainingConfig,
    num_classes: int,
    feature_shape: Sequence[int | None] | None = None,
    checkpoint_dir: str | None = None,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
) -> Fitted:
    """Train a head on stored features.

    A linear head is solved by L-BFGS, with the penalty chosen on `evaluation`, unless
    the config names another optimizer; other heads are trained by gradient steps.

    Args:
        train: Features, float32 (N, F), flattened row by row or not, and labels.
        evaluation: The same for choosing and early stopping.
        model: `head` and `output` are read.
        training: Optimizer, epochs and the like.
        num_classes: K.
        feature_shape: Shape of one example's features, if they are stored flattened.
        checkpoint_dir: Folder to save to after each epoch and to resume from.
        callbacks: More callbacks of Keras, for instance TensorBoard.

    Returns:
        The head, its history and the time it took.

    Raises:
        DataError: A class is missing from `train`, or a split is empty.
        UserError: The head does not fit the features or the number of classes.
        TrainingError: The loss is not finite.
    """
    started = time.monotonic()
    _set_seed(training)
    shape = tuple(feature_shape or train[0].shape[1:])
    train, evaluation = (
        (x.reshape(-1, *shape), np.asarray(y, np.int64)) for x, y in (train, evaluation)
    )
    if not len(train[1]) or not len(evaluation[1]):
        raise DataError("`train` and `eval` need images. Received: an empty split")
    for name, (x, _) in (("train", train), ("eval", evaluation)):
        broken = np.flatnonzero(~np.isfinite(x).reshape(len(x), -1).all(1))
        if len(broken):
            raise TrainingError(
                f"{len(broken)} of {len(x)} features of `{name}` are not finite: "
                f"compute them again. Received: the first is example {broken[0]}"
            )
    counts = np.bincount(train[1], minlength=num_classes)
    weights = resolve_class_weights(training, counts.tolist())
    is_linear = not model.head and len(shape) == 1
    if training.optimizer == "lbfgs" or training.strategy == "linear":
        if not is_linear:
            raise UserError(
                "`lbfgs` solves a linear head over pooled features: leave `head` empty "
                "and `pooling` 'avg' or 'max'. "
                f"Received: head={model.head!r}, feature shape {shape}"
            )
    if is_linear and training.optimizer in ("auto", "lbfgs"):
        head, history = _solve(train, evaluation, model, training, num_classes, weights)
        return Fitted(head, history, time.monotonic() - started)
    standardize = training.standardize
    if standardize is None:
        standardize = len(shape) == 1
    head = build_head(model, shape, num_classes, with_standardization=standardize)
    if standardize:
        head.get_layer("standardization").adapt(train[0])
    phase = _stored_features_phase(train, evaluation, training, num_classes)
    _compile(head, training, weights, phase, {})
    fingerprint = fingerprint_of(model, training, shape, num_classes, len(train[1]))
    checkpoint = Checkpoint(checkpoint_dir, phase.name, fingerprint)
    history = run_phase(head, phase, training, checkpoint, callbacks)
    return Fitted(head, history, time.monotonic() - started)


def fit_end_to_end(
    train: tf.data.Dataset,
    evaluation: tf.data.Dataset,
    *,
    backbone: keras.Model,
    model: ModelConfig,
    training: TrainingConfig,
    num_classes: int,
    checkpoint_dir: str | None = None,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
) -> Fitted:
    """Train with the backbone in the loop: the head first, then parts of the backbone.

    The backbone runs in inference mode throughout, so its BatchNormalization statistics
    stay put. With strategy `fine_tune` it is changed in place.

    Args:
        train: Unbatched pairs, in an order that does not change: pixels float32 (H, W,
            3), normalised as the preset says, and label int64 ().
        evaluation: The same for choosing and early stopping.
        backbone: Pixels to features, from `build_backbone`.
        model: Preset, head and output.
        training: Strategy, augmentation, epochs and the like.
        num_classes: K.
        checkpoint_dir: Folder to save to after each epoch and to resume from.
        callbacks: More callbacks of Keras, for instance TensorBoard.

    Returns:
        The head, the history of both phases, one after the other, and the time taken.

    Raises:
        DataError: A class is missing from `train`, or a split is empty.
        UserError: The head does not fit, or there is no such block to unfreeze.
        TrainingError: The loss is not finite.
    """
    started = time.monotonic()
    _set_seed(training)
    counts = _count_labels(train, num_classes)
    weights = resolve_class_weights(training, counts.tolist())
    num_evaluated = int(_count_labels(evaluation, num_classes).sum())
    if not num_evaluated:
        raise DataError("`eval` needs images. Received: an empty split")
    head = build_head(model, backbone.output_shape[1:], num_classes)
    network = _in_the_loop(backbone, head, model, training)
    fingerprint = fingerprint_of(model, training, num_classes, counts.tolist())
    phase = _images_phase(
        train, evaluation, training, counts, "frozen", training.epochs
    )
    _compile(network, training, weights, phase, {})
    history = run_phase(
        network,
        phase,
        training,
        Checkpoint(checkpoint_dir, phase.name, fingerprint),
        callbacks,
    )
    if training.strategy == "fine_tune":
        spec = training.fine_tune
        blocks = unfreeze(backbone, get_preset(model.preset), spec)
        phase = _images_phase(
            train, evaluation, training, counts, "fine_tune", spec.epochs
        )
        _compile(network, training, weights, phase, rate_factors(blocks, spec))
        second = run_phase(
            network,
            phase,
            training,
            Checkpoint(checkpoint_dir, phase.name, fingerprint),
            callbacks,
        )
        history = {key: history[key] + second[key] for key in history}
    return Fitted(head, history, time.monotonic() - started)


def _set_seed(training: TrainingConfig) -> None:
    keras.utils.set_random_seed(training.seed)
    if training.deterministic:
        tf.config.experimental.enable_op_determinism()


def _solve(  # noqa: PLR0917
    train: Arrays,
    evaluation: Arrays,
    model: ModelConfig,
    training: TrainingConfig,
    num_classes: int,
    class_weights: Sequence[float] | None,
) -> tuple[keras.Model, History]:
    """Fit a linear head by L-BFGS; one logit is the difference of two."""
    head = build_head(model, train[0].shape[1:], num_classes)
    solution = fit_logistic_regression(
        train,
        evaluation,
        penalties=training.regularization,
        num_classes=num_classes,
        class_weights=class_weights,
        label_smoothing=training.label_smoothing,
        standardize=training.standardize is not False,
    )
    kernel, bias = solution.kernel, solution.bias
    if model.output == "sigmoid":
        kernel, bias = kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1]
    head.get_layer("logits").set_weights([kernel, bias])
    return head, {key: [row[key] for row in solution.path] for key in solution.path[0]}


def _compile(
    network: keras.Model,
    training: TrainingConfig,
    class_weights: Sequence[float] | None,
    phase: Phase,
    factors: dict[str, float],
) -> None:
    is_second = phase.name == "fine_tune"
    spec = training.fine_tune if is_second else training
    objective = build_objective(training, class_weights)
    network.compile(
        optimizer=build_optimizer(
            training,
            learning_rate=spec.learning_rate,
            warmup_epochs=spec.warmup_epochs,
            epochs=phase.epochs,
            steps_per_epoch=phase.steps_per_epoch,
            rate_factors=factors,
        ),
        loss=objective.loss,
        metrics=objective.metrics,
    )


def _num_steps(num_examples: int, batch_size: int) -> int:
    return -(-num_examples // batch_size)


def _stored_features_phase(
    train: Arrays, evaluation: Arrays, training: TrainingConfig, num_classes: int
) -> Phase:
    size = training.batch_size
    features, labels = train
    targets = np.eye(num_classes, dtype=np.float32)

    steps = _num_steps(len(labels), size)

    def train_at(epoch: int) -> tf.data.Dataset:
        rng = np.random.default_rng([training.seed, epoch])
        order = _order(labels, rng, is_balanced=training.balanced_sampling)

        def batches() -> object:
            for start in range(0, len(order), size):
                chosen = order[start : start + size]
                yield features[chosen], targets[labels[chosen]]

        dataset = tf.data.Dataset.from_generator(
            batches,
            output_signature=(
                tf.TensorSpec((None, *features.shape[1:]), tf.float32),
                tf.TensorSpec((None, num_classes), tf.float32),
            ),
        )
        return dataset.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(2)

    held_out = tf.data.Dataset.from_tensor_slices(
        (evaluation[0].astype(np.float32), targets[evaluation[1]])
    ).batch(max(size, 256))
    return Phase("head", training.epochs, steps, train_at, held_out)


def _order(
    labels: np.ndarray, rng: np.random.Generator, *, is_balanced: bool
) -> np.ndarray:
    """Return the order of one epoch; balanced: as many draws of every class."""
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


def _count_labels(dataset: tf.data.Dataset, num_classes: int) -> np.ndarray:
    """Count the examples of each class, int64 (K,)."""
    labels = dataset.map(lambda _, label: label).batch(1024)
    counts = np.zeros(num_classes, np.int64)
    for batch in labels.as_numpy_iterator():
        counts += np.bincount(batch, minlength=num_classes)
    return counts


def _images_phase(  # noqa: PLR0917
    train: tf.data.Dataset,
    evaluation: tf.data.Dataset,
    training: TrainingConfig,
    counts: np.ndarray,
    name: str,
    epochs: int,
) -> Phase:
    size, num_classes = training.batch_size, len(counts)
    num_examples = int(counts.sum())
    steps = _num_steps(num_examples, size)

    def encode(pixels: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return pixels, tf.one_hot(labels, num_classes)

    def train_at(epoch: int) -> tf.data.Dataset:
        seed = int(np.random.default_rng([training.seed, epoch]).integers(2**31))
        dataset = train
        if training.balanced_sampling:
            parts = [
                train.filter(lambda _, label, k=k: label == k).repeat()
                for k in range(num_classes)
            ]
            dataset = tf.data.Dataset.sample_from_datasets(parts, seed=seed)
            dataset = dataset.take(num_examples)
        dataset = dataset.shuffle(_SHUFFLE_BUFFER, seed=seed).batch(size).map(encode)
        dataset = mix_batches(dataset, training.augmentation, seed)
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
        return dataset.prefetch(tf.data.AUTOTUNE)

    held_out = evaluation.batch(size).map(encode).prefetch(tf.data.AUTOTUNE)
    return Phase(name, epochs, steps, train_at, held_out)


def _in_the_loop(
    backbone: keras.Model,
    head: keras.Model,
    model: ModelConfig,
    training: TrainingConfig,
) -> keras.Model:
    """Join augmentation (in training alone), backbone (in inference mode) and head."""
    image = keras.Input(backbone.input_shape[1:], name="image")
    x = image
    if training.augmentation != AugmentationConfig():
        scaling = get_preset(model.preset).scaling
        x = build_augmentation(training.augmentation, scaling, training.seed)(x)
    return keras.Model(image, head(InferenceMode(backbone)(x)), name="network")


class InferenceMode(keras.layers.Layer):
    """Runs a model in inference mode whatever mode it is called in.

    Keras passes the training mode of a functional model on to the models within, over a
    `training=False` that they were called with, so that argument does not do.
    """

    def __init__(self, model: keras.Model) -> None:
        """Wrap a built model."""
        super().__init__(name="inference_mode")
        self.model = model

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Return the model's outputs, BatchNormalization by its stored statistics."""
        return self.model(inputs, training=False)
