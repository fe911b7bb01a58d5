"""The rules that need no model in production: floors and limits.

Each rule is a small function from numbers to `RuleResult`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graft.components.evaluation.comparison import FLOAT_NOISE
from graft.components.evaluation.config import GateConfig
from graft.components.evaluation.verdict import RuleResult
from graft.contract.counts import agree, counted

_MOST_NAMED = 5


def floor_rule(rule: str, subject: str, accuracy: float, floor: float) -> RuleResult:
    """Refuse an accuracy below a floor.

    Args:
        rule: Name of the rule.
        subject: `overall`, a class or a slice.
        accuracy: Accuracy on the images of the subject.
        floor: Least accuracy.
    """
    is_met = accuracy >= floor - FLOAT_NOISE
    verb = "reaches" if is_met else "is below"
    of = "" if subject == "overall" else f" of {subject}"
    message = f"accuracy{of} {accuracy:.4f} {verb} the floor of {floor:g}"
    return _bounded(rule, subject, accuracy, floor, is_met=is_met, message=message)


def limit_rules(metrics: dict[str, float], config: GateConfig) -> Iterator[RuleResult]:
    """Refuse a metric that exceeds its limit, for each limit of the config."""
    for rule, metric, limit, words in (
        (
            "max_calibration_error",
            "calibration_error",
            config.max_calibration_error,
            "calibration error {:.4f}",
        ),
        ("max_size", "size_mb", config.max_size_mb, "size of {:.1f} MB"),
        ("max_latency", "latency_ms", config.max_latency_ms, "latency of {:.1f} ms"),
    ):
        if limit is None:
            continue
        value = metrics[metric]
        is_met = value <= limit + FLOAT_NOISE
        verb = "is within" if is_met else "exceeds"
        message = f"{words.format(value)} {verb} the limit of {limit:g}"
        yield _bounded(rule, "overall", value, limit, is_met=is_met, message=message)


def class_rules(
    classes: tuple[dict[str, Any], ...], config: GateConfig
) -> Iterator[RuleResult]:
    """Apply the floors of classes: `min_class_accuracy` and `class_floors`."""
    by_name = {each["name"]: each for each in classes}
    floors = dict.fromkeys(by_name, config.min_class_accuracy) | config.class_floors
    for name, floor in sorted(floors.items()):
        if floor is None:
            continue
        found = by_name.get(name, {"recall": None, "num_images": 0})
        yield _floor_of_part(
            "class_floor",
            f"class {name!r}",
            found["recall"],
            number=found["num_images"],
            floor=floor,
            config=config,
        )


def slice_rules(
    slices: tuple[dict[str, Any], ...], config: GateConfig
) -> Iterator[RuleResult]:
    """Apply the floors of slices."""
    for feature, floor in sorted(config.slice_floors.items()):
        found = [each for each in slices if each["feature"] == feature]
        # No image has the feature: its name is wrong, or the data lack it.
        if all(not each["value"] for each in found):
            yield _floor_of_part(
                "slice_floor", feature, None, number=0, floor=floor, config=config
            )
            continue
        for each in found:
            yield _floor_of_part(
                "slice_floor",
                f"{feature} {each['value']!r}",
                each["accuracy"],
                number=each["num_images"],
                floor=floor,
                config=config,
            )


def missed_class_rule(classes: tuple[dict[str, Any], ...]) -> Iterator[RuleResult]:
    """Note the classes of which the model gets no test image right."""
    missed = [each for each in classes if each["recall"] == 0]
    if not missed:
        return
    missed.sort(key=lambda each: (-each["num_images"], each["name"]))
    named = ", ".join(
        f"{each['name']!r} (0 of {each['num_images']:,})"
        for each in missed[:_MOST_NAMED]
    )
    more = len(missed) - _MOST_NAMED
    what = f"{counted(len(missed), 'class')} {agree(len(missed), 'gets', 'get')}"
    yield RuleResult(
        rule="missed_classes",
        subject="classes",
        value=float(len(missed)),
        bound=None,
        outcome="note",
        message=f"{what} no test image right: {named}"
        + (f" and {more:,} more" if more > 0 else ""),
    )


def _floor_of_part(
    rule: str,
    subject: str,
    accuracy: float | None,
    *,
    number: int,
    floor: float,
    config: GateConfig,
) -> RuleResult:
    """Apply a floor to a class or slice, if it has enough images."""
    if accuracy is not None and number >= config.min_slice_images:
        return floor_rule(rule, subject, accuracy, floor)
    refuses = config.when_slice_is_small == "refuse"
    return RuleResult(
        rule=rule,
        subject=subject,
        value=accuracy,
        bound=floor,
        outcome="refuse" if refuses else "note",
        message=f"{subject} has {number} test images, fewer than the "
        f"{config.min_slice_images} that its floor of {floor:g} needs",
    )


def _bounded(
    rule: str,
    subject: str,
    value: float,
    bound: float,
    *,
    is_met: bool,
    message: str,
) -> RuleResult:
    """Return the result of a rule that passes or refuses."""
    return RuleResult(
        rule=rule,
        subject=subject,
        value=value,
        bound=bound,
        outcome="pass" if is_met else "refuse",
        message=message,
    )
