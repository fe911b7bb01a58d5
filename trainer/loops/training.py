"""Train a head on stored features, or a network with its backbone in the loop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from graft.contract.errors import DataError, TrainingError
from graft.trainer.backbones.presets import get_preset
from graft.trainer.config import (
    SOLVERS,
    AugmentationConfig,
    ModelConfig,
    TrainingConfig,
)
from graft.trainer.heads.cross_validation import choose_penalty
from graft.trainer.heads.head import build_head, signed_power
from graft.trainer.heads.linear import (
    LinearSolution,
    Prepared,
    fit_logistic_regression,
    prepare,
)
from graft.trainer.heads.objective import (
    Objective,
    build_objective,
    resolve_class_weights,
)
from graft.trainer.heads.ridge import fit_ridge
from graft.trainer.loops.array_epochs import ArrayEpochs, Arrays
from graft.trainer.loops.augmentation import build_augmentation
from graft.trainer.loops.checkpoint import Checkpoint
from graft.trainer.loops.devices import PLAIN_POLICY, dtype_policy
from graft.trainer.loops.early_checks import check_solver
from graft.trainer.loops.fine_tuning import rate_factors, unfreeze
from graft.trainer.loops.image_epochs import ImageEpochs, ImageStream
from graft.trainer.loops.optimizer import build_optimizer
from graft.trainer.loops.training_loop import (
    History,
    OnEpoch,
    Phase,
    fingerprint_of,
    run_phase,
)

logger = logging.getLogger(__name__)


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
    on_epoch: OnEpoch | None = None,
    prepared: Prepared | None = None,
) -> Fitted:
    """Train a head on stored features.

    A linear head is solved by L-BFGS or as ridge regression, with the penalty chosen on
    `evaluation` or by cross-validation, unless the config names another optimizer;
    other heads are trained by gradient steps.

    Args:
        train: Features, float32 (N, F), flattened row by row or not, and labels.
        evaluation: The same for choosing and early stopping.
        model: `head` and `output` are read.
        training: Optimizer, epochs and the like.
        num_classes: K.
        feature_shape: Shape of one example's features, if they are stored flattened.
        checkpoint_dir: Folder to save to after each epoch and to resume from.
        on_epoch: What to tell about every epoch, for instance `EventFiles`.
        prepared: From `prepare_linear` of the same data, where more heads are fitted.

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
        (x.reshape(len(x), *shape), np.asarray(y, np.int64))
        for x, y in (train, evaluation)
    )
    weights = _check_labels(
        count_labels(train[1], num_classes),
        count_labels(evaluation[1], num_classes),
        training,
    )
    for name, (x, _) in (("train", train), ("eval", evaluation)):
        broken = np.flatnonzero(~np.isfinite(x).reshape(len(x), -1).all(1))
        if len(broken):
            raise TrainingError(
                f"{len(broken)} of {len(x)} features of `{name}` are not finite: "
                f"compute them again. Received: the first is example {broken[0]}"
            )
    is_linear = not model.head and len(shape) == 1
    check_solver(model, training, is_pooled=len(shape) == 1)
    if is_linear and training.optimizer in ("auto", *SOLVERS):
        head, history = _solve(
            train, evaluation, model, training, num_classes, weights, prepared
        )
        if on_epoch:
            on_epoch("head", history)
        return Fitted(head, history, time.monotonic() - started)
    standardize = training.standardize
    if standardize is None:
        standardize = len(shape) == 1
    power = training.feature_power
    head = build_head(
        model,
        shape,
        num_classes,
        with_standardization=standardize,
        feature_power=power,
    )
    if standardize:
        head.get_layer("standardization").adapt(signed_power(train[0], power))
    num_examples = len(train[1])
    objective = _compile(head, training, weights, num_examples)
    epochs = ArrayEpochs(
        head,
        objective,
        train,
        evaluation,
        training=training,
        num_classes=num_classes,
    )
    steps = _num_steps(num_examples, training)
    fingerprint = fingerprint_of(model, training, shape, num_classes, num_examples)
    history = run_phase(
        head,
        Phase("head", training.epochs, steps, epochs),
        training,
        Checkpoint(checkpoint_dir, "head", fingerprint),
        on_epoch,
    )
    return Fitted(head, history, time.monotonic() - started)


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
    """Train with the backbone in the loop: the head first, then parts of the backbone.

    The backbone runs in inference mode throughout, so its BatchNormalization statistics
    stay put. With strategy `fine_tune` it is changed in place.

    Args:
        train: Images to train on.
        evaluation: Images for choosing and early stopping.
        backbone: Pixels to features, from `build_backbone`.
        model: Preset, head and output.
        training: Strategy, augmentation, epochs and the like.
        num_classes: K.
        checkpoint_dir: Folder to save to after each epoch and to resume from.
        on_epoch: What to tell about every epoch, for instance `EventFiles`.

    Returns:
        The head, the history of both phases, one after the other, and the time taken.

    Raises:
        DataError: A class is missing from `train`, or a split is empty.
        UserError: The head does not fit, or there is no such block to unfreeze.
        TrainingError: The loss is not finite.
    """
    started = time.monotonic()
    _set_seed(training)
    counts = train.count_labels(num_classes)
    weights = _check_labels(counts, evaluation.count_labels(num_classes), training)
    num_examples = int(counts.sum())
    head = build_head(model, backbone.output_shape[1:], num_classes)
    network = _in_the_loop(backbone, head, model, training)
    epochs = ImageEpochs(
        network,
        train,
        evaluation,
        training=training,
        num_examples=num_examples,
        num_classes=num_classes,
    )
    fingerprint = fingerprint_of(model, training, num_classes, counts.tolist())
    steps = _num_steps(num_examples, training)

    def run(name: str, num_epochs: int) -> History:
        return run_phase(
            network,
            Phase(name, num_epochs, steps, epochs),
            training,
            Checkpoint(checkpoint_dir, name, fingerprint),
            on_epoch,
        )

    _compile(network, training, weights, num_examples)
    history = run("frozen", training.epochs)
    if training.strategy == "fine_tune":
        spec = training.fine_tune
        blocks = unfreeze(backbone, get_preset(model.preset), spec)
        _compile(
            network, training, weights, num_examples, factors=rate_factors(blocks, spec)
        )
        second = run("fine_tune", spec.epochs)
        history = {key: history[key] + second[key] for key in history}
    return Fitted(head, history, time.monotonic() - started)


