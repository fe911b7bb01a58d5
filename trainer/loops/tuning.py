"""Search for a head on stored features: its layers, its optimizer, its penalties.

Optuna's TPE sampler proposes heads (Bergstra et al., "Algorithms for Hyper-Parameter
Optimization", NeurIPS 2011). They are compared on `eval`. A trial that is worse than
the median of earlier trials at the same epoch is pruned. A trial trains as the Trainer
does, with the config's seed, so a run with the same values gives the same head.
"""

from __future__ import annotations

import gc
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
import optuna

from graft.contract.errors import TrainingError
from graft.trainer.config import ModelConfig, TrainingConfig
from graft.trainer.heads.objective import probabilities
from graft.trainer.loops.tuning_features import Features

Metric = Literal["loss", "accuracy"]

SEARCH_VERSION = "2"
"""Raise it when `propose` changes. A study continues only with the same version."""
_STARTUP_TRIALS = 10
_EPOCHS_BEFORE_PRUNING = 3
_PATIENCE = 5
_TIE_BREAK = 1e-6
"""Weight of the loss, to order heads of the same accuracy."""
_LOSS, _ACCURACY, _VALUES = "eval_loss", "eval_accuracy", "values"


@dataclass(frozen=True)
class Proposal:
    """The values that a trial sets in a config."""

    head: list[dict[str, Any]]
    """Value of `model.head`."""
    training: dict[str, Any]
    """Keys and values of `training`."""


@dataclass(frozen=True)
class Score:
    """Metrics of a head on `eval`."""

    loss: float
    """Mean log-loss."""
    accuracy: float

    def value(self, metric: Metric) -> float:
        """Return the value that the search minimises."""
        if metric == "loss":
            return self.loss
        return 1.0 - self.accuracy + _TIE_BREAK * self.loss


@dataclass(frozen=True)
class Problem:
    """Data, config and metric of a search for a head."""

    features: Features
    model: ModelConfig
    training: TrainingConfig
    num_classes: int
    feature_shape: tuple[int, ...]
    metric: Metric

    def fit(
        self, proposal: Proposal | None, on_epoch: Callable[..., None] | None = None
    ) -> Score:
        """Train a head and score it on `eval`.

        Args:
            proposal: Values to change in the config; None changes nothing.
            on_epoch: Callback after each epoch.
        """
        model, training = self.model, self.training
        if proposal is not None:
            model = ModelConfig.model_validate(
                {**model.model_dump(), "head": proposal.head}
            )
            training = TrainingConfig.model_validate(
                {**training.model_dump(), **proposal.training}
            )
        keras.backend.clear_session()
        fitted = self.features.fit(
            model,
            training,
            num_classes=self.num_classes,
            feature_shape=self.feature_shape,
            on_epoch=on_epoch,
        )
        number, loss, hits = 0, 0.0, 0
        for features, labels in self.features.evaluation_batches():
            logits = fitted.head.predict_on_batch(
                features.reshape(-1, *self.feature_shape)
            )
            scores = np.asarray(probabilities(logits))
            chosen = np.maximum(scores[np.arange(len(labels)), labels], 1e-30)
            loss -= float(np.log(chosen).sum(dtype=np.float64))
            hits += int((scores.argmax(1) == labels).sum())
            number += len(labels)
        return Score(loss / number, hits / number)


def propose(trial: optuna.Trial, strategy: str, *, is_vector: bool) -> Proposal:
    """Draw one point of the search space.

    Args:
        trial: Source of the values.
        strategy: `linear` allows only linear heads.
        is_vector: Whether features are pooled. Maps are pooled or flattened first.
    """
    if is_vector and trial.number == 0:
        # Ridge solves for all penalties at once, so it needs only one trial.
        return Proposal([], {"optimizer": "ridge", "label_smoothing": 0.0})
    kinds = ["lbfgs"] if is_vector else []
    if strategy != "linear":
        kinds.append("dense")
    if trial.suggest_categorical("kind", kinds) == "lbfgs":
        return Proposal(
            [],
            {
                "optimizer": "lbfgs",
                "regularization": [trial.suggest_float("penalty", 1e-4, 30, log=True)],
                "label_smoothing": trial.suggest_float("linear_smoothing", 0.0, 0.2),
            },
        )
    head: list[dict[str, Any]] = []
    if not is_vector:
        match trial.suggest_categorical("reduction", ["avg", "max", "flatten"]):
            case "flatten":
                head.append({"type": "flatten"})
            case method:
                head.append({"type": "pooling", "method": method})
    sizes = [64, 128, 256, 512]
    for index in range(trial.suggest_int("layers", 0, 2)):
        head.append(
            {
                "type": "dense",
                "units": trial.suggest_categorical(f"units_{index}", sizes),
                "activation": trial.suggest_categorical("activation", ["relu", "gelu"]),
                "l2": trial.suggest_float("l2", 1e-7, 1e-2, log=True),
            }
        )
    rate = trial.suggest_float("dropout", 0.0, 0.6)
    if rate:
        head.append({"type": "dropout", "rate": rate})
    return Proposal(head, _gradient_steps(trial))


