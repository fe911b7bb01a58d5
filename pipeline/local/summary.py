"""The summary that is printed at the end of a run."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from rich.console import Console

from graft.pipeline.config import PipelineConfig
from graft.pipeline.local.run_result import RunResult
from graft.serving.model_store import DEFAULT_FOLDER


def print_summary(
    config: PipelineConfig, result: RunResult, *, seconds: float, log_path: Path
) -> None:
    """Print accuracy, verdict, paths of model and report, and the next command."""
    # A wrapped path could not be copied from the terminal.
    console = Console(highlight=False, soft_wrap=True)

    def add_row(name: str, text: str) -> None:
        console.print(f"{name:<14} {text}", markup=False)

    add_row(
        "Test accuracy", f"{result.accuracy:.4f} on {result.num_test_images:,} images"
    )
    if result.is_blessed:
        add_row("Gate", "passed: " + "; ".join(result.passed))
    else:
        add_row("Gate", "refused: " + "; ".join(result.reasons))
    for note in result.notes:
        add_row("", f"note: {note}")
    nowhere = f"nowhere: {result.not_pushed_reason or 'the model was refused'}"
    add_row("Pushed to", result.pushed_path or nowhere)
    if result.report_path:
        add_row("Report", result.report_path)
    if result.pushed_path:
        add_row("Ask it", predict_command(config, result.sample_path))
    add_row("Time", f"{seconds:.0f} s")
    add_row("Log", str(log_path))


def predict_command(config: PipelineConfig, image: str | None) -> str:
    """Return the command that classifies an image with the pushed model.

    Args:
        config: The run's config.
        image: Path of an image; None: a placeholder.
    """
    # Without an activated environment, `graft` is not on the PATH.
    script = Path(sys.executable).with_name("graft")
    program = "graft" if shutil.which("graft") else os.path.relpath(script)
    words = [program, "predict", image or "IMAGE", "--model", config.push.model_name]
    if Path(config.push_destination) != DEFAULT_FOLDER:
        words += ["--model-dir", config.push_destination]
    return shlex.join(words)
