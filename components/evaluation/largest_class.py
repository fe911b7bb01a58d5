"""Compare a model with a constant answer: always the largest class of `test`.

The test is McNemar's, exact and one-sided. Only images that exactly one of the two gets
right count. If both were equally good, each such image would be a fair coin toss.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from graft.components.evaluation.config import GateConfig
from graft.components.evaluation.verdict import Outcome, RuleResult

SIGNIFICANCE = 0.05
"""Significance level of the test."""
FEWEST_OTHERS = math.floor(math.log2(1 / SIGNIFICANCE)) + 1
"""With fewer test images of other classes, even a perfect model fails the test."""
_LEAST_SHOWN = 0.0001

Standing = Literal["better", "not_above", "unproven", "undecidable"]


@dataclass(frozen=True)
class LargestClass:
    """A comparison of a model with always answering the largest class of `test`.

    Attributes:
        name: The largest class of `test`.
        num_images: Images of this class in `test`.
        num_test_images: All images of `test`.
        num_right: Images that the model gets right.
        num_gained: Images that only the model gets right.
        num_lost: Images that only the constant answer gets right.
        p_value: Probability of at least this lead if both were equally good.
    """

    name: str
    num_images: int
    num_test_images: int
    num_right: int
    num_gained: int
    num_lost: int
    p_value: float

    @property
    def share(self) -> float:
        """Accuracy of the constant answer."""
        return self.num_images / self.num_test_images

    @property
    def num_others(self) -> int:
        """Test images of other classes."""
        return self.num_test_images - self.num_images

    @property
    def standing(self) -> Standing:
        """Whether the model is better than the constant answer.

        `undecidable` means that its accuracy is higher, but that even a model without
        mistakes would fail the test, because other classes have too few images.
        """
        # Integers have no rounding errors.
        if self.num_gained <= self.num_lost:
            return "not_above"
        if self.p_value < SIGNIFICANCE:
            return "better"
        return "unproven" if self.num_others >= FEWEST_OTHERS else "undecidable"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, with `share` and `standing`."""
        return {**asdict(self), "share": self.share, "standing": self.standing}


def compare_with_largest_class(
    true_names: np.ndarray, predicted_names: np.ndarray
) -> LargestClass:
    """Compare the predictions of a model with always answering the largest class.

    Args:
        true_names: str (N,), N at least 1.
        predicted_names: str (N,), in the same order.
    """
    is_right = predicted_names == true_names
    names, of_name, counts = np.unique(
        true_names, return_inverse=True, return_counts=True
    )
    hits = np.bincount(of_name[is_right], minlength=len(names))
    # Of equally large classes, choose the one with the lowest recall. It makes the test
    # the strictest.
    largest = int(np.lexsort((hits, -counts))[0])
    num_right = int(is_right.sum())
    gained = num_right - int(hits[largest])
    lost = int(counts[largest] - hits[largest])
    return LargestClass(
        name=str(names[largest]),
        num_images=int(counts[largest]),
        num_test_images=len(true_names),
        num_right=num_right,
        num_gained=gained,
        num_lost=lost,
        p_value=_probability_of_lead(gained, gained + lost),
    )


def largest_class_rule(found: LargestClass, config: GateConfig) -> RuleResult:
    """Refuse a model that is not better than always answering the largest class."""
    outcome: Outcome
    if found.standing == "better":
        outcome = "pass"
    elif found.standing == "undecidable" or not config.must_beat_largest_class:
        outcome = "note"
    else:
        outcome = "refuse"
    remedy = ""
    if outcome == "refuse":
        remedy = f". {_remedy(found)}, or set `gate.must_beat_largest_class: false`"
    return RuleResult(
        rule="must_beat_largest_class",
        subject="overall",
        value=found.num_right / found.num_test_images,
        bound=found.share,
        outcome=outcome,
        message=_describe(found) + remedy,
    )


def _describe(found: LargestClass) -> str:
    """Return the comparison as a sentence."""
    constant = f"always answering {found.name!r}"
    scores = (
        f"that alone scores {found.share:.4f} ({found.num_images:,} of "
        f"{found.num_test_images:,} test images), the model "
        f"{found.num_right / found.num_test_images:.4f}"
    )
    if found.standing == "better":
        p = f"= {found.p_value:.2g}" if found.p_value >= _LEAST_SHOWN else "< 0.0001"
        return f"the model is better than {constant}: {scores} (p {p})"
    if found.standing == "not_above":
        return f"the model is no better than {constant}: {scores}"
    if found.standing == "unproven":
        return (
            f"the test images don't show that the model is better than {constant}: "
            f"{scores}, and chance alone gives such a lead in {found.p_value:.0%} of "
            "cases"
        )
    return (
        f"too few test images to show whether the model is better than {constant}: "
        f"{scores}; {found.num_others} are of other classes, and at least "
        f"{FEWEST_OTHERS} are needed"
    )


def _remedy(found: LargestClass) -> str:
    if not found.num_others:
        return "Put images of the other classes into `test`"
    if found.standing == "unproven":
        return "Add images, of the other classes above all"
    return "Check the labels, add images of the other classes"


def _probability_of_lead(gained: int, disagreements: int) -> float:
    """Return the probability of at least `gained` heads in this many coin tosses."""
    if not gained:
        return 1.0
    # `scipy.stats.binomtest` gives the same result, but is slow to import. The trainer
    # has already imported `scipy.special`.
    from scipy import special

    return float(special.bdtrc(gained - 1, disagreements, 0.5))
