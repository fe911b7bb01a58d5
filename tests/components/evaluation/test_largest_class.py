"""A model is compared with always answering the largest class of `test`."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import balanced_accuracy_score

from graft.components.evaluation.config import GateConfig
from graft.components.evaluation.largest_class import compare_with_largest_class
from graft.components.evaluation.metrics import Measured
from graft.components.evaluation.predictions import (
    Answers,
    EvaluatedImages,
    Predictions,
)
from graft.components.evaluation.rules import judge
from graft.components.evaluation.verdict import RuleResult, Verdict

MEASURED = Measured(size_mb=20.0, latency_ms=30.0, signatures={})
RULE = "must_beat_largest_class"
# Of the model's classes; `unknown` is in `test` alone, and `e` may be absent from it.
MODEL_CLASSES = ("a", "b", "c", "d", "e")
TEST_CLASSES = ("a", "b", "c", "d", "unknown")
ANSWERS = st.lists(
    st.tuples(st.sampled_from(TEST_CLASSES), st.sampled_from(MODEL_CLASSES)),
    min_size=1,
    max_size=40,
)
"""True class and answer of each test image."""


def judged(
    truth: list[str],
    answers: list[str],
    config: GateConfig | None = None,
    class_names: tuple[str, ...] = MODEL_CLASSES,
) -> Verdict:
    """Return the verdict on a model that gives these answers; the floor is low."""
    labels = {name: label for label, name in enumerate(class_names)}
    probabilities = np.zeros((len(truth), len(class_names)), np.float32)
    probabilities[np.arange(len(truth)), [labels[name] for name in answers]] = 1
    filenames = np.array([f"{index}.png" for index in range(len(truth))])
    images = EvaluatedImages(np.array(truth), filenames, filenames)
    predictions = Predictions(images, Answers(class_names, probabilities))
    config = config or GateConfig(min_accuracy=1e-6)
    return judge(predictions, MEASURED, None, config)


def rule_of(verdict: Verdict) -> RuleResult:
    (rule,) = [each for each in verdict.rules if each.rule == RULE]
    return rule


def by_counts(counts: dict[tuple[str, str], int]) -> tuple[list[str], list[str]]:
    """Return truth and answers of `{(true class, answer): number}`."""
    pairs = [pair for pair, number in counts.items() for _ in range(number)]
    return [true for true, _ in pairs], [answer for _, answer in pairs]


@pytest.mark.parametrize(
    ("counts", "outcome", "words"),
    [
        (
            {("a", "a"): 23, ("b", "a"): 2},
            "refuse",
            "the model is no better than always answering 'a': that alone scores "
            "0.9200 (23 of 25 test images), the model 0.9200. Check the labels, add "
            "images of the other classes, or set "
            "`gate.must_beat_largest_class: false`",
        ),
        (
            {("a", "a"): 90, ("a", "b"): 2, ("b", "b"): 7, ("b", "a"): 1},
            "refuse",
            "the test images don't show that the model is better than always "
            "answering 'a': that alone scores 0.9200 (92 of 100 test images), the "
            "model 0.9700, and chance alone gives such a lead in 9% of cases. Add "
            "images, of the other classes above all, or set "
            "`gate.must_beat_largest_class: false`",
        ),
        (
            {("a", "a"): 92, ("b", "b"): 6, ("b", "a"): 2},
            "pass",
            "the model is better than always answering 'a': that alone scores 0.9200 "
            "(92 of 100 test images), the model 0.9800 (p = 0.016)",
        ),
        (
            {("a", "a"): 500, ("b", "b"): 500},
            "pass",
            "the model is better than always answering 'a': that alone scores 0.5000 "
            "(500 of 1,000 test images), the model 1.0000 (p < 0.0001)",
        ),
        (
            {("a", "a"): 6, ("b", "b"): 4},
            "note",
            "too few test images to show whether the model is better than always "
            "answering 'a': that alone scores 0.6000 (6 of 10 test images), the model "
            "1.0000; 4 are of other classes, and at least 5 are needed",
        ),
        (
            {("a", "a"): 6, ("b", "b"): 5},
            "pass",
            "the model is better than always answering 'a': that alone scores 0.5455 "
            "(6 of 11 test images), the model 1.0000 (p = 0.031)",
        ),
        (
            {("a", "a"): 6, ("b", "b"): 4, ("b", "a"): 1},
            "refuse",
            "the test images don't show that the model is better than always "
            "answering 'a': that alone scores 0.5455 (6 of 11 test images), the model "
            "0.9091, and chance alone gives such a lead in 6% of cases. Add images, of "
            "the other classes above all, or set "
            "`gate.must_beat_largest_class: false`",
        ),
        (
            {("a", "a"): 5, ("a", "b"): 1, ("b", "b"): 1, ("b", "a"): 3},
            "refuse",
            "the model is no better than always answering 'a': that alone scores "
            "0.6000 (6 of 10 test images), the model 0.6000. Check the labels, add "
            "images of the other classes, or set "
            "`gate.must_beat_largest_class: false`",
        ),
        (
            {("a", "a"): 25},
            "refuse",
            "the model is no better than always answering 'a': that alone scores "
            "1.0000 (25 of 25 test images), the model 1.0000. Put images of the other "
            "classes into `test`, or set `gate.must_beat_largest_class: false`",
        ),
        (
            {("unknown", "a"): 20, ("a", "a"): 5, ("b", "b"): 5},
            "refuse",
            "the model is no better than always answering 'unknown': that alone "
            "scores 0.6667 (20 of 30 test images), the model 0.3333. Check the "
            "labels, add images of the other classes, or set "
            "`gate.must_beat_largest_class: false`",
        ),
    ],
    ids=[
        "majority model",
        "lead by luck",
        "better",
        "much better",
        "too lopsided to show",
        "few, without a mistake",
        "few, with one mistake",
        "too lopsided, not above",
        "one class in test",
        "largest class unknown to the model",
    ],
)
def test_the_rule_and_its_sentence(
    counts: dict[tuple[str, str], int], outcome: str, words: str
) -> None:
    verdict = judged(*by_counts(counts))
    rule = rule_of(verdict)
    assert (rule.outcome, rule.message) == (outcome, words)
    assert verdict.is_blessed == (outcome != "refuse")


@pytest.mark.parametrize(
    "counts",
    [
        {("a", "a"): 23, ("b", "a"): 2},
        {("a", "a"): 90, ("a", "b"): 2, ("b", "b"): 7, ("b", "a"): 1},
    ],
    ids=["not above", "luck"],
)
def test_on_demand_it_is_a_note(counts: dict[tuple[str, str], int]) -> None:
    config = GateConfig(must_beat_largest_class=False)
    verdict = judged(*by_counts(counts), config)
    rule = rule_of(verdict)
    assert verdict.is_blessed
    assert rule.outcome == "note"
    assert rule.message in verdict.notes
    assert "gate.must_beat_largest_class" not in rule.message


def expected_outcome(pairs: list[tuple[str, str]]) -> str:
    """The stated rule, anew: the strictest of the equally large classes counts."""
    sizes = Counter(true for true, _ in pairs)
    size = max(sizes.values())
    num_right = sum(true == answer for true, answer in pairs)
    if num_right <= size:
        return "refuse"
    p_values = []
    for name in (each for each in sizes if sizes[each] == size):
        gained = sum(true == answer != name for true, answer in pairs)
        lost = sum(true == name != answer for true, answer in pairs)
        p_values.append(
            stats.binomtest(gained, gained + lost, 0.5, alternative="greater").pvalue
        )
    if max(p_values) < 0.05:
        return "pass"
    num_others = len(pairs) - size
    perfect = stats.binomtest(num_others, num_others, 0.5, alternative="greater")
    return "note" if perfect.pvalue >= 0.05 else "refuse"


@settings(max_examples=300, deadline=None)
@given(ANSWERS)
def test_a_model_is_refused_exactly_by_the_stated_rule(
    pairs: list[tuple[str, str]],
) -> None:
    truth, answers = map(list, zip(*pairs, strict=True))
    verdict = judged(truth, answers)
    assert rule_of(verdict).outcome == expected_outcome(pairs)
    assert verdict.metrics["balanced_accuracy"] == pytest.approx(
        np.mean([each["recall"] for each in verdict.classes if each["num_images"]])
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(TEST_CLASSES), min_size=1, max_size=60), st.data())
def test_a_model_with_one_answer_is_never_blessed(
    truth: list[str], data: st.DataObject
) -> None:
    answer = data.draw(st.sampled_from(MODEL_CLASSES))
    verdict = judged(truth, [answer] * len(truth))
    assert not verdict.is_blessed
    assert rule_of(verdict).outcome == "refuse"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(MODEL_CLASSES), min_size=2, max_size=60))
def test_a_model_without_a_mistake_is_blessed_if_test_has_two_classes(
    truth: list[str],
) -> None:
    assert judged(truth, truth).is_blessed == (len(set(truth)) > 1)


def test_a_thousand_classes() -> None:
    names = tuple(f"class {index:04}" for index in range(1000))
    truth = list(names) * 2
    answers = [*names[:200], *names[:800], *names]
    verdict = judged(truth, answers, class_names=names)
    assert verdict.largest_class is not None
    assert verdict.largest_class["share"] == 0.001
    # All are equally large; the first 200 are found twice.
    assert verdict.largest_class["name"] == names[200]
    assert rule_of(verdict).outcome == "pass"


def test_of_equally_large_classes_the_worst_recalled_one_counts() -> None:
    truth = np.array(["a"] * 10 + ["b"] * 10)
    answers = np.array(["a"] * 10 + ["b"] * 4 + ["a"] * 6)
    assert compare_with_largest_class(truth, answers).name == "b"


def test_balanced_accuracy_is_that_of_scikit_learn() -> None:
    truth, answers = by_counts({("a", "a"): 23, ("b", "a"): 1, ("b", "b"): 1})
    found = judged(truth, answers).metrics["balanced_accuracy"]
    assert found == pytest.approx(balanced_accuracy_score(truth, answers))
    assert found == 0.75


@pytest.mark.parametrize(
    ("missed", "message"),
    [
        ({"b": 2}, "1 class gets no test image right: 'b' (0 of 2)"),
        (
            {"c": 2, "d": 3, "b": 3, "unknown": 2},
            "4 classes get no test image right: 'b' (0 of 3), 'd' (0 of 3), "
            "'c' (0 of 2), 'unknown' (0 of 2)",
        ),
        (
            {f"x{index}": 1200 for index in range(7)},
            "7 classes get no test image right: 'x0' (0 of 1,200), 'x1' (0 of 1,200), "
            "'x2' (0 of 1,200), 'x3' (0 of 1,200), 'x4' (0 of 1,200) and 2 more",
        ),
    ],
    ids=["one", "several", "many"],
)
def test_classes_that_are_never_right_are_named(
    missed: dict[str, int], message: str
) -> None:
    truth = ["a"] * 9000 + [name for name in missed for _ in range(missed[name])]
    assert message in judged(truth, ["a"] * len(truth)).notes


def test_a_class_without_test_images_is_not_missed() -> None:
    verdict = judged(["a", "b"] * 20, ["a", "b"] * 20)
    assert not [each for each in verdict.rules if each.rule == "missed_classes"]
