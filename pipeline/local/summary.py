"""The summary that is printed at the end of a run."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from graft.contract.counts import counted
from graft.contract.printable import escaped
from graft.pipeline.config import DEFAULT_OUTPUT, PIPELINES_FOLDER, PipelineConfig
from graft.pipeline.local.run_result import RunResult
from graft.pipeline.terminal_text import shell_command
from graft.serving.model_store import DEFAULT_FOLDER

AddRow = Callable[[str, str], None]
_LONGEST_NOTE = 200
_KEPT_OF_THE_END = 70
_INDENT = 15
_LEAST_WIDTH = 30


def print_summary(
    config: PipelineConfig, result: RunResult, *, seconds: float, log_path: Path
) -> None:
    """Print accuracy, verdict, what is to be known of the data, paths, next command."""
    console = Console(highlight=False, soft_wrap=True)

    def add_row(name: str, text: str) -> None:
        # A wrapped path or command could not be copied from the terminal.
        console.print(f"{name:<14} {escaped(text)}", markup=False)

    def add_sentence(name: str, text: str) -> None:
        if not console.is_terminal:
            add_row(name, text)
            return
        lines = textwrap.wrap(
            escaped(text),
            max(console.width - _INDENT, _LEAST_WIDTH),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for number, line in enumerate(lines):
            console.print(f"{'' if number else name:<14} {line}", markup=False)

    add_sentence("Test accuracy", _describe_accuracy(result))
    if result.classes:
        add_sentence("Classes", result.classes)
    is_served_on = result.is_unchanged and result.pushed_path is not None
    if is_served_on and result.served_instead is None:
        served = f"{result.pushed_path} is still served"
        add_sentence("Unchanged", f"nothing changed; {served}")
    else:
        _add_verdict(result, add_sentence)
    _add_data(config, result, add_sentence, add_row)
    if not is_served_on or result.served_instead is not None:
        _add_publication(config, result, add_row)
    if result.report_path:
        add_row("Report", result.report_path)
    if result.pushed_path and result.is_served:
        add_row("Ask it", predict_command(config, result.sample_path))
    add_row("Time", f"{seconds:.0f} s")
    add_row("Log", str(log_path))


def _add_verdict(result: RunResult, add_sentence: AddRow) -> None:
    if result.is_unchanged:
        add_sentence("Unchanged", "nothing changed since an earlier run")
    if result.is_blessed:
        add_sentence("Gate", "passed: " + "; ".join(result.passed))
    else:
        add_sentence("Gate", "refused: " + "; ".join(result.reasons))
    # Said when the model was judged; production may have changed since.
    for note in () if result.is_unchanged else result.notes:
        add_sentence("", f"note: {note}")


def _add_data(
    config: PipelineConfig, result: RunResult, add_sentence: AddRow, add_row: AddRow
) -> None:
    rows = [f"note: {_shortened(note)}" for note in result.data_notes]
    if result.data_problems:
        at = f": {result.report_path}#data" if result.report_path else ""
        rows.insert(0, f"{result.data_problems}{at}")
    for index, row in enumerate(rows):
        add_sentence("" if index else "Data", row)
    if rows and not result.data_problems and result.report_path:
        add_row("", f"{report_command(config)} shows more")


def _add_publication(
    config: PipelineConfig, result: RunResult, add_row: AddRow
) -> None:
    nowhere = f"nowhere: {result.not_pushed_reason or 'the model was refused'}"
    if result.served_instead is None:
        if result.was_published:
            add_row("Not pushed", f"{result.pushed_path} holds this very model already")
        else:
            add_row("Pushed to", result.pushed_path or nowhere)
    else:
        add_row("Served now", result.served_instead)
    if result.is_refused:
        add_row("Or publish it", bless_command(config))


def bless_command(config: PipelineConfig) -> str:
    """Return the command that publishes the refused model of the latest run."""
    return shell_command(
        [_program(), "bless", "--force", "--reason", "WHY", *_run_options(config)]
    )


def predict_command(config: PipelineConfig, image: str | None) -> str:
    """Return the command that classifies an image with the pushed model.

    Args:
        config: The run's config.
        image: Path of an image; None: a placeholder.
    """
    words = ["predict", image or "IMAGE", "--model", config.push.model_name]
    if Path(config.push_destination) != DEFAULT_FOLDER:
        words += ["--model-dir", config.push_destination]
    return shell_command([_program(), *words])


def report_command(config: PipelineConfig) -> str:
    """Return the command that shows the data in a pipeline's latest report."""
    words = ["report", "--open", "--section", "data", *_run_options(config)]
    return shell_command([_program(), *words])


def _run_options(config: PipelineConfig) -> list[str]:
    """Return the options that name the pipeline of a run."""
    words = []
    if config.output != DEFAULT_OUTPUT:
        words += ["--output", config.output]
    if len(os.listdir(os.path.join(config.output, PIPELINES_FOLDER))) > 1:
        words += ["--pipeline", config.name]
    return words


def _program() -> str:
    # Without an activated environment, `graft` is not on the PATH.
    script = Path(sys.executable).with_name("graft")
    return "graft" if shutil.which("graft") else os.path.relpath(script)


def _describe_accuracy(result: RunResult) -> str:
    text = f"{result.accuracy:.4f} on {counted(result.num_test_images, 'image')}"
    if result.balanced_accuracy is not None:
        text += f"; balanced over the classes {result.balanced_accuracy:.4f}"
    if result.largest_class is not None:
        name, share = result.largest_class["name"], result.largest_class["share"]
        text += f"; always answering {name!r} {share:.4f}"
    return text


def _shortened(note: str) -> str:
    """Return a note on one line; a long one loses its middle, often a path."""
    line = escaped(note)
    if len(line) <= _LONGEST_NOTE:
        return line
    begin = line[: _LONGEST_NOTE - _KEPT_OF_THE_END - 3]
    return f"{begin} … {line[-_KEPT_OF_THE_END:]}"
