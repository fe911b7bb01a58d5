"""Train a head on stored features, or a network with its backbone in the loop."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf

from graft.contract.counts import counted
from graft.contract.errors import DataError, TrainingError
from graft.contract.label_map import NO_LABEL
from graft.trainer.backbones.presets import get_preset
from graft.trainer.config import (
    AugmentationConfig,
    ModelConfig,
    TrainingConfig,
)
from graft.trainer.heads.head import build_head, signed_power
from graft.trainer.heads.objective import resolve_class_weights
from graft.trainer.heads.prepared import Prepared
from graft.trainer.heads.warm_start import Start
from graft.trainer.loops.array_epochs import ArrayEpochs, Arrays
from graft.trainer.loops.augmentation import build_augmentation
from graft.trainer.loops.checkpoint import Checkpoint
from graft.trainer.loops.devices import PLAIN_POLICY, dtype_policy
from graft.trainer.loops.early_checks import check_solver, has_solver
from graft.trainer.loops.fine_tuning import rate_factors, unfreeze
from graft.trainer.loops.head_epochs import compile_network, fit_by_epochs, num_steps
from graft.trainer.loops.image_epochs import ImageEpochs, ImageStream
from graft.trainer.loops.linear_heads import fit_linear_head
from graft.trainer.loops.optimizer import gradient_optimizer
from graft.trainer.loops.training_loop import (
    History,
    OnEpoch,
    Phase,
    fingerprint_of,
    run_phase,
)
from graft.trainer.training_facts import TrainingFacts

logger = logging.getLogger(__name__)

_ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class Fitted:
    """The result of training."""

    head: keras.Model
    """Model from features to logits, (B, K) or (B, 1)."""
    history: History
    """Metric name to its value per epoch, or per penalty for `lbfgs` and `ridge`."""
    seconds: float
    """Duration of training in seconds."""
    facts: TrainingFacts = field(default_factory=TrainingFacts)
    """What the training chose by itself."""


def fit_head(
    train: Arrays,
    evaluation: Arrays,
    *,
    model: ModelConfig,
    training: TrainingConfig,
    num_classes: int,
    feature_shape: Sequence[int | None] | None = None,
    checkpoint_dir: str | None = None,
    on_epoch: OnEpoch | None = None,
    prepared: Prepared | None = None,
    in_place: bool = False,
    start: Start | None = None,
) -> Fitted:
    """Train a head on stored features.

    A linear head is fitted by `lbfgs` or `ridge`, unless the config names another
    optimizer. Other heads are trained by gradient steps. The many arguments are
    independent settings of one training, so they are not grouped.

    Args:
        train: Features, float32 (N, F), flattened row by row or not, and labels.
        evaluation: Features and labels of `eval`, for selection and early stopping.
        model: `head` and `output` are read.
        training: Optimizer, epochs and the like.
        num_classes: Number of classes, K.
        feature_shape: Shape of one example's features, if they are stored flattened.
        checkpoint_dir: Folder to save to after each epoch and to resume from.
        on_epoch: Callback after each epoch, for instance `EventFiles`.
        prepared: Result of `prepare_linear` for the same data, to share between fits.
        in_place: Whether to change the given features, which saves a copy.
        start: An earlier head for `lbfgs` to start from.

    Returns:
        The head, its history and the duration.

    Raises:
        DataError: A class is missing from `train`, or a split is empty.
        UserError: The head doesn't fit the features or the number of classes.
        TrainingError: The features or the loss are not finite.
    """
    started = time.monotonic()
    set_seed(training)
    shape = tuple(feature_shape or train[0].shape[1:])
    train, evaluation = (
        (x.reshape(len(x), *shape), np.asarray(y, np.int64))
        for x, y in (train, evaluation)
    )
    weights = check_labels(
        count_labels(train[1], num_classes),
        count_labels(evaluation[1], num_classes),
        training,
    )
    _check_finite("train", train[0])
    _check_finite("eval", evaluation[0])
    is_pooled = len(shape) == 1
    check_solver(model, training, is_pooled=is_pooled)
    if has_solver(model, training, is_pooled=is_pooled):
        head, history, facts = fit_linear_head(
            train,
            evaluation,
            model=model,
            training=training,
            num_classes=num_classes,
            class_weights=weights,
            prepared=prepared,
            in_place=in_place,
            start=start,
        )
        if on_epoch:
            on_epoch("head", history)
    else:
        facts = TrainingFacts(gradient_optimizer(training), reading="memory")
        features, power = train[0], training.feature_power
        head, history = fit_by_epochs(
            shape=shape,
            num_examples=len(train[1]),
            num_classes=num_classes,
            adapt=lambda layer: layer.adapt(signed_power(features, power)),
            epochs_of=lambda head, objective: ArrayEpochs(
                head,
                objective,
                train,
                evaluation,
                training=training,
                num_classes=num_classes,
            ),
            model=model,
            training=training,
            class_weights=weights,
            checkpoint_dir=checkpoint_dir,
            on_epoch=on_epoch,
        )
    for note in facts.notes:
        logger.info("%s.", note[0].upper() + note[1:])
    return Fitted(head, history, time.monotonic() - started, facts)


def fit_end_to_end(
    train: ImageStream,
    evaluation: ImageStream,
    *,
    backbone: keras.Model,
    model: ModelConfig,
    training: TrainingConfig,
    num_classes: int,
    checkpoint_dir: str | None = None,
    on_epoch: OnEpoch | None = None,
) -> Fitted:
    """Train with the backbone in the loop: the head first, then blocks of the backbone.

    The backbone is always in inference mode, so its BatchNormalization statistics don't
    change. Strategy `fine_tune` changes its weights in place. The many arguments are
    independent settings of one training, so they are not grouped.

    Args:
        train: Images to train on.
        evaluation: Images of `eval`, for early stopping and the best epoch.
        backbone: Model from pixels to features, from `build_backbone`.
        model: Preset, head and output.
        training: Strategy, augmentation, epochs and the like.
        num_classes: Number of classes, K.
        checkpoint_dir: Folder to save to after each epoch and to resume from.
        on_epoch: Callback after each epoch, for instance `EventFiles`.

    Returns:
        The head, the concatenated history of both phases, and the duration.

    Raises:
        DataError: A class is missing from `train`, or a split is empty.
        UserError: The head doesn't fit, or a block to unfreeze doesn't exist.
        TrainingError: The loss is not finite.
    """
    started = time.monotonic()
    set_seed(training)
    counts = train.count_labels(num_classes)
    weights = check_labels(counts, evaluation.count_labels(num_classes), training)
    num_examples = int(counts.sum())
    head = build_head(model, backbone.output_shape[1:], num_classes)
    network = _join_network(backbone, head, model, training)
    epochs = ImageEpochs(
        network,
        train,
        evaluation,
        training=training,
        num_examples=num_examples,
        num_classes=num_classes,
    )
    fingerprint = fingerprint_of(model, training, num_classes, counts.tolist())
    steps = num_steps(num_examples, training)

    def run(name: str, num_epochs: int) -> History:
        return run_phase(
            network,
            Phase(name, num_epochs, steps, epochs),
            training,
            Checkpoint(checkpoint_dir, name, fingerprint),
            on_epoch,
        )

    compile_network(network, training, weights, num_examples)
    history = run("frozen", training.epochs)
    if training.strategy == "fine_tune":
        spec = training.fine_tune
        blocks = unfreeze(backbone, get_preset(model.preset), spec)
        compile_network(
            network, training, weights, num_examples, factors=rate_factors(blocks, spec)
        )
        second = run("fine_tune", spec.epochs)
        history = {key: history[key] + second[key] for key in history}
    facts = TrainingFacts(gradient_optimizer(training))
    return Fitted(head, history, time.monotonic() - started, facts)


def count_labels(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Count the examples per class, int64 (K + 1,); the last count is of no class.

    Raises:
        DataError: A label is outside of the label map.
    """
    outside = (labels < NO_LABEL) | (labels >= num_classes)
    if outside.any():
        raise DataError(
            f"labels of records must be in [0, {num_classes}), or {NO_LABEL} for no "
            f"class. Received: {labels[outside][0]}, in {outside.sum()} of "
            f"{len(labels)} records. Were they written with another label map? Move "
            "their folder away and run `graft run` again: the node runs anew."
        )
    known = np.where(labels < 0, num_classes, labels)
    return np.bincount(known, minlength=num_classes + 1)


