"""Say what the gate found without statistics; the report's rules have the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from graft.components.evaluation.largest_class import SIGNIFICANCE
from graft.components.evaluation.verdict import Outcome, RuleResult, Verdict
from graft.contract.counts import agree, counted

# More disagreements than any test set has; a lead this small is no lead.
_MOST_DISAGREEMENTS = 100_000


def in_words(verdict: Verdict, outcome: Outcome) -> tuple[str, ...]:
    """Return a sentence per rule with an outcome, such as the reasons of a refusal."""
    return tuple(
        _sentence_of(rule, verdict) or rule.message
        for rule in verdict.rules
        if rule.outcome == outcome
    )


def _sentence_of(rule: RuleResult, verdict: Verdict) -> str | None:
    try:
        if rule.rule == "comparison" and verdict.comparison:
            return _of_comparison(verdict.comparison)
        if rule.rule == "must_beat_largest_class" and verdict.largest_class:
            return _of_largest_class(verdict.largest_class)
    except (KeyError, TypeError):
        # A verdict of another version.
        return None
    return None


def _of_comparison(comparison: dict[str, Any]) -> str:
    lost, gained = int(comparison["num_lost"]), int(comparison["num_gained"])
    changed = (
        f"{lost or 'none'} of {counted(int(comparison['num_images']), 'test image')} "
        f"got worse than with the model in production, {gained or 'none'} got better"
    )
    if comparison["outcome"] == "worse":
        return (
            f"{changed}; that is more than chance explains. `graft diff` shows what "
            "changed since the run before"
        )
    if comparison["outcome"] == "not_worse":
        return f"not worse than the model in production: {changed}"
    doubt = (
        "; that could be chance"
        if lost > gained
        else ", but so few images could hide a loss"
    )
    return (
        f"{changed}{doubt}. Add test images (about "
        f"{_rounded(comparison['num_images_needed'])} in all would settle it)"
    )


def _of_largest_class(found: dict[str, Any]) -> str | None:
    right, num_images = int(found["num_right"]), int(found["num_test_images"])
    constant = f"always answering {found['name']!r}"
    if found["standing"] == "better":
        return (
            f"better than {constant}: {right} against {found['num_images']} of "
            f"{counted(num_images, 'test image')} right"
        )
    scores = (
        f"{right} of {counted(num_images, 'test image')} {agree(right, 'is', 'are')} "
        f"right, and {constant} would get {found['num_images']} right"
    )
    if found["standing"] == "unproven":
        factor = _images_needed(int(found["num_gained"]), int(found["num_lost"]))
        needed = "" if factor is None else _rounded(factor * num_images)
        about = f" (about {needed} in all would settle it)" if needed else ""
        return f"{scores}; that lead could be chance. Add test images{about}"
    if found["standing"] == "not_above":
        return f"{scores}. Check the labels, or add images of the other classes"
    return None


def _rounded(number: float) -> str:
    """Return a number with two digits that are not 0, such as 1,100."""
    return f"{float(f'{number:.2g}'):,.0f}"


def _images_needed(gained: int, lost: int) -> float | None:
    """Return how many times the test images are needed to prove the lead seen here.

    Args:
        gained: Images that only the model gets right.
        lost: Images that only the constant answer gets right.
    """
    from scipy import special

    seen = gained + lost
    disagreements = np.arange(seen, _MOST_DISAGREEMENTS)
    wins = np.floor(disagreements * gained / seen)
    is_chance = special.bdtrc(wins - 1, disagreements, 0.5) >= SIGNIFICANCE
    if is_chance[-1]:
        return None
    # Wins are whole numbers, so that a few more images may be proof less.
    last = int(np.flatnonzero(is_chance)[-1])
    return float(disagreements[last + 1] / seen)
