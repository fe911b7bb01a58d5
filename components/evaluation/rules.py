"""The rules of the gate, each a small function from numbers to a `RuleResult`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from graft.components.evaluation.comparison import (
    FLOAT_NOISE,
    Comparison,
    compare,
    is_refused,
)
from graft.components.evaluation.config import GateConfig
from graft.components.evaluation.largest_class import (
    compare_with_largest_class,
    largest_class_rule,
)
from graft.components.evaluation.metrics import (
    Measured,
    metrics_of,
    per_class,
    per_slice,
)
from graft.components.evaluation.predictions import Predictions
from graft.components.evaluation.signatures import Signatures, broken_promises
from graft.components.evaluation.verdict import Outcome, RuleResult, Verdict
from graft.components.quality.profile import Profile, drift

_MOST_NAMED = 5


@dataclass(frozen=True)
class Baseline:
    """The model in production.

    Attributes:
        version: Its version number; 0 for none.
        files_hash: Identifies its files.
        signatures: What its clients ask; None if that can't be read.
        failure: Why it can't be compared with; None if it can.
        data_profile: What its data looked like; None if its manifest does not say.
    """

    version: int
    files_hash: str = ""
    signatures: Signatures | None = None
    failure: str | None = None
    data_profile: Profile | None = None


def judge(
    predictions: Predictions,
    measured: Measured,
    baseline: Baseline | None,
    config: GateConfig,
    data_profile: Profile | None = None,
) -> Verdict:
    """Apply every rule.

    Args:
        predictions: The answers on `test`.
        measured: Size, speed and signatures of the candidate.
        baseline: The model in production; None if there is none.
        config: What is demanded.
        data_profile: What the run's data look like; None where nobody looked.
    """
    true_names = predictions.images.class_names
    is_right = predictions.candidate.is_right(true_names)
    metrics = metrics_of(predictions, is_right, measured)
    classes = tuple(per_class(predictions))
    slices = tuple(per_slice(predictions))
    comparison = _comparison(predictions, config)
    largest = compare_with_largest_class(
        true_names, predictions.candidate.predicted_names()
    )
    rules = [
        _floor("min_accuracy", "overall", metrics["accuracy"], config.min_accuracy),
        largest_class_rule(largest, config),
    ]
    rules += _missed_class_rule(classes)
    rules += _class_rules(classes, config)
    rules += _slice_rules(slices, config)
    rules += _limit_rules(metrics, config)
    rules += _baseline_rules(predictions, measured, baseline, comparison, config)
    earlier = None if baseline is None else baseline.data_profile
    moved = drift(earlier, data_profile, config.max_drift)
    rules += _drift_rules(moved, baseline, config)
    return Verdict(
        is_blessed=all(rule.outcome != "refuse" for rule in rules),
        rules=tuple(rules),
        metrics=metrics,
        classes=classes,
        slices=slices,
        largest_class=largest.to_dict(),
        comparison=None if comparison is None else comparison.to_dict(),
        baseline=None
        if baseline is None
        else {"version": baseline.version, "files_hash": baseline.files_hash},
        drift=tuple(moved),
        data_profile=data_profile,
        baseline_data_profile=earlier,
    )


def _comparison(predictions: Predictions, config: GateConfig) -> Comparison | None:
    """Compare on the images whose class both models know."""
    baseline = predictions.baseline
    if baseline is None or not config.comparison.enabled:
        return None
    true_names = predictions.images.class_names
    common = {*predictions.candidate.class_names} & {*baseline.class_names}
    is_common = np.isin(true_names, sorted(common))
    if not is_common.any():
        return None
    return compare(
        predictions.candidate.is_right(true_names)[is_common],
        baseline.is_right(true_names)[is_common],
        config.comparison,
    )


# --- Rules ----------------------------------------------------------------------------
def _floor(rule: str, subject: str, value: float, bound: float) -> RuleResult:
    reaches = value >= bound - FLOAT_NOISE
    words = "reaches" if reaches else "is below"
    of = "" if subject == "overall" else f" of {subject}"
    return RuleResult(
        rule=rule,
        subject=subject,
        value=value,
        bound=bound,
        outcome="pass" if reaches else "refuse",
        message=f"accuracy{of} {value:.4f} {words} the floor of {bound:g}",
    )


def _judge_part(
    rule: str,
    subject: str,
    value: float | None,
    *,
    number: int,
    bound: float,
    config: GateConfig,
) -> RuleResult:
    """Judge a class or slice, if it has images enough to judge."""
    if value is not None and number >= config.min_slice_images:
        return _floor(rule, subject, value, bound)
    refuses = config.when_slice_is_small == "refuse"
    return RuleResult(
        rule=rule,
        subject=subject,
        value=value,
        bound=bound,
        outcome="refuse" if refuses else "note",
        message=f"{subject} has {number} test images, fewer than the "
        f"{config.min_slice_images} that its floor of {bound:g} needs to be judged",
    )


def _class_rules(
    classes: tuple[dict[str, Any], ...], config: GateConfig
) -> Iterator[RuleResult]:
    by_name = {each["name"]: each for each in classes}
    floors = dict.fromkeys(by_name, config.min_class_accuracy) | config.class_floors
    for name, bound in sorted(floors.items()):
        if bound is None:
            continue
        found = by_name.get(name, {"recall": None, "num_images": 0})
        yield _judge_part(
            "class_floor",
            f"class {name!r}",
            found["recall"],
            number=found["num_images"],
            bound=bound,
            config=config,
        )


def _missed_class_rule(classes: tuple[dict[str, Any], ...]) -> Iterator[RuleResult]:
    """Name the classes that have test images, none of which the model gets right."""
    missed = [each for each in classes if each["recall"] == 0]
    if not missed:
        return
    # Those first whose test images say the most.
    missed.sort(key=lambda each: (-each["num_images"], each["name"]))
    named = ", ".join(
        f"{each['name']!r} (0 of {each['num_images']:,})"
        for each in missed[:_MOST_NAMED]
    )
    more = len(missed) - _MOST_NAMED
    what = "1 class gets" if len(missed) == 1 else f"{len(missed):,} classes get"
    yield RuleResult(
        rule="missed_classes",
        subject="classes",
        value=float(len(missed)),
        bound=None,
        outcome="note",
        message=f"{what} no test image right: {named}"
        + (f" and {more:,} more" if more > 0 else ""),
    )


def _slice_rules(
    slices: tuple[dict[str, Any], ...], config: GateConfig
) -> Iterator[RuleResult]:
    for feature, bound in sorted(config.slice_floors.items()):
        found = [each for each in slices if each["feature"] == feature]
        # No image has the feature: a name mistyped, or data without it.
        if all(not each["value"] for each in found):
            yield _judge_part(
                "slice_floor", feature, None, number=0, bound=bound, config=config
            )
            continue
        for each in found:
            yield _judge_part(
                "slice_floor",
                f"{feature} {each['value']!r}",
                each["accuracy"],
                number=each["num_images"],
                bound=bound,
                config=config,
            )


def _limit_rules(metrics: dict[str, float], config: GateConfig) -> Iterator[RuleResult]:
    for rule, metric, bound, words in (
        (
            "max_calibration_error",
            "calibration_error",
            config.max_calibration_error,
            "calibration error {:.4f}",
        ),
        ("max_size", "size_mb", config.max_size_mb, "size of {:.1f} MB"),
        ("max_latency", "latency_ms", config.max_latency_ms, "latency of {:.1f} ms"),
    ):
        if bound is None:
            continue
        value = metrics[metric]
        is_within = value <= bound + FLOAT_NOISE
        verb = "is within" if is_within else "exceeds"
        yield RuleResult(
            rule=rule,
            subject="overall",
            value=value,
            bound=bound,
            outcome="pass" if is_within else "refuse",
            message=f"{words.format(value)} {verb} the limit of {bound:g}",
        )


def _baseline_rules(
    predictions: Predictions,
    measured: Measured,
    baseline: Baseline | None,
    comparison: Comparison | None,
    config: GateConfig,
) -> Iterator[RuleResult]:
    rules = config.comparison
    if not rules.enabled:
        yield _about_production("note", "comparison with production is switched off")
        return
    if baseline is None:
        yield _about_production(
            "note", "no model in production yet: the floors alone decide"
        )
        return
    if baseline.signatures is not None:
        yield from _signature_rule(measured, baseline.signatures, config)
    if predictions.baseline is None:
        outcome: Outcome = "refuse" if rules.when_baseline_fails == "refuse" else "note"
        yield _about_production(
            outcome,
            f"version {baseline.version}, which production serves, can't be compared "
            f"with: {baseline.failure}",
        )
        return
    yield from _label_rule(predictions, baseline, config)
    if comparison is None:
        yield _about_production(
            "note", "candidate and production have no class in common to compare on"
        )
        return
    yield _comparison_rule(comparison, baseline.version, config)


def _about_production(
    outcome: Outcome, message: str, *, rule: str = "comparison"
) -> RuleResult:
    return RuleResult(rule, "production", None, None, outcome, message)


def _signature_rule(
    measured: Measured, signatures: Signatures, config: GateConfig
) -> Iterator[RuleResult]:
    broken = broken_promises(measured.signatures, signatures)
    if not broken:
        yield _about_production(
            "pass", "clients of production can ask the candidate", rule="signature"
        )
        return
    is_allowed = config.comparison.allow_changed_signature
    yield _about_production(
        "note" if is_allowed else "refuse",
        f"clients of production can't ask the candidate: {'; '.join(broken)}",
        rule="signature",
    )


def _label_rule(
    predictions: Predictions, baseline: Baseline, config: GateConfig
) -> Iterator[RuleResult]:
    old = set(predictions.baseline.class_names) if predictions.baseline else set()
    new = set(predictions.candidate.class_names)
    if added := sorted(new - old):
        yield _about_production(
            "note",
            f"classes that version {baseline.version} lacks: {', '.join(added)}; the "
            "comparison is on the images of the others",
            rule="labels",
        )
    if removed := sorted(old - new):
        is_allowed = config.comparison.allow_removed_classes
        yield _about_production(
            "note" if is_allowed else "refuse",
            f"classes that production knows and the candidate lacks: "
            f"{', '.join(removed)}"
            + ("" if is_allowed else " (`gate.comparison.allow_removed_classes`)"),
            rule="labels",
        )


def _drift_rules(
    moved: list[dict[str, Any]], baseline: Baseline | None, config: GateConfig
) -> Iterator[RuleResult]:
    if not moved or baseline is None:
        return
    for shift in moved:
        if not shift["is_drifted"]:
            continue
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
    if not any(shift["is_drifted"] for shift in moved):
        most = moved[0]
        yield RuleResult(
            rule="drift",
            subject="overall",
            value=most["divergence"],
            bound=config.max_drift,
            outcome="pass",
            message=f"the data are like those of version {baseline.version} (greatest "
            f"divergence {most['divergence']:.3f}, in {most['name']})",
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
    if comparison.outcome == "worse":
        outcome, words = "refuse", "worse than production"
    elif comparison.outcome == "not_worse":
        outcome, words = "pass", "not worse than production"
    else:
        outcome = "refuse" if is_refused(comparison, rules) else "note"
        words = (
            "too few test images to tell whether it is worse than production by "
            f"{rules.margin:g} (power {comparison.power:.2f}; about "
            f"{comparison.num_images_needed:,} images would do)"
        )
    return RuleResult(
        rule="comparison",
        subject="production",
        value=comparison.difference,
        bound=-rules.tolerance
        if comparison.outcome != "inconclusive"
        else -rules.margin,
        outcome=outcome,
        message=f"{words}: {numbers}",
    )