def check_labels(
    train: np.ndarray, evaluation: np.ndarray, training: TrainingConfig
) -> tuple[float, ...] | None:
    """Check the counts of each class, int64 (K + 1,), and return class weights."""
    if len(train) < 3:
        raise DataError(
            f"a classifier needs 2 classes or more. Received: {len(train) - 1}"
        )
    if not train.sum() or not evaluation.sum():
        raise DataError(
            "`train` and `eval` need images. Received: "
            f"{train.sum()} in `train`, {evaluation.sum()} in `eval`"
        )
    for split, num_unknown in (("train", train[-1]), ("eval", evaluation[-1])):
        if num_unknown:
            raise DataError(
                "every class needs images in `train`. Received: "
                f"{counted(num_unknown, 'image')} of `{split}` in classes that `train` "
                "lacks"
            )
    return resolve_class_weights(training, train[:-1].tolist())


def _check_finite(split: str, features: np.ndarray) -> None:
    count = len(features)
    is_finite = np.empty(count, bool)
    for start in range(0, count, _ROWS_AT_ONCE):
        rows = features[start : start + _ROWS_AT_ONCE]
        is_finite[start : start + _ROWS_AT_ONCE] = (
            np.isfinite(rows).reshape(len(rows), -1).all(1)
        )
    broken = np.flatnonzero(~is_finite)
    if len(broken):
        raise TrainingError(
            f"{len(broken)} of {count} features of `{split}` are not finite: "
            f"compute them again. Received: the first is example {broken[0]}"
        )


def set_seed(training: TrainingConfig) -> None:
    """Seed all random numbers of a training."""
    keras.utils.set_random_seed(training.seed)
    if training.deterministic:
        tf.config.experimental.enable_op_determinism()


def _join_network(
    backbone: keras.Model,
    head: keras.Model,
    model: ModelConfig,
    training: TrainingConfig,
) -> keras.Model:
    """Join augmentation (only in training), backbone (in inference mode) and head."""
    image = keras.Input(backbone.input_shape[1:], name="image", dtype="float32")
    x = image
    if training.augmentation != AugmentationConfig():
        scaling = get_preset(model.preset).scaling
        # Rounding to 16 bits would change the values of pixels.
        with dtype_policy(PLAIN_POLICY):
            augmentation = build_augmentation(
                training.augmentation, scaling, training.seed
            )
        x = augmentation(x)
    return keras.Model(image, head(InferenceMode(backbone)(x)), name="network")


class InferenceMode(keras.layers.Layer):
    """Runs a model in inference mode, even during training.

    The argument `training=False` isn't enough: a functional model in training mode
    overrides it for the models inside.

    Args:
        model: A built model.
    """

    def __init__(self, model: keras.Model) -> None:
        super().__init__(name="inference_mode")
        self.model = model

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Return the model's outputs with stored BatchNormalization statistics."""
        return self.model(inputs, training=False)