def count_labels(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Count the examples of each class, int64 (K + 1,); last those of no class."""
    known = np.where(labels < 0, num_classes, labels)
    return np.bincount(known, minlength=num_classes + 1)


def _check_labels(
    train: np.ndarray, evaluation: np.ndarray, training: TrainingConfig
) -> tuple[float, ...] | None:
    """Check the counts of each class, int64 (K + 1,); return the classes' weights."""
    if not train.sum() or not evaluation.sum():
        raise DataError(
            "`train` and `eval` need images. Received: "
            f"{train.sum()} in `train`, {evaluation.sum()} in `eval`"
        )
    for split, num_unknown in (("train", train[-1]), ("eval", evaluation[-1])):
        if num_unknown:
            raise DataError(
                "every class needs images in `train`. Received: "
                f"{num_unknown} images of `{split}` are of classes that `train` lacks"
            )
    return resolve_class_weights(training, train[:-1].tolist())


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
    prepared: Prepared | None,
) -> tuple[keras.Model, History]:
    """Fit a linear head as a whole; one logit is the difference of two."""
    power = training.feature_power
    head = build_head(model, train[0].shape[1:], num_classes, feature_power=power)
    train, evaluation = ((signed_power(x, power), y) for x, y in (train, evaluation))
    fit = _solver(training, num_classes, class_weights)
    penalties: Sequence[float] = training.regularization
    path = None
    if training.cross_validation_folds and len(penalties) > 1:
        penalty, path = choose_penalty(
            lambda one, other: fit(one, other, penalties),
            train,
            evaluation,
            num_folds=training.cross_validation_folds,
            seed=training.seed,
        )
        penalties = [penalty]
    # Folds are prepared on their own, all of `train` has been.
    fit = _solver(training, num_classes, class_weights, prepared)
    solution = fit(train, evaluation, penalties)
    kernel, bias = solution.kernel, solution.bias
    if model.output == "sigmoid":
        kernel, bias = kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1]
    head.get_layer("logits").set_weights([kernel, bias])
    rows = path or solution.path
    return head, {key: [row[key] for row in rows] for key in rows[0]}


def prepare_linear(
    train: Arrays, evaluation: Arrays, training: TrainingConfig
) -> Prepared:
    """Return what all fits of `lbfgs` to the same pooled features share."""
    power = training.feature_power
    return prepare(
        signed_power(train[0], power),
        signed_power(evaluation[0], power),
        standardize=training.standardize is not False,
    )


def _solver(
    training: TrainingConfig,
    num_classes: int,
    class_weights: Sequence[float] | None,
    prepared: Prepared | None = None,
) -> Callable[[Arrays, Arrays, Sequence[float]], LinearSolution]:
    standardize = training.standardize is not False
    if training.optimizer == "ridge":
        return lambda train, evaluation, penalties: fit_ridge(
            train,
            evaluation,
            penalties=penalties,
            num_classes=num_classes,
            class_weights=class_weights,
            standardize=standardize,
        )
    return lambda train, evaluation, penalties: fit_logistic_regression(
        train,
        evaluation,
        penalties=penalties,
        num_classes=num_classes,
        class_weights=class_weights,
        label_smoothing=training.label_smoothing,
        standardize=standardize,
        prepared=prepared,
    )


def _compile(
    network: keras.Model,
    training: TrainingConfig,
    class_weights: Sequence[float] | None,
    num_examples: int,
    *,
    factors: dict[str, float] | None = None,
) -> Objective:
    """Compile for the first phase, or, with factors on the rate, for the second."""
    spec = training if factors is None else training.fine_tune
    objective = build_objective(training, class_weights)
    network.compile(
        optimizer=build_optimizer(
            training,
            learning_rate=spec.learning_rate,
            warmup_epochs=spec.warmup_epochs,
            epochs=spec.epochs,
            steps_per_epoch=_num_steps(num_examples, training),
            rate_factors=factors or {},
        ),
        loss=objective.loss,
        metrics=objective.metrics,
    )
    return objective


def _num_steps(num_examples: int, training: TrainingConfig) -> int:
    return -(-num_examples // training.batch_size)


def _in_the_loop(
    backbone: keras.Model,
    head: keras.Model,
    model: ModelConfig,
    training: TrainingConfig,
) -> keras.Model:
    """Join augmentation (in training alone), backbone (in inference mode) and head."""
    image = keras.Input(backbone.input_shape[1:], name="image", dtype="float32")
    x = image
    if training.augmentation != AugmentationConfig():
        scaling = get_preset(model.preset).scaling
        # 16 bits are too few for the 256 values of a pixel.
        with dtype_policy(PLAIN_POLICY):
            augmentation = build_augmentation(
                training.augmentation, scaling, training.seed
            )
        x = augmentation(x)
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
