"""The verdict: the gate's decision with the value, bound and outcome of each rule."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from graft.contract.errors import DamagedFileError
from graft.storage import files
from graft.storage.drivers import StorageError

VERDICT_FILE = "verdict.json"
"""File of the evaluation artifact that holds a `Verdict`."""
VERDICT_VERSION = 1

Outcome = Literal["pass", "refuse", "note"]


@dataclass(frozen=True)
class RuleResult:
    """The result of one rule.

    Attributes:
        rule: Name of the rule: `min_accuracy`, `comparison` and so on.
        subject: What it judges: `overall`, `class cat`, `production`.
        value: The measured number, or None.
        bound: The required number, or None.
        outcome: `note` informs the user, and decides nothing.
        message: The result as a sentence.
    """

    rule: str
    subject: str
    value: float | None
    bound: float | None
    outcome: Outcome
    message: str


@dataclass(frozen=True)
class Verdict:
    """The gate's decision and its reasons.

    Attributes:
        is_blessed: Whether no rule refuses.
        rules: The results of the rules.
        metrics: `accuracy`, `balanced_accuracy` (mean recall of the classes that have
            test images), `log_loss`, `calibration_error`, `num_test_images`, `size_mb`,
            `latency_ms` of the candidate.
        classes: Per class: `name`, `num_images`, `num_predicted`, `precision`,
            `recall`, `f1`, and `baseline_recall` (None without a baseline).
        slices: Per value of a slice: `feature`, `value`, `num_images`, `accuracy`,
            `baseline_accuracy`.
        largest_class: `LargestClass.to_dict`; None in a verdict of an older version.
        comparison: `Comparison.to_dict`, or None without a comparison.
        baseline: `version` and `files_hash` of the model in production, or None.
        judged_against: What was in production, as
            `graft.components.evaluation.baseline.Production.to_dict` tells it. Only
            while that is so may the model be pushed.
        judged_files: Relative path to SHA-256 of the candidate's files. Only these
            files may be pushed. None in a verdict of an older version.
        drift: Change of each property of the data since the model in production:
            `graft.components.quality.profile.Shift`, and `is_drifted`.
        data_profile: Statistics of this run's data, in counts.
        label_fixes: The label fixes that this run's data hold, or None:
            `graft.components.ingestion.fixes.applied_fixes.AppliedFixes.totals`.
        baseline_data_profile: The same for the data of the model in production.
        answers: How the answers of `candidate` and `baseline` were found, as
            `graft.components.evaluation.answer_ways.AnswerWays.to_dict`.
    """

    is_blessed: bool
    rules: tuple[RuleResult, ...]
    metrics: dict[str, float]
    classes: tuple[dict[str, Any], ...] = ()
    slices: tuple[dict[str, Any], ...] = ()
    largest_class: dict[str, Any] | None = None
    comparison: dict[str, Any] | None = None
    baseline: dict[str, Any] | None = None
    judged_against: dict[str, Any] | None = None
    judged_files: dict[str, str] | None = None
    drift: tuple[dict[str, Any], ...] = ()
    data_profile: dict[str, dict[str, int]] | None = None
    label_fixes: dict[str, Any] | None = None
    baseline_data_profile: dict[str, dict[str, int]] | None = None
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    format_version: int = field(default=VERDICT_VERSION)

    @property
    def refusals(self) -> tuple[str, ...]:
        """The reasons of a refusal, one sentence per rule; empty if blessed."""
        return tuple(r.message for r in self.rules if r.outcome == "refuse")

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes, one sentence each."""
        return tuple(r.message for r in self.rules if r.outcome == "note")

    def to_json(self) -> str:
        """Return strict JSON. Numbers that are not finite become null."""
        return json.dumps(_finite(asdict(self)), indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Verdict:
        """Read what `to_json` wrote.

        Raises:
            ValueError: The text is something else, such as a part of it.
        """
        try:
            values = json.loads(text)
            values["rules"] = tuple(RuleResult(**rule) for rule in values["rules"])
            for key in ("classes", "slices", "drift"):
                values[key] = tuple(dict(each) for each in values.get(key, ()))
            verdict = cls(**values)
        except (TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError("it holds no verdict") from error
        if not verdict._is_valid():
            raise ValueError("it holds no verdict")
        return verdict

    def _is_valid(self) -> bool:
        """Return whether the parts that commands show have the right types."""
        numbers = [*self.metrics.values()] if isinstance(self.metrics, dict) else [""]
        hashes = {} if self.judged_files is None else self.judged_files
        return (
            isinstance(self.is_blessed, bool)
            and all(each is None or isinstance(each, int | float) for each in numbers)
            and all({"name", "recall"} <= each.keys() for each in self.classes)
            and all(isinstance(rule.message, str) for rule in self.rules)
            and isinstance(hashes, dict)
            and all(isinstance(each, str) for each in hashes.values())
        )


def load_verdict(path: str) -> Verdict:
    """Read a verdict from its file.

    Raises:
        DamagedFileError: The file holds something else, or can't be read.
    """
    try:
        return Verdict.from_json(files.read_small_text(path))
    except StorageError:
        raise
    except (OSError, ValueError) as error:
        raise DamagedFileError(path) from error


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
