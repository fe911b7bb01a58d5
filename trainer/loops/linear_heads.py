"""Fit a linear head on stored features by `lbfgs` or `ridge`, without epochs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras

from graft.trainer.config import ModelConfig, TrainingConfig
from graft.trainer.heads.cross_validation import choose_penalty
from graft.trainer.heads.head import build_head, signed_power
from graft.trainer.heads.linear import fit_logistic_regression
from graft.trainer.heads.prepared import Prepared, prepare
from graft.trainer.heads.ridge import fit_ridge
from graft.trainer.heads.solution import LinearSolution
from graft.trainer.heads.warm_start import Start
from graft.trainer.loops.array_epochs import Arrays
from graft.trainer.loops.training_loop import History
from graft.trainer.training_facts import TrainingFacts


def fit_linear_head(
    train: Arrays,
    evaluation: Arrays,
    *,
    model: ModelConfig,
    training: TrainingConfig,
    num_classes: int,
    class_weights: Sequence[float] | None,
    prepared: Prepared | None,
    in_place: bool = False,
    start: Start | None = None,
) -> tuple[keras.Model, History, TrainingFacts]:
    """Fit a linear head and choose its penalty on `eval` or by cross-validation.

    The many arguments are independent settings of one training, so they are not
    grouped.

    Args:
        train: Features, float32 (N, F), and labels, int64 (N,).
        evaluation: Features and labels of `eval`.
        model: `output` is read.
        training: Solver, penalties, folds and the like.
        num_classes: Number of classes, K.
        class_weights: Weight of each class, K numbers.
        prepared: Result of `prepare_linear` for the same data.
        in_place: Whether to change the features, which saves a copy.
        start: An earlier head for `lbfgs` to start from. Folds start from nothing.

    Returns:
        The head, the metrics of each tried penalty, and what was chosen.
    """
    power = training.feature_power
    train, evaluation = (
        (signed_power(x, power, in_place=in_place), y) for x, y in (train, evaluation)
    )
    # The features of a fold are a copy already.
    fit = _solver(training, num_classes, class_weights, in_place=True)
    penalties: Sequence[float] = training.regularization
    path = None
    if training.cross_validation_folds and len(penalties) > 1:
        penalty, path = choose_penalty(
            fit,
            train,
            evaluation,
            penalties=penalties,
            num_folds=training.cross_validation_folds,
            seed=training.seed,
        )
        penalties = [penalty]
    # `prepared` is for all of `train`, so the folds can't use it.
    fit = _solver(
        training,
        num_classes,
        class_weights,
        prepared=prepared,
        in_place=in_place,
        start=start,
    )
    solution = fit(train, evaluation, penalties)
    head = head_of(solution, model, training, num_classes)
    rows = path or solution.path
    facts = TrainingFacts(
        "ridge" if training.optimizer == "ridge" else "lbfgs",
        solution.penalty,
        "memory",
        notes=edge_notes(training.regularization, solution.penalty),
    )
    return head, {key: [row[key] for row in rows] for key in rows[0]}, facts


def head_of(
    solution: LinearSolution,
    model: ModelConfig,
    training: TrainingConfig,
    num_classes: int,
) -> keras.Model:
    """Build a head that has the weights of a solution.

    Args:
        solution: The weights for features after `feature_power`.
        model: `output` is read.
        training: `feature_power` is read.
        num_classes: Number of classes, K.
    """
    kernel, bias = solution.kernel, solution.bias
    head = build_head(
        model, kernel.shape[:1], num_classes, feature_power=training.feature_power
    )
    if model.output == "sigmoid":
        # The logit of class 1 is the difference of two logits.
        kernel, bias = kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1]
    head.get_layer("logits").set_weights([kernel, bias])
    return head


def edge_notes(penalties: Sequence[float], chosen: float) -> tuple[str, ...]:
    """Return a sentence if the best penalty is the first or the last one tried.

    Args:
        penalties: All that the config names.
        chosen: The best one.
    """
    if len(set(penalties)) == 1 or min(penalties) < chosen < max(penalties):
        return ()
    which, other, factor = ("weakest", "weaker", 0.1)
    if chosen == max(penalties):
        which, other, factor = ("strongest", "stronger", 10)
    return (
        f"the best L2 penalty, {chosen:g}, is the {which} of `training.regularization`"
        f": a {other} one may be better. Add for instance {chosen * factor:g}",
    )


def prepare_linear(
    train: Arrays, evaluation: Arrays, training: TrainingConfig
) -> Prepared:
    """Prepare pooled features once for several fits by `lbfgs`.

    Args:
        train: Features, float32 (N, F), and labels of `train`.
        evaluation: Features and labels of `eval`.
        training: `feature_power` and `standardize` are read.
    """
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
    *,
    prepared: Prepared | None = None,
    in_place: bool,
    start: Start | None = None,
) -> Callable[[Arrays, Arrays, Sequence[float]], LinearSolution]:
    """Return a function from train, evaluation and penalties to the best solution."""
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
        in_place=in_place,
        start=start,
    )
