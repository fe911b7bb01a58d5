"""`graft report`: find or open the report of a run."""

from __future__ import annotations

import os
import re
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from graft.contract.counts import counted
from graft.contract.errors import DamagedFileError, UserError
from graft.pipeline.commands.options import (
    DEFAULT_OUTPUT_FOLDER,
    OutputFolderOption,
    PipelineOption,
    RunArgument,
)
from graft.pipeline.commands.waiting import shown_while_waiting
from graft.pipeline.config import PIPELINES_FOLDER
from graft.pipeline.local.last_run import last_run_of
from graft.pipeline.local.run_history import Run, find_run
from graft.pipeline.terminal_text import shell_command
from graft.serving.tensorflow_runtime import native_output_hidden
from graft.storage import atomic

_SHEET_ARTIFACTS = (
    "ImageExampleGen.examples",
    "DataQuality.quality",
    "Evaluator.evaluation",
)


def report(
    run: RunArgument = None,
    *,
    output: OutputFolderOption = DEFAULT_OUTPUT_FOLDER,
    pipeline: PipelineOption = None,
    open_page: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.")
    ] = False,
    section: Annotated[
        str | None,
        typer.Option(help="Section to open the page at, such as data or mistakes."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="FILE.csv",
            help="Write the doubtful labels and the mistakes to this file, to decide "
            "on, and a page with their pictures beside it. graft run --labels applies "
            "the decisions.",
        ),
    ] = None,
) -> None:
    """Print the path of a run's report, with its timings filled in; --open shows it."""
    from graft.components.report.timings import with_timings

    chosen = find_run(output, pipeline, run)
    if labels is not None:
        write_label_sheet(chosen, labels, words_of_last_run(output, chosen))
        return
    path = Path(chosen.artifacts.get("Report.report", ""))
    if not path.is_file() and chosen.is_removed:
        raise UserError(
            f"The report of run {chosen.number} was removed, since the run is old "
            "(`retention.keep_runs`, `graft gc`). `graft runs` lists the others."
        )
    if not path.is_file():
        raise UserError(
            f"Run {chosen.number} has no report: it did not reach the report, or its "
            "files were removed."
        )
    # A node of the run writes the page, before the run's timings are known.
    try:
        page = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DamagedFileError(str(path)) from error
    timed = with_timings(page, chosen.timings)
    if any(chosen.timings.values()) and timed != page:
        path.write_text(timed, encoding="utf-8")
    typer.echo(path)
    if section is not None:
        _require_section(section, page)
    if open_page:
        anchor = f"#{section}" if section else ""
        # Not `typer.launch`: it opens a file, and files have no anchors.
        if not webbrowser.open(path.resolve().as_uri() + anchor):
            typer.echo("No browser was found: open the file yourself.", err=True)


def _require_section(section: str, page: str) -> None:
    sections = re.findall(r'<section [^>]*id="([\w-]+)"', page)
    if section not in sections:
        raise UserError(
            f"`--section` must be one of {', '.join(sections)}. Received: {section!r}."
        )


def words_of_last_run(output: Path, run: Run) -> tuple[str, ...]:
    """Return what followed `graft run` in the last run of a pipeline."""
    name = str(run.config.get("name", ""))
    return last_run_of(output / PIPELINES_FOLDER / name).words or ("...",)


def write_label_sheet(run: Run, path: Path, words: Sequence[str] = ("...",)) -> None:
    """Write a run's labels to look at: a CSV file, and a page beside it.

    Args:
        run: The run.
        path: The CSV file, which does not exist yet.
        words: What follows `graft run`, to train on the same data again.

    Raises:
        UserError: A file exists already, or the run's files are gone.
    """
    page = path.with_suffix(".html")
    if path.suffix.lower() != ".csv":
        raise UserError(
            f"`--labels` must name a file that ends in .csv. Received: {str(path)!r}"
        )
    for file in (path, page):
        if file.exists():
            raise UserError(
                f"{str(file)!r} exists, and may hold decisions. Name another file; "
                "`graft run` takes several: --labels A.csv --labels B.csv."
            )
    if not path.parent.is_dir():
        raise UserError(
            f"`--labels` must lie in a folder that exists. Received: {str(path)!r}"
        )
    uris = [run.artifacts.get(key, "") for key in _SHEET_ARTIFACTS]
    if not all(map(os.path.isdir, uris)):
        raise UserError(
            f"Run {run.number} lacks files that this needs: it did not reach the gate, "
            "or they were removed (`retention.keep_runs`, `graft gc`)."
        )
    with shown_while_waiting("Collecting labels and pictures"), native_output_hidden():
        from graft.components.report import label_sheet

        sheet = label_sheet.gather_rows(*uris)
        page_text = label_sheet.to_page(sheet, path.name)
        # The page first: if the CSV exists, both do.
        atomic.write_text(str(page), page_text)
        atomic.write_text(str(path), label_sheet.to_csv(sheet.rows))
    doubtful, mistakes = map(sheet.count, (label_sheet.DOUBTFUL, label_sheet.MISTAKE))
    typer.echo(
        f"{path}: {counted(doubtful, 'doubtful label')} of train, "
        f"{counted(mistakes, 'mistake')} on test"
    )
    typer.echo(f"{page}: their pictures, with the same numbers")
    if not sheet.has_doubtful:
        typer.echo(
            "The run did not check its labels: see `data_quality.label_errors`.",
            err=True,
        )
    if sheet.num_confirmed:
        typer.echo(f"Left out, decided on before: {sheet.num_confirmed:,}")
    if not sheet.rows:
        typer.echo("There is nothing to decide.")
        return
    typer.echo(
        "Decide in the page and save the file; or write keep, accept, relabel or drop "
        "into the column `action`. Then: "
        + shell_command(["graft", "run", *words, "--labels", str(path)])
    )
