"""`graft runs`: list earlier runs, here or on a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graft.contract.errors import DamagedFileError
from graft.pipeline.commands.cluster_options import (
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
from graft.pipeline.terminal_text import local_time

if TYPE_CHECKING:
    from graft.components.evaluation.verdict import Verdict
    from graft.pipeline.local.run_history import Run


def runs(  # noqa: PLR0917 - options of a command
    output: OutputFolderOption = DEFAULT_OUTPUT_FOLDER,
    pipeline: PipelineOption = None,
    host: HostOption = "",
    namespace: NamespaceOption = "",
    token_file: TokenFileOption = None,
    cookie_file: CookieFileOption = None,
    limit: Annotated[
        int, typer.Option("--limit", help="Most runs to list of a cluster.")
    ] = 20,
) -> None:
    """List the runs of a pipeline here, or with --host those of a cluster."""
    if host:
        _print_cluster_runs(connect(host, namespace, token_file, cookie_file), limit)
    else:
        _print_local_runs(output, pipeline)


def _print_local_runs(output: Path, pipeline: str | None) -> None:
    from rich.console import Console
    from rich.table import Table

    from graft.pipeline.local.run_history import find_runs

    table = Table(box=None, pad_edge=False, collapse_padding=True)
    numbers = ("Accuracy", "Balanced")
    for title in ("Run", "Started", "Seconds", "State", *numbers, "Gate", "Version"):
        is_number = title in ("Run", "Seconds", *numbers)
        justify: Any = "right" if is_number else "left"
        table.add_column(title, justify=justify, no_wrap=title != "Version")
    for run in find_runs(output, pipeline):
        damaged = None
        try:
            verdict = run.verdict()
        except DamagedFileError as error:
            verdict, damaged = None, f"damaged: {error.path}"
        gate = "" if verdict is None else "passed" if verdict.is_blessed else "refused"
        table.add_row(
            str(run.number),
            local_time(run.started),
            f"{run.seconds:.0f}",
            "removed" if run.is_removed else run.state,
            _number_of(verdict, "accuracy"),
            _number_of(verdict, "balanced_accuracy"),
            gate,
            damaged or _version_of(run, verdict, output),
        )
    Console(highlight=False, width=None).print(table)


def _version_of(run: Run, verdict: Verdict | None, output: Path) -> str:
    """Return the version of a run's model, or in a word or two why it has none."""
    from graft.components.publishing.config import TWIN_PROPERTY

    pushed = run.properties.get("Pusher.pushed_model", {})
    if "pushed_version" in pushed:
        return str(pushed["pushed_version"])
    if TWIN_PROPERTY in pushed:
        return f"same as {pushed[TWIN_PROPERTY]}"
    if (blessed := _blessed_version(run, verdict, output)) is not None:
        return blessed
    is_refused = verdict is None or not verdict.is_blessed
    return run.failure or ("not pushed" if pushed and not is_refused else "")


def _blessed_version(run: Run, verdict: Verdict | None, output: Path) -> str | None:
    """Return the version with the model of a run that pushed none, if there is one.

    `graft bless` published it later, or it was rolled back before the run.
    """
    from graft.components.publishing.audit import withdrawals
    from graft.components.publishing.config import PushConfig
    from graft.components.publishing.versions import list_versions

    if verdict is None or not verdict.judged_files or not run.config:
        return None
    push = PushConfig.model_validate(run.config["push"]).resolved(str(output))
    for version in reversed(list_versions(push.model_folder)):
        if version.manifest.get("files") == verdict.judged_files:
            is_withdrawn = version.files_hash in withdrawals(push.model_folder)
            how = "rolled back" if is_withdrawn else "blessed"
            return f"{version.number} ({how})"
    return None


def _number_of(verdict: Verdict | None, metric: str) -> str:
    """Return a metric; "" for a run without it, as older versions made them."""
    value = None if verdict is None else verdict.metrics.get(metric)
    return "" if value is None else f"{value:.4f}"


def _print_cluster_runs(api: Any, limit: int) -> None:
    from rich.console import Console
    from rich.table import Table

    from graft.pipeline.kubeflow.cluster import submission

    table = Table("run", "state", "started", "id")
    for run in submission.list_runs(api, limit=limit):
        table.add_row(
            str(run.display_name), str(run.state), str(run.created_at), str(run.run_id)
        )
    Console().print(table)
