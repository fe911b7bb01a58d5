"""`graft gc`: remove the files of old runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graft.contract.counts import agree, counted
from graft.pipeline.commands.options import (
    DEFAULT_OUTPUT_FOLDER,
    OutputFolderOption,
    PipelineOption,
)
from graft.pipeline.config import RetentionConfig
from graft.pipeline.terminal_text import local_time

if TYPE_CHECKING:
    from graft.pipeline.local.retention import Removal

KEEP_RUNS = RetentionConfig().keep_runs or 1


def gc(
    output: OutputFolderOption = DEFAULT_OUTPUT_FOLDER,
    pipeline: PipelineOption = None,
    *,
    keep_runs: Annotated[
        int,
        typer.Option(min=1, help="Complete runs of each pipeline that keep all files."),
    ] = KEEP_RUNS,
    older_than: Annotated[
        float, typer.Option(min=0, metavar="DAYS", help="Take no younger runs.")
    ] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed.")
    ] = False,
) -> None:
    """Remove artifacts and logs of old runs in an output folder.

    Runs whose version is in the model store keep theirs, and so does every run that is
    under way. `graft runs` goes on listing the others, with their accuracy. It touches
    neither served models nor the feature cache (`graft cache prune`). The exit status
    is 1 if a pipeline was left alone, since a command was using its artifacts.
    """
    from graft.pipeline.local.retention import RunUnderWayError, remove_old_runs
    from graft.pipeline.local.run_history import find_all_metadata

    is_left = False
    for path in find_all_metadata(output, pipeline):
        folder: Path = path.parent
        try:
            removal = remove_old_runs(
                folder, keep_runs=keep_runs, min_days=older_than, only_look=dry_run
            )
        except RunUnderWayError as error:
            typer.echo(str(error), err=True)
            is_left = True
            continue
        _print(folder.name, removal, dry_run=dry_run)
    if is_left:
        raise typer.Exit(1)


def _print(name: str, removal: Removal, *, dry_run: bool) -> None:
    if not removal.paths:
        typer.echo(f"{name}: nothing to remove")
    else:
        verb = "would remove" if dry_run else "removed"
        typer.echo(f"{name}: {verb} {removal.describe()}")
    for run, num_bytes in removal.runs:
        started = local_time(run.started)
        size = f"{num_bytes / 2**20:,.1f} MiB"
        typer.echo(f"  run {run.number}, {started}, {run.state}: {size}")
    if removal.num_unknown:
        folders = counted(removal.num_unknown, "folder")
        typer.echo(
            f"  left alone: {folders} that {agree(removal.num_unknown, 'is', 'are')} "
            "of no run in the metadata store"
        )
