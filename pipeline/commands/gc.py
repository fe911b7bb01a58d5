"""`graft gc`: remove the files of old runs, here or on a cluster."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graft.contract.counts import agree, counted
from graft.contract.errors import UserError
from graft.pipeline.commands.cluster_options import (
    DEFAULT_HOST,
    CookieFileOption,
    HostOption,
    NamespaceOption,
    TokenFileOption,
    connect,
)
from graft.pipeline.commands.options import (
    DEFAULT_OUTPUT_FOLDER,
    OutputFolderOption,
    PipelineOption,
)
from graft.pipeline.config import RetentionConfig
from graft.pipeline.terminal_text import local_time

if TYPE_CHECKING:
    from graft.pipeline.kubeflow.cluster.api import Api
    from graft.pipeline.kubeflow.cluster.retention import RemovalOnCluster
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
    root: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="Pipeline root of a cluster, such as s3://bucket/v2/artifacts: remove "
            "old runs there instead.",
        ),
    ] = None,
    model_dir: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URI",
            help="With --root: folder with the versions of a model that it pushes.",
        ),
    ] = None,
    host: HostOption = DEFAULT_HOST,
    namespace: NamespaceOption = "",
    token_file: TokenFileOption = None,
    cookie_file: CookieFileOption = None,
) -> None:
    """Remove artifacts and logs of old runs in an output folder, or on a cluster.

    Runs whose version is in the model store keep theirs, and so does every run that is
    under way. `graft runs` goes on listing the others, with their accuracy. It touches
    neither served models nor the feature cache (`graft cache prune`). The exit status
    is 1 if a pipeline was left alone, since a command was using its artifacts.

    With `--root`, old runs are deleted from the cluster, too: its cache would go on
    answering with their files.
    """
    if root is None:
        if model_dir:
            raise UserError("`--model-dir` is for runs of a cluster: name its `--root`")
        is_left = _gc_here(
            output, pipeline, keep_runs=keep_runs, min_days=older_than, dry_run=dry_run
        )
    else:
        is_left = _gc_on_cluster(
            connect(host, namespace, token_file, cookie_file),
            root,
            pipeline,
            model_dir or [],
            keep_runs=keep_runs,
            min_days=older_than,
            dry_run=dry_run,
        )
    if is_left:
        raise typer.Exit(1)


def _gc_here(
    output: Path,
    pipeline: str | None,
    *,
    keep_runs: int,
    min_days: float,
    dry_run: bool,
) -> bool:
    """Remove old local runs; return whether a pipeline was left alone."""
    from graft.pipeline.local.retention import RunUnderWayError, remove_old_runs
    from graft.pipeline.local.run_history import find_all_metadata

    is_left = False
    for path in find_all_metadata(output, pipeline):
        folder: Path = path.parent
        try:
            removal = remove_old_runs(
                folder, keep_runs=keep_runs, min_days=min_days, only_look=dry_run
            )
        except RunUnderWayError as error:
            typer.echo(str(error), err=True)
            is_left = True
            continue
        _print(folder.name, removal, dry_run=dry_run)
    return is_left


def _gc_on_cluster(
    api: Api,
    root: str,
    pipeline: str | None,
    model_folders: list[str],
    *,
    keep_runs: int,
    min_days: float,
    dry_run: bool,
) -> bool:
    """Remove old runs of a cluster; return whether a pipeline was left alone."""
    from graft.pipeline.kubeflow.cluster.retention import (
        RunsUnderWayError,
        find_pipeline,
        remove_old_runs,
    )

    if not model_folders:
        raise UserError(
            "`--root` needs `--model-dir`, the folder with the versions of the model "
            "that the pipeline pushes: runs whose version is there keep their files. "
            "Name several with several `--model-dir`."
        )
    name = find_pipeline(root, pipeline)
    try:
        removal = remove_old_runs(
            api,
            root,
            name,
            model_folders,
            keep_runs=keep_runs,
            min_days=min_days,
            only_look=dry_run,
        )
    except RunsUnderWayError as error:
        typer.echo(str(error), err=True)
        return True
    _print_of_cluster(name, removal, dry_run=dry_run)
    return False


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


def _print_of_cluster(name: str, removal: RemovalOnCluster, *, dry_run: bool) -> None:
    if not removal.removed:
        typer.echo(f"{name}: nothing to remove")
    else:
        verb = "would remove" if dry_run else "removed"
        typer.echo(f"{name}: {verb} {removal.describe()}")
    for run in removal.removed:
        written = local_time(datetime.fromtimestamp(run.newest, UTC))
        state = run.state or "unknown to the cluster"
        size = f"{run.num_bytes / 2**20:,.1f} MiB"
        typer.echo(f"  run {run.run_id}, {written}, {state}: {size}")
    if removal.in_use:
        size = f"{sum(run.num_bytes for run in removal.in_use) / 2**20:,.1f} MiB"
        typer.echo(
            f"  left alone: {counted(len(removal.in_use), 'run')} ({size}) whose files "
            "a later run may use from the cache"
        )
    if removal.num_unknown:
        number = removal.num_unknown
        files = counted(number, "file")
        typer.echo(f"  left alone: {files} that {agree(number, 'is', 'are')} of no run")
