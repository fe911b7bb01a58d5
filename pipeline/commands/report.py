"""`graft report`: the page that shows what came of a run, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graft.contract.errors import UserError
from graft.pipeline.commands.runs import (
    DEFAULT_OUTPUT,
    OutputOption,
    PipelineOption,
    choose_run,
    find_metadata,
    list_runs,
)


def report(
    run: Annotated[
        str | None, typer.Argument(help="Number or id of a run; the latest if absent.")
    ] = None,
    *,
    output: OutputOption = DEFAULT_OUTPUT,
    pipeline: PipelineOption = None,
    open_page: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.")
    ] = False,
) -> None:
    """Print where a run's report is, timings filled in; --open shows it."""
    from graft.components.report.timings import with_timings

    chosen = choose_run(list_runs(find_metadata(output, pipeline)), run)
    path = Path(chosen.artifacts.get("Report.report", ""))
    if not path.is_file():
        raise UserError(
            f"Run {chosen.number} has no report: it did not get that far, or its files "
            "were removed."
        )
    # The page is written by a node of the run, which can't know how long the run took.
    page = path.read_text(encoding="utf-8")
    timed = with_timings(page, chosen.timings)
    if any(chosen.timings.values()) and timed != page:
        path.write_text(timed, encoding="utf-8")
    typer.echo(path)
    if open_page:
        typer.launch(path.resolve().as_uri())