def _gradient_steps(trial: optuna.Trial) -> dict[str, Any]:
    optimizer = trial.suggest_categorical("optimizer", ["adamw", "rmsprop", "sgd"])
    low, high = (1e-3, 0.3) if optimizer == "sgd" else (1e-4, 1e-2)
    values: dict[str, Any] = {
        "optimizer": optimizer,
        "learning_rate": trial.suggest_float(f"{optimizer}_rate", low, high, log=True),
        "batch_size": trial.suggest_categorical("batch_size", [64, 128, 256]),
        "label_smoothing": trial.suggest_float("label_smoothing", 0.0, 0.2),
        "early_stopping_patience": _PATIENCE,
    }
    if optimizer != "rmsprop":
        values["weight_decay"] = trial.suggest_float(
            "weight_decay", 1e-6, 1e-1, log=True
        )
    return values


def open_study(storage: str, name: str, seed: int) -> optuna.Study:
    """Open or create a study. Interrupted trials are marked as failed.

    Args:
        storage: URL of a database.
        name: Name of the study, unique for data and config.
        seed: Seed of the proposals.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(
            n_startup_trials=_STARTUP_TRIALS // 2,
            n_warmup_steps=_EPOCHS_BEFORE_PRUNING,
        ),
    )
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    # With the number of trials, a continued study draws new proposals.
    study.sampler = optuna.samplers.TPESampler(
        seed=seed + len(study.trials), n_startup_trials=_STARTUP_TRIALS
    )
    return study


def finished_trials(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Return the trials that were completed or pruned."""
    states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    return list(study.get_trials(states=states))


def search(
    study: optuna.Study,
    problem: Problem,
    *,
    num_trials: int,
    seconds: float | None = None,
    on_trial: Callable[[optuna.trial.FrozenTrial], None] = lambda trial: None,
) -> None:
    """Try heads until the study has `num_trials` of them.

    Args:
        study: Study from `open_study`. Its earlier trials count.
        problem: Data, config and metric.
        num_trials: Number of trials in total.
        seconds: Time after which no trial starts; None: no limit.
        on_trial: Callback after each trial.
    """
    started = time.monotonic()
    is_vector = len(problem.feature_shape) == 1
    # Each trial collects the garbage of the one before. Freezing avoids a scan of all
    # imported modules.
    gc.collect()
    gc.freeze()

    def run(trial: optuna.Trial) -> float:
        proposal = propose(trial, problem.training.strategy, is_vector=is_vector)
        trial.set_user_attr(
            _VALUES, {"head": proposal.head, "training": proposal.training}
        )

        def on_epoch(_: str, history: dict[str, list[float]]) -> None:
            if "learning_rate" not in history:
                return
            epoch = len(history["loss"])
            score = Score(min(history[_LOSS]), max(history[_ACCURACY]))
            trial.report(score.value(problem.metric), epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        try:
            score = problem.fit(proposal, on_epoch)
        except TrainingError as error:
            # The rate was too high. That ends the trial, not the search.
            logging.getLogger(__name__).info("Trial %d: %s", trial.number, error)
            raise optuna.TrialPruned from error
        trial.set_user_attr(_LOSS, score.loss)
        trial.set_user_attr(_ACCURACY, score.accuracy)
        return score.value(problem.metric)

    try:
        while len(finished_trials(study)) < num_trials:
            if seconds is not None and time.monotonic() - started > seconds:
                break
            study.optimize(run, n_trials=1)
            on_trial(study.get_trials(deepcopy=False)[-1])
    finally:
        gc.unfreeze()


def score_of(trial: optuna.trial.FrozenTrial) -> Score:
    """Return the score of a completed trial."""
    return Score(trial.user_attrs[_LOSS], trial.user_attrs[_ACCURACY])


def proposal_of(trial: optuna.trial.FrozenTrial) -> Proposal:
    """Return the values that a trial sets in a config."""
    return Proposal(**trial.user_attrs[_VALUES])


def table(trials: Sequence[optuna.trial.FrozenTrial]) -> list[dict[str, Any]]:
    """Return a row per trial: number, state, scores, seconds and values."""
    return [
        {
            "trial": trial.number,
            "state": trial.state.name.lower(),
            _LOSS: trial.user_attrs.get(_LOSS),
            _ACCURACY: trial.user_attrs.get(_ACCURACY),
            "seconds": trial.duration.total_seconds() if trial.duration else None,
            "layers": sum(row["type"] == "dense" for row in proposal_of(trial).head),
            **{
                key: value
                for key, value in proposal_of(trial).training.items()
                if key != "early_stopping_patience"
            },
            "head": json.dumps(proposal_of(trial).head),
        }
        for trial in trials
    ]
