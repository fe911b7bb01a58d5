"""The gate's decision: apply every rule to the predictions on `test`."""

from __future__ import annotations

import numpy as np

from graft.components.evaluation.absolute_rules import (
    class_rules,
    floor_rule,
    limit_rules,
    missed_class_rule,
    slice_rules,
)
from graft.components.evaluation.baseline_rules import (
    Baseline,
    baseline_rules,
    drift_rules,
)
from graft.components.evaluation.comparison import Comparison, compare
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
from graft.components.evaluation.verdict import Verdict
from graft.components.quality.profile import Profile, drift


def judge(
    predictions: Predictions,
    measured: Measured,
    baseline: Baseline | None,
    config: GateConfig,
    data_profile: Profile | None = None,
) -> Verdict:
    """Apply every rule.

    Args:
        predictions: The predictions on `test`.
        measured: Size, speed and signatures of the candidate.
        baseline: The model in production; None if there is none.
        config: The rules' bounds and policies.
        data_profile: Statistics of the run's data; None if they are unknown.
    """
    true_names = predictions.images.class_names
    is_right = predictions.candidate.is_right(true_names)
    metrics = metrics_of(predictions, is_right, measured)
    classes = tuple(per_class(predictions))
    slices = tuple(per_slice(predictions))
    is_same = baseline is not None and baseline.is_candidate
    comparison = None if is_same else _compare_with_baseline(predictions, config)
    largest = compare_with_largest_class(
        true_names, predictions.candidate.predicted_names()
    )
    earlier = None if baseline is None else baseline.data_profile
    moved = drift(earlier, data_profile, config.max_drift)
    rules = (
        floor_rule("min_accuracy", "overall", metrics["accuracy"], config.min_accuracy),
        largest_class_rule(largest, config),
        *missed_class_rule(classes),
        *class_rules(classes, config),
        *slice_rules(slices, config),
        *limit_rules(metrics, config),
        *baseline_rules(predictions, measured, baseline, comparison, config),
        *drift_rules(moved, baseline, config),
    )
    return Verdict(
        is_blessed=all(rule.outcome != "refuse" for rule in rules),
        rules=rules,
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


def _compare_with_baseline(
    predictions: Predictions, config: GateConfig
) -> Comparison | None:
    """Compare the models on the images whose class both know."""
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
