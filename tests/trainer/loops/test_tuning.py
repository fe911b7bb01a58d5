"""The search finds a better head than the config's, and can be continued."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
import pytest

from graft.trainer.config import DenseLayer, ModelConfig, TrainingConfig
from graft.trainer.loops.tuning import (
    Problem,
    finished_trials,
    open_study,
    proposal_of,
    propose,
    score_of,
    search,
    table,
)
from graft.trainer.loops.tuning_features import LoadedFeatures


def _rings(num_examples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Make one class around the other, which a linear head can't separate."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num_examples) % 2
    angle = rng.uniform(0, 2 * np.pi, num_examples)
    radius = 1.0 + labels + rng.normal(size=num_examples) * 0.15
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points.astype(np.float32), labels


def _problem(metric: str = "loss") -> Problem:
    training = TrainingConfig(epochs=20)
    return Problem(
        features=LoadedFeatures(_rings(640, 1), _rings(80, 2), training),
        model=ModelConfig(),
        training=training,
        num_classes=2,
        feature_shape=(2,),
        metric=metric,
    )


@pytest.mark.timeout(600)
def test_search_beats_the_config_and_goes_on(tmp_path: Path) -> None:
    problem = _problem()
    storage = f"sqlite:///{tmp_path}/study.sqlite"
    before = problem.fit(None)
    study = open_study(storage, "rings", seed=1)
    search(study, problem, num_trials=6)
    # A trial that never ended, as after a kill.
    study.ask()
    again = open_study(storage, "rings", seed=1)
    search(again, problem, num_trials=8)
    trials = finished_trials(again)
    assert len(trials) == 8
    assert len({str(proposal_of(trial)) for trial in trials}) == 8
    best = again.best_trial
    assert score_of(best).loss < 0.8 * before.loss
    # A run with the values of the best trial gives what the trial gave.
    assert problem.fit(proposal_of(best)) == score_of(best)
    rows = table(trials)
    assert {row["state"] for row in rows} <= {"complete", "pruned"}
    assert all(row["seconds"] > 0 for row in rows)


def test_same_seed_proposes_the_same() -> None:
    def proposals(seed: int) -> list[object]:
        study = open_study("sqlite:///:memory:", "seeds", seed)
        return [propose(study.ask(), "linear", is_vector=True) for _ in range(5)]

    assert proposals(1) == proposals(1)
    assert proposals(1) != proposals(2)


def test_linear_strategy_stays_linear_and_maps_are_reduced() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        linear = propose(study.ask(), "linear", is_vector=True)
        assert not linear.head
        assert linear.training["optimizer"] in ("lbfgs", "ridge")
        TrainingConfig.model_validate({"strategy": "linear", **linear.training})
    maps = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        deep = propose(maps.ask(), "feature_extraction", is_vector=False)
        assert deep.head[0]["type"] in ("pooling", "flatten")
        ModelConfig.model_validate({"pooling": "none", "head": deep.head})
        TrainingConfig.model_validate(deep.training)


def test_accuracy_decides_if_asked_and_the_loss_among_equals() -> None:
    problem = _problem("accuracy")
    linear = problem.fit(None)
    deep = Problem(
        **{
            **vars(problem),
            "model": ModelConfig(head=(DenseLayer(units=32),)),
            "training": TrainingConfig(epochs=25, learning_rate=0.03),
        }
    ).fit(None)
    assert deep.accuracy > linear.accuracy
    assert deep.value("accuracy") < linear.value("accuracy")
    assert deep.value("accuracy") == pytest.approx(1 - deep.accuracy, abs=1e-4)
