"""What the gate found, for a reader who knows no statistics."""

from __future__ import annotations

import numpy as np
import pytest

from graft.components.evaluation.comparison import compare
from graft.components.evaluation.config import ComparisonConfig, GateConfig
from graft.components.evaluation.largest_class import (
    compare_with_largest_class,
    largest_class_rule,
)
from graft.components.evaluation.plain_words import in_words
from graft.components.evaluation.verdict import Outcome, RuleResult, Verdict

STATISTICS = ("p =", "p <", "power", "interval", "significance")


def _verdict(rule: str, outcome: Outcome, **parts: object) -> Verdict:
    result = RuleResult(rule, "overall", None, None, outcome, "p = 0.2 (power 0.1)")
    return Verdict(outcome != "refuse", (result,), {}, **parts)  # type: ignore[arg-type]


def _compared(lost: int, gained: int, num_images: int, outcome: Outcome) -> str:
    before = np.ones(num_images, bool)
    now = before.copy()
    now[:lost] = False
    before[lost : lost + gained] = False
    comparison = compare(now, before, ComparisonConfig()).to_dict()
    verdict = _verdict("comparison", outcome, comparison=comparison)
    (sentence,) = in_words(verdict, outcome)
    assert not [word for word in STATISTICS if word in sentence]
    return sentence


def test_a_loss_that_may_be_chance_says_how_many_images_settle_it() -> None:
    assert _compared(2, 0, 35, "refuse") == (
        "2 of 35 test images got worse than with the model in production, none got "
        "better; that could be chance. Add test images (about 1,100 in all would "
        "settle it)"
    )


@pytest.mark.parametrize(
    ("lost", "gained", "num_images", "outcome", "words"),
    [
        (30, 1, 200, "refuse", "1 got better; that is more than chance explains"),
        (0, 1, 20, "note", "1 got better, but so few images could hide a loss"),
        (4, 5, 2000, "pass", "not worse than the model in production: 4 of 2,000"),
    ],
)
def test_comparison(lost, gained, num_images, outcome, words) -> None:
    assert words in _compared(lost, gained, num_images, outcome)


def _against_largest(right_of_a: int, right_of_b: int) -> tuple[Outcome, str]:
    true = np.array(["a"] * 12 + ["b"] * 8)
    said = np.array(
        ["a"] * right_of_a
        + ["b"] * (12 - right_of_a)
        + ["b"] * right_of_b
        + ["a"] * (8 - right_of_b)
    )
    found = compare_with_largest_class(true, said)
    outcome = largest_class_rule(found, GateConfig()).outcome
    verdict = _verdict(
        "must_beat_largest_class", outcome, largest_class=found.to_dict()
    )
    (sentence,) = in_words(verdict, outcome)
    assert not [word for word in STATISTICS if word in sentence]
    return outcome, sentence


def test_largest_class() -> None:
    assert _against_largest(12, 8) == (
        "pass",
        "better than always answering 'a': 20 against 12 of 20 test images right",
    )
    outcome, sentence = _against_largest(12, 0)
    assert outcome == "refuse"
    assert "12 of 20 test images are right, and always answering 'a' would" in sentence
    assert "Check the labels" in sentence


def test_a_lead_that_may_be_chance_says_how_many_images_settle_it() -> None:
    outcome, sentence = _against_largest(10, 4)
    assert outcome == "refuse"
    assert "that lead could be chance. Add test images (about " in sentence
    assert " in all would settle it)" in sentence
    number = int(sentence.partition("about ")[2].partition(" ")[0])
    # The same lead on so many images is proof; on half of them it is not.
    for factor, is_proof in ((number // 20 + 1, True), (number // 40, False)):
        true = np.array(["a"] * 12 * factor + ["b"] * 8 * factor)
        said = np.array(
            (["a"] * 10 + ["b"] * 2) * factor + (["b"] * 4 + ["a"] * 4) * factor
        )
        standing = compare_with_largest_class(true, said).standing
        assert (standing == "better") is is_proof


def test_other_rules_and_older_verdicts_keep_their_sentence() -> None:
    assert in_words(_verdict("min_accuracy", "refuse"), "refuse") == (
        "p = 0.2 (power 0.1)",
    )
    old = _verdict("comparison", "refuse", comparison={"p_value": 0.1})
    assert in_words(old, "refuse") == ("p = 0.2 (power 0.1)",)
    assert in_words(old, "pass") == ()
