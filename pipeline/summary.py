"""The one screen at the end of a run."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline.config import PipelineConfig
from pipeline.run_result import RunResult
from serving.model_store import DEFAULT_FOLDER


def print_summary(
    config: PipelineConfig, result: RunResult, *, seconds: float, log_path: Path
) -> None:
    """Print accuracy, verdict, where the model and the report are, and what to do next."""
    console = Console(highlight=False, soft_wrap=True)
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    # Paths are cut and pasted: they may run over the edge, but not lose their end.
    table.add_column(overflow="fold")
    table.add_row(
        "Test accuracy", f"{result.accuracy:.4f} on {result.num_test_images:,} images"
    )
    if result.is_blessed:
        table.add_row("Gate", "passed: " + "; ".join(result.passed))
    else:
        table.add_row("Gate", "refused: " + "; ".join(result.reasons))
    for note in result.notes:
        table.add_row("", f"note: {note}")
    nowhere = f"nowhere: {result.not_pushed_reason or 'the model was refused'}"
    table.add_row("Pushed to", result.pushed_path or nowhere)
    if result.report_path:
        table.add_row("Report", result.report_path)
    if result.pushed_path:
        table.add_row("Ask it", predict_command(config, result.sample_path))
    table.add_row("Time", f"{seconds:.0f} s")
    table.add_row("Log", str(log_path))
    console.print(table)


def predict_command(config: PipelineConfig, image: str | None) -> str:
    """Return the command that asks the pushed model about an image.

    Args:
        config: The run's config.
        image: Path of an image; None stands for any.
    """
    words = ["graft", "predict", image or "IMAGE", "--model", config.push.model_name]
    if Path(config.push_destination) != DEFAULT_FOLDER:
        words += ["--model-dir", config.push_destination]
    return shlex.join(words)
