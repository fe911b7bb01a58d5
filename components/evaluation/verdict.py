"""The verdict: every rule with its number, its bound and what it came to."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

VERDICT_FILE = "verdict.json"
"""File of the evaluation artifact that holds a `Verdict`."""
VERDICT_VERSION = 1

Outcome = Literal["pass", "refuse", "note"]


@dataclass(frozen=True)
class RuleResult:
    """What one rule came to.

    Attributes:
        rule: Which rule: `min_accuracy`, `comparison` and so on.
        subject: What it was applied to: `overall`, `class cat`, `production`.
        value: The number measured; None where there is none.
        bound: The number demanded; None where there is none.
        outcome: `note` neither passes nor refuses, but must be known.
        message: The same for people.
    """

    rule: str
    subject: str
    value: float | None
    bound: float | None
    outcome: Outcome
    message: str


@dataclass(frozen=True)
class Verdict:
    """The gate's decision and everything that it rests on.

    Attributes:
        is_blessed: Whether no rule refuses.
        rules: Every rule that was looked at.
        metrics: `accuracy`, `balanced_accuracy` (mean recall of the classes that have
            test images), `log_loss`, `calibration_error`, `num_test_images`, `size_mb`,
            `latency_ms` of the candidate.
        classes: Per class: `name`, `num_images`, `num_predicted`, `precision`,
            `recall`, `f1`, and `baseline_recall` (None without a baseline).
        slices: Per value of a slice: `feature`, `value`, `num_images`, `accuracy`,
            `baseline_accuracy`.
        largest_class: `LargestClass.to_dict`; None in a verdict of an older version.
        comparison: `Comparison.to_dict`, or None where nothing was compared.
        baseline: `version` and `files_hash` of the model in production, or None.
        drift: Per property of the data, how far it is from those of the model in
            production: `graft.components.quality.profile.Shift`, and `is_drifted`.
        data_profile: What the data of this run look like, in counts.
        baseline_data_profile: The same of the model in production.
    """

    is_blessed: bool
    rules: tuple[RuleResult, ...]
    metrics: dict[str, float]
    classes: tuple[dict[str, Any], ...] = ()
    slices: tuple[dict[str, Any], ...] = ()
    largest_class: dict[str, Any] | None = None
    comparison: dict[str, Any] | None = None
    baseline: dict[str, Any] | None = None
    drift: tuple[dict[str, Any], ...] = ()
    data_profile: dict[str, dict[str, int]] | None = None
    baseline_data_profile: dict[str, dict[str, int]] | None = None
    format_version: int = field(default=VERDICT_VERSION)

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why the gate refuses: a sentence per rule; empty for a blessed model."""
        return tuple(r.message for r in self.rules if r.outcome == "refuse")

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be known though it decides nothing."""
        return tuple(r.message for r in self.rules if r.outcome == "note")

    def to_json(self) -> str:
        """Return strict JSON: a number that is not finite becomes null."""
        return json.dumps(_finite(asdict(self)), indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Verdict:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        values["rules"] = tuple(RuleResult(**rule) for rule in values["rules"])
        values["classes"] = tuple(values["classes"])
        values["slices"] = tuple(values["slices"])
        values["drift"] = tuple(values.get("drift", ()))
        return cls(**values)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
