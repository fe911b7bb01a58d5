"""`graft diff`: two runs side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graft.pipeline.commands.options import (
    DEFAULT_OUTPUT_FOLDER,
    OutputFolderOption,
    PipelineOption,
)
from graft.pipeline.local.run_history import Run, choose_run, find_runs

if TYPE_CHECKING:
    from graft.components.evaluation.comparison import Comparison


def diff(
    before: Annotated[
        str | None, typer.Argument(help="Number or id; the last but one if absent.")
    ] = None,
    after: Annotated[
        str | None, typer.Argument(help="Number or id; the latest if absent.")
    ] = None,
    *,
    output: OutputFolderOption = DEFAULT_OUTPUT_FOLDER,
    pipeline: PipelineOption = None,
) -> None:
    """Compare two runs: config, metrics, classes, and the same test images."""
    runs = find_runs(output, pipeline)
    first = choose_run(runs, before, -2)
    second = choose_run(runs, after, -1)
    for line in describe_difference(first, second):
        typer.echo(line)


def describe_difference(first: Run, second: Run) -> Iterator[str]:
    """Yield lines that describe the difference between two runs."""
    yield f"Run {first.number} -> run {second.number}"
    yield "Config:"
    changes = list(config_changes(first.config, second.config))
    yield from (f"  {line}" for line in changes or ["no difference"])
    old, new = first.verdict(), second.verdict()
    if old is None or new is None:
        missing = first if old is None else second
        yield f"Run {missing.number} has no evaluation."
        return
    yield "Metrics:"
    for name in (each for each in new.metrics if each in old.metrics):
        yield f"  {name}: {_change(old.metrics[name], new.metrics[name])}"
    recalls = {each["name"]: each["recall"] for each in old.classes}
    lines = [
        f"  {each['name']}: {_change(recalls.get(each['name']), each['recall'])}"
        for each in new.classes
        if recalls.get(each["name"]) != each["recall"]
    ]
    yield "Recall by class:"
    yield from lines or ["  no difference"]
    comparison = compare_runs(first, second)
    if comparison is not None:
        yield (
            f"On the {comparison.num_images:,} test images of both: "
            f"{comparison.num_gained} gained, {comparison.num_lost} lost, difference "
            f"{comparison.difference:+.4f} ({comparison.interval[0]:+.4f} to "
            f"{comparison.interval[1]:+.4f}), p = {comparison.p_value:.3g} for "
            "no loss"
        )


def config_changes(
    old: dict[str, Any], new: dict[str, Any], prefix: str = ""
) -> Iterator[str]:
    """Yield `key: old -> new` for every value that differs, keys dotted."""
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from config_changes(before, after, f"{prefix}{key}.")
        elif before != after:
            yield f"{prefix}{key}: {before!r} -> {after!r}"


def compare_runs(first: Run, second: Run) -> Comparison | None:
    """Compare two runs on the test images that both have; None if there are none."""
    import numpy as np

    from graft.components.evaluation.comparison import compare
    from graft.components.evaluation.config import ComparisonConfig
    from graft.components.evaluation.predictions import PREDICTIONS_FILE, Predictions

    answers = []
    for run in (first, second):
        uri = run.artifacts.get("Evaluator.evaluation")
        predictions = Predictions.load(f"{uri}/{PREDICTIONS_FILE}")
        is_right = predictions.candidate.is_right(predictions.images.class_names)
        keys = predictions.images.content_hashes
        answers.append(dict(zip(keys.tolist(), is_right.tolist(), strict=True)))
    common = sorted(answers[0].keys() & answers[1].keys())
    if not common:
        return None
    baseline, candidate = (np.array([each[key] for key in common]) for each in answers)
    return compare(candidate, baseline, ComparisonConfig())


def _change(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return f"{before} -> {after}"
    return f"{before:.4f} -> {after:.4f} ({after - before:+.4f})"
