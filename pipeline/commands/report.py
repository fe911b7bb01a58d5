"""`graft report`: find or open the report of a run."""

from __future__ import annotations

import re
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from graft.contract.errors import DamagedFileError, UserError
from graft.pipeline.commands.options import (
    DEFAULT_OUTPUT_FOLDER,
    OutputFolderOption,
    PipelineOption,
    RunArgument,
)
from graft.pipeline.local.run_history import find_run


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
) -> None:
    """Print the path of a run's report, with its timings filled in; --open shows it."""
    from graft.components.report.timings import with_timings

    chosen = find_run(output, pipeline, run)
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
