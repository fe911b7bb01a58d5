"""The rules that compare the candidate and its data with the model in production."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from graft.components.evaluation.comparison import Comparison, is_refused
from graft.components.evaluation.config import GateConfig
from graft.components.evaluation.metrics import Measured
from graft.components.evaluation.predictions import Predictions
from graft.components.evaluation.signatures import Signatures, breaking_changes
from graft.components.evaluation.verdict import Outcome, RuleResult
from graft.components.quality.profile import Profile


@dataclass(frozen=True)
class Baseline:
    """The model in production.

    Attributes:
        version: Version number; 0 for none.
        files_hash: Hash of its files.
        signatures: Its signatures; None if they can't be read.
        failure: Why the candidate can't be compared with it; None if it can.
        data_profile: Statistics of its training data; None if its manifest lacks them.
        is_candidate: Whether it is the candidate: the same files, read and hashed.
    """

    version: int
    files_hash: str = ""
    signatures: Signatures | None = None
    failure: str | None = None
    data_profile: Profile | None = None
    is_candidate: bool = False


def baseline_rules(
    predictions: Predictions,
    measured: Measured,
    baseline: Baseline | None,
    comparison: Comparison | None,
    config: GateConfig,
) -> Iterator[RuleResult]:
    """Compare the candidate with the model in production.

    Args:
        predictions: The predictions on `test`.
        measured: Signatures of the candidate.
        baseline: The model in production; None if there is none.
        comparison: The paired comparison; None if there is none.
        config: Which comparison to make, and its policies.
    """
    rules = config.comparison
    if not rules.enabled:
        yield _result("note", "comparison with production is switched off")
        return
    if baseline is None:
        yield _result("note", "no model in production yet: the floors alone decide")
        return
    if baseline.is_candidate:
        # As after a change of the gate's config alone.
        yield _result(
            "pass", f"version {baseline.version}, in production, is this very model"
        )
        return
    if baseline.signatures is not None:
        yield from _signature_rule(measured, baseline.signatures, config)
    if predictions.baseline is None:
        yield _result(
            "refuse" if rules.when_baseline_fails == "refuse" else "note",
            f"no comparison with version {baseline.version}, which is in production: "
            f"{baseline.failure}",
        )
        return
    yield from _label_rule(predictions, baseline, config)
    if comparison is None:
        yield _result(
            "note", "no comparison: candidate and production have no common class"
        )
        return
    yield _comparison_rule(comparison, baseline.version, config)


def drift_rules(
    moved: list[dict[str, Any]], baseline: Baseline | None, config: GateConfig
) -> Iterator[RuleResult]:
    """Compare the data with those of the model in production.

    Args:
        moved: The properties of the data from `drift`, the greatest change first.
        baseline: The model in production; None if there is none.
        config: The limit and the policy.
    """
    if not moved or baseline is None:
        return
    drifted = [shift for shift in moved if shift["is_drifted"]]
    for shift in drifted:
        yield RuleResult(
            rule="drift",
            subject=shift["name"],
            value=shift["divergence"],
            bound=config.max_drift,
            outcome=config.when_drifted,
            message=f"the data have drifted since version {baseline.version}, in "
            f"{shift['name']}: {shift['value']!r} had {shift['before']:.1%} of the "
            f"images and has {shift['after']:.1%} (divergence "
            f"{shift['divergence']:.3f}, limit {config.max_drift:g})",
        )
    if not drifted:
        most = moved[0]
        yield RuleResult(
            rule="drift",
            subject="overall",
            value=most["divergence"],
            bound=config.max_drift,
            outcome="pass",
            message="the data have not drifted since version "
            f"{baseline.version} (greatest divergence {most['divergence']:.3f}, in "
            f"{most['name']})",
        )


def _result(outcome: Outcome, message: str, *, rule: str = "comparison") -> RuleResult:
    return RuleResult(rule, "production", None, None, outcome, message)


def _signature_rule(
    measured: Measured, signatures: Signatures, config: GateConfig
) -> Iterator[RuleResult]:
    broken = breaking_changes(measured.signatures, signatures)
    if not broken:
        yield _result(
            "pass", "clients of production can call the candidate", rule="signature"
        )
        return
    is_allowed = config.comparison.allow_changed_signature
    yield _result(
        "note" if is_allowed else "refuse",
        f"clients of production can't call the candidate: {'; '.join(broken)}",
        rule="signature",
    )


def _label_rule(
    predictions: Predictions, baseline: Baseline, config: GateConfig
) -> Iterator[RuleResult]:
    old = set(predictions.baseline.class_names) if predictions.baseline else set()
    new = set(predictions.candidate.class_names)
    if added := sorted(new - old):
        yield _result(
            "note",
            f"version {baseline.version} lacks the classes {', '.join(added)}: the "
            "comparison leaves their images out",
            rule="labels",
        )
    if removed := sorted(old - new):
        is_allowed = config.comparison.allow_removed_classes
        yield _result(
            "note" if is_allowed else "refuse",
            f"the candidate lacks classes of production: {', '.join(removed)}"
            + ("" if is_allowed else " (`gate.comparison.allow_removed_classes`)"),
            rule="labels",
        )


def _comparison_rule(
    comparison: Comparison, version: int, config: GateConfig
) -> RuleResult:
    rules = config.comparison
    low, high = comparison.interval
    numbers = (
        f"accuracy {comparison.candidate_accuracy:.4f} against "
        f"{comparison.baseline_accuracy:.4f} of version {version} on "
        f"{comparison.num_images:,} images (difference {comparison.difference:+.4f}, "
        f"{1 - 2 * rules.significance:.0%} interval {low:+.4f} to {high:+.4f}, "
        f"{comparison.num_gained} gained, {comparison.num_lost} lost, "
        f"p = {comparison.p_value:.3g})"
    )
    outcome: Outcome
    bound = -rules.tolerance
    if comparison.outcome == "worse":
        outcome, words = "refuse", "worse than production"
    elif comparison.outcome == "not_worse":
        outcome, words = "pass", "not worse than production"
    else:
        outcome = "refuse" if is_refused(comparison, rules) else "note"
        bound = -rules.margin
        words = (
            "too few test images to tell whether it is worse than production by "
            f"{rules.margin:g} (power {comparison.power:.2f}; about "
            f"{comparison.num_images_needed:,} images are needed)"
        )
    return RuleResult(
        rule="comparison",
        subject="production",
        value=comparison.difference,
        bound=bound,
        outcome=outcome,
        message=f"{words}: {numbers}",
    )
