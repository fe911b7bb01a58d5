"""`graft emulate`: run a compiled pipeline on this machine, before a cluster does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graft.pipeline.commands.cluster_options import ParameterOption, parse_parameters


def emulate(
    pipeline: Annotated[Path, typer.Argument(help="What `graft compile` wrote.")],
    folder: Annotated[
        Path, typer.Option("--folder", help="Buckets, metadata and logs go here.")
    ] = Path("graft_output/emulated"),
    mounts: Annotated[
        list[str] | None,
        typer.Option(
            "--mount",
            metavar="PATH=FOLDER",
            help="Folder of this machine in the place of a mount, /mnt/data=photos.",
        ),
    ] = None,
    parameters: ParameterOption = None,
    parallel: Annotated[
        int, typer.Option("--parallel", min=1, help="Steps side by side, at most.")
    ] = 1,
) -> None:
    """Run a compiled pipeline here, step by step in fresh processes (an emulation).

    Only what a step uploads to the folder's bucket reaches the next one.
    The exit status is 0 when no step failed.
    """
    from rich.console import Console
    from rich.table import Table

    from graft.contract.errors import UserError
    from graft.pipeline.kubeflow.emulation.backend import EmulatedBackend, Hooks

    folders = {}
    for text in mounts or ():
        path, equals, local = text.partition("=")
        if not equals or not path.startswith("/"):
            raise UserError(f"`--mount` takes PATH=FOLDER. Received: {text!r}")
        folders[path] = Path(local).absolute()
    backend = EmulatedBackend(
        folder.absolute(),
        mounts=folders,
        max_parallel=parallel,
        backoff_scale=1.0,
        hooks=Hooks(on_event=lambda step, what: typer.echo(f"{step}: {what}")),
    )
    results = backend.run(pipeline, parse_parameters(parameters))
    table = Table("step", "state", "attempts", "seconds", "MB in", "MB out", "log")
    for name, result in results.items():
        table.add_row(
            name,
            result.state,
            str(result.attempts),
            f"{result.seconds:.1f}",
            f"{result.downloaded / 1e6:.1f}",
            f"{result.uploaded / 1e6:.1f}",
            str(result.log_path or result.message),
        )
    Console().print(table)
    if any(result.state == "FAILED" for result in results.values()):
        raise typer.Exit(1)
