"""Every rule of the gate: its value, its outcome and its message."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graft.components.evaluation.baseline_rules import Baseline
from graft.components.evaluation.config import GateConfig
from graft.components.evaluation.metrics import Measured
from graft.components.evaluation.predictions import (
    Answers,
    EvaluatedImages,
    Predictions,
)
from graft.components.evaluation.rules import judge
from graft.components.evaluation.verdict import Verdict

SIGNATURES = {"serving_default": {"input examples": "DT_STRING of rank 1"}}
MEASURED = Measured(size_mb=20.0, latency_ms=30.0, signatures=SIGNATURES)
PRODUCTION = Baseline(version=7, files_hash="f", signatures=SIGNATURES)


def answering(truth: list[str], answers: list[str], names: tuple[str, ...]) -> Answers:
    """Return a model that gives each answer with probability 0.9."""
    probabilities = np.full(
        (len(truth), len(names)), 0.1 / (len(names) - 1), np.float32
    )
    for row, answer in enumerate(answers):
        probabilities[row, names.index(answer)] = 0.9
    return Answers(names, probabilities)


def predictions(
    num_cats: int = 100,
    num_dogs: int = 100,
    wrong_cats: int = 0,
    wrong_dogs: int = 0,
    baseline_wrong: int | None = None,
    names: tuple[str, ...] = ("cat", "dog"),
    baseline_names: tuple[str, ...] = ("dog", "cat"),
) -> Predictions:
    truth = ["cat"] * num_cats + ["dog"] * num_dogs
    cats = ["dog"] * wrong_cats + ["cat"] * (num_cats - wrong_cats)
    dogs = ["cat"] * wrong_dogs + ["dog"] * (num_dogs - wrong_dogs)
    baseline = None
    if baseline_wrong is not None:
        answers = ["dog"] * baseline_wrong + ["cat"] * (num_cats - baseline_wrong)
        baseline = answering(truth, answers + ["dog"] * num_dogs, baseline_names)
    images = EvaluatedImages(
        class_names=np.array(truth),
        content_hashes=np.array([f"{i:064d}" for i in range(len(truth))]),
        filenames=np.array([f"{i}.png" for i in range(len(truth))]),
        slices={"image/source": np.array(["a", "b"] * (len(truth) // 2))},
    )
    return Predictions(images, answering(truth, cats + dogs, names), baseline)


def outcomes(verdict: Verdict, rule: str) -> list[str]:
    return [each.outcome for each in verdict.rules if each.rule == rule]


def test_first_run_is_judged_by_the_floor_alone() -> None:
    verdict = judge(predictions(wrong_cats=10), MEASURED, None, GateConfig())
    assert verdict.is_blessed
    assert verdict.metrics["accuracy"] == pytest.approx(0.95)
    assert any("no model in production yet" in note for note in verdict.notes)


@pytest.mark.parametrize(
    ("wrong", "is_blessed"), [(20, True), (21, False)], ids=["at", "below"]
)
def test_a_floor_is_reached_by_its_own_value(wrong: int, is_blessed: bool) -> None:
    # 180 of 200 is 0.9, which float32 and float64 write differently.
    verdict = judge(
        predictions(wrong_cats=wrong), MEASURED, None, GateConfig(min_accuracy=0.9)
    )
    assert verdict.is_blessed == is_blessed
    if not is_blessed:
        assert verdict.refusals == ("accuracy 0.8950 is below the floor of 0.9",)


def test_one_bad_class_does_not_refuse_unless_asked() -> None:
    few = predictions(num_cats=30, num_dogs=300, wrong_cats=15)
    assert judge(few, MEASURED, None, GateConfig()).is_blessed
    verdict = judge(few, MEASURED, None, GateConfig(min_class_accuracy=0.6))
    assert verdict.refusals == (
        "accuracy of class 'cat' 0.5000 is below the floor of 0.6",
    )
    own = GateConfig(min_class_accuracy=0.6, class_floors={"cat": 0.4})
    assert judge(few, MEASURED, None, own).is_blessed


@pytest.mark.parametrize("policy", ["pass", "refuse"])
def test_a_class_with_few_images_has_a_policy(policy: str) -> None:
    few = predictions(num_cats=4, num_dogs=100, wrong_cats=3)
    config = GateConfig(class_floors={"cat": 0.5}, when_slice_is_small=policy)
    verdict = judge(few, MEASURED, None, config)
    assert verdict.is_blessed == (policy == "pass")
    assert any(
        "class 'cat' has 4 test images" in text
        for text in verdict.notes + verdict.refusals
    )


def test_a_floor_for_a_class_or_slice_without_images_is_no_pass() -> None:
    config = GateConfig(
        class_floors={"bird": 0.5},
        slice_floors={"camera": 0.5},
        when_slice_is_small="refuse",
    )
    verdict = judge(predictions(), MEASURED, None, config)
    assert [text.split(",")[0] for text in verdict.refusals] == [
        "class 'bird' has 0 test images",
        "camera has 0 test images",
    ]


def test_slices_are_judged_by_value() -> None:
    table = predictions(num_cats=100, num_dogs=0, wrong_cats=100 // 2)
    # The wrong half comes first, so both sources are half wrong.
    config = GateConfig(
        min_accuracy=0.1,
        must_beat_largest_class=False,
        slice_floors={"image/source": 0.6},
    )
    verdict = judge(table, MEASURED, None, config)
    assert len(verdict.refusals) == 2
    assert "image/source 'a' 0.5000 is below" in verdict.refusals[0]


@pytest.mark.parametrize(
    ("limit", "rule"),
    [
        ({"max_calibration_error": 0.05}, "max_calibration_error"),
        ({"max_size_mb": 19.0}, "max_size"),
        ({"max_latency_ms": 10.0}, "max_latency"),
    ],
    ids=["calibration", "size", "latency"],
)
def test_limits_refuse(limit: dict[str, Any], rule: str) -> None:
    verdict = judge(predictions(), MEASURED, None, GateConfig(**limit))
    assert outcomes(verdict, rule) == ["refuse"]
    assert "exceeds the limit" in verdict.refusals[0]


def test_worse_than_production_is_refused_with_its_numbers() -> None:
    table = predictions(1000, 1000, wrong_cats=60, baseline_wrong=10)
    verdict = judge(table, MEASURED, PRODUCTION, GateConfig())
    assert outcomes(verdict, "comparison") == ["refuse"]
    message = verdict.refusals[0]
    assert "worse than production" in message
    assert "0.9700 against 0.9950 of version 7 on 2,000 images" in message
    assert verdict.comparison is not None
    assert verdict.comparison["num_lost"] == 50
    assert verdict.baseline == {"version": 7, "files_hash": "f"}


def test_the_label_map_of_production_may_be_in_another_order() -> None:
    table = predictions(1000, 1000, wrong_cats=20, baseline_wrong=20)
    verdict = judge(table, MEASURED, PRODUCTION, GateConfig())
    assert outcomes(verdict, "comparison") == ["pass"]
    assert verdict.comparison is not None
    assert verdict.comparison["difference"] == 0.0


@pytest.mark.parametrize(
    ("policy", "wrong", "is_blessed"),
    [
        ("estimate", 1, True),
        ("estimate", 3, False),
        ("pass", 3, True),
        ("refuse", 0, False),
    ],
)
def test_too_few_images_have_a_policy(
    policy: str, wrong: int, is_blessed: bool
) -> None:
    table = predictions(30, 20, wrong_cats=wrong, baseline_wrong=0)
    config = GateConfig.model_validate({"comparison": {"when_inconclusive": policy}})
    verdict = judge(table, MEASURED, PRODUCTION, config)
    assert verdict.is_blessed == is_blessed
    assert "too few test images to tell" in (verdict.notes + verdict.refusals)[0]


def test_the_model_in_production_is_not_compared_with_itself() -> None:
    table = predictions(30, 20, baseline_wrong=0)
    config = GateConfig.model_validate({"comparison": {"when_inconclusive": "refuse"}})
    same = replace(PRODUCTION, is_candidate=True)
    assert not judge(table, MEASURED, PRODUCTION, config).is_blessed
    verdict = judge(table, MEASURED, same, config)
    assert verdict.is_blessed
    assert verdict.comparison is None
    (rule,) = [each for each in verdict.rules if each.rule == "comparison"]
    assert rule.outcome == "pass"
    assert rule.message == "version 7, in production, is this very model"


@pytest.mark.parametrize("policy", ["pass", "refuse"])
def test_a_baseline_that_no_longer_loads_has_a_policy(policy: str) -> None:
    config = GateConfig.model_validate({"comparison": {"when_baseline_fails": policy}})
    broken = Baseline(version=7, failure="OSError: no such file")
    verdict = judge(predictions(), MEASURED, broken, config)
    assert verdict.is_blessed == (policy == "pass")
    assert (
        "no comparison with version 7, which is in production: OSError"
        in ((verdict.notes + verdict.refusals)[0])
    )


def test_a_new_class_is_compared_on_the_old_ones() -> None:
    table = predictions(
        1000, 1000, baseline_wrong=0, names=("bird", "cat", "dog"), wrong_cats=0
    )
    verdict = judge(table, MEASURED, PRODUCTION, GateConfig())
    assert verdict.is_blessed
    assert any("version 7 lacks the classes bird" in note for note in verdict.notes)


@pytest.mark.parametrize("is_allowed", [True, False])
def test_a_lost_class_is_refused_unless_allowed(is_allowed: bool) -> None:
    table = predictions(
        1000, 1000, baseline_wrong=0, baseline_names=("bird", "cat", "dog")
    )
    config = GateConfig.model_validate(
        {"comparison": {"allow_removed_classes": is_allowed}}
    )
    verdict = judge(table, MEASURED, PRODUCTION, config)
    assert verdict.is_blessed == is_allowed
    assert any("bird" in text for text in verdict.notes + verdict.refusals)


@pytest.mark.parametrize("is_allowed", [True, False])
def test_a_changed_signature_is_refused_unless_allowed(is_allowed: bool) -> None:
    old = {**SIGNATURES, "classify": {"input inputs": "DT_STRING of rank 1"}}
    config = GateConfig.model_validate(
        {"comparison": {"allow_changed_signature": is_allowed}}
    )
    table = predictions(1000, 1000, baseline_wrong=0)
    verdict = judge(table, MEASURED, Baseline(7, "f", old), config)
    assert verdict.is_blessed == is_allowed
    assert any(
        "signature 'classify' is gone" in text
        for text in verdict.notes + verdict.refusals
    )


def test_an_unknown_class_in_the_test_split_counts_as_wrong() -> None:
    table = predictions(50, 50, names=("dog", "fox"), wrong_cats=50)
    # The model does not know cats, so every one of them is wrong.
    verdict = judge(table, MEASURED, None, GateConfig(min_accuracy=0.4))
    assert verdict.metrics["accuracy"] == pytest.approx(0.5)


def test_verdict_and_predictions_survive_their_files(tmp_path: Path) -> None:
    table = predictions(baseline_wrong=3)
    verdict = judge(table, MEASURED, PRODUCTION, GateConfig())
    again = Verdict.from_json(verdict.to_json())
    assert again.to_json() == verdict.to_json()
    assert again.rules == verdict.rules
    path = str(tmp_path / "predictions.npz")
    table.save(path)
    loaded = Predictions.load(path)
    assert judge(loaded, MEASURED, PRODUCTION, GateConfig()) == verdict


def test_a_floor_for_a_feature_that_no_image_has_is_no_pass() -> None:
    table = predictions()
    table.images.slices["column/camra"] = np.full(200, "")
    config = GateConfig(slice_floors={"column/camra": 0.9})
    assert "column/camra" in config.slice_keys
    verdict = judge(table, MEASURED, None, config)
    assert outcomes(verdict, "slice_floor") == ["note"]
    assert any("column/camra has 0 test images" in note for note in verdict.notes)
    # Images without a value beside those that have one are a slice of their own.
    table.images.slices["column/camra"] = np.array(["x", ""] * 100)
    verdict = judge(table, MEASURED, None, config)
    assert outcomes(verdict, "slice_floor") == ["pass", "pass"]


def profile(cats: int, dogs: int) -> dict[str, dict[str, int]]:
    return {"class": {"cat": cats, "dog": dogs}, "format": {"png": cats + dogs}}


@pytest.mark.parametrize("policy", ["note", "refuse"])
def test_data_that_drifted_have_a_policy(policy: Any) -> None:
    production = replace(PRODUCTION, data_profile=profile(100, 900))
    table = predictions(baseline_wrong=0)
    config = GateConfig(when_drifted=policy)
    verdict = judge(table, MEASURED, production, config, profile(500, 500))
    assert outcomes(verdict, "drift") == [policy]
    assert verdict.is_blessed == (policy == "note")
    (rule,) = [each for each in verdict.rules if each.rule == "drift"]
    assert "'cat' had 10.0% of the images and has 50.0%" in rule.message
    assert [shift["is_drifted"] for shift in verdict.drift] == [True, False]
    assert verdict.data_profile == profile(500, 500)


def test_data_like_those_of_production_pass() -> None:
    production = replace(PRODUCTION, data_profile=profile(10, 20))
    table = predictions(baseline_wrong=0)
    # With so few images, chance alone may give a divergence of 0.04.
    verdict = judge(table, MEASURED, production, GateConfig(), profile(17, 13))
    assert outcomes(verdict, "drift") == ["pass"]
    assert verdict.drift[0]["divergence"] > GateConfig().max_drift
    production = replace(PRODUCTION, data_profile=profile(1000, 2000))
    verdict = judge(table, MEASURED, production, GateConfig(), profile(1700, 1300))
    assert outcomes(verdict, "drift") == ["note"]


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, profile(1, 1)), (profile(1, 1), None)],
    ids=["unknown then", "unknown now"],
)
def test_unknown_data_have_not_drifted(before: Any, after: Any) -> None:
    production = replace(PRODUCTION, data_profile=before)
    table = predictions(baseline_wrong=0)
    verdict = judge(table, MEASURED, production, GateConfig(), after)
    assert outcomes(verdict, "drift") == []
    assert verdict.drift == ()
