"""`graft cache stats|verify|prune`: maintain the store of features and answers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from graft.contract.counts import counted
from graft.contract.errors import UserError
from graft.pipeline.config import DEFAULT_OUTPUT

app = typer.Typer(help="Maintain the cache of bottleneck features.")

Folder = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="The cache; `features.cache` of a run.")
]
DEFAULT_FOLDER = Path(DEFAULT_OUTPUT) / "features"


def _existing(folder: Path) -> str:
    if not folder.is_dir():
        raise UserError(
            f"There is no folder {str(folder)!r}. Name the feature cache of a run; "
            f"the default is {str(DEFAULT_FOLDER)!r}."
        )
    return str(folder)


@app.command()
def stats(folder: Folder = DEFAULT_FOLDER) -> None:
    """Print images, size, preset and engine of each part of the cache.

    `graft cache verify` also reads every file, and finds damage in it.
    """
    _print(folder, verify=False)


@app.command()
def verify(folder: Folder = DEFAULT_FOLDER) -> None:
    """Check all files against their SHA-256; the exit status is 1 after damage."""
    if _print(folder, verify=True):
        raise typer.Exit(1)


@app.command()
def prune(
    folder: Folder = DEFAULT_FOLDER,
    unused_days: Annotated[
        float, typer.Option(min=0, help="Remove files unused for so many days.")
    ] = 30,
) -> None:
    """Remove damaged files, incomplete files, and files not used for long.

    Features that artifacts of runs refer to stay; `graft gc` removes old artifacts.
    """
    from graft.storage.content_store import store_upkeep

    removed = store_upkeep.prune(_existing(folder), unused_days * 24 * 3600)
    for path in removed:
        typer.echo(f"removed {os.path.relpath(path, folder)}")
    typer.echo(f"{len(removed)} removed.")
    for name, artifacts in store_upkeep.pinned(str(folder)).items():
        typer.echo(
            f"kept {name}: {counted(len(artifacts), 'artifact')} of runs need it, such "
            f"as {artifacts[0]}"
        )


def _print(folder: Path, *, verify: bool) -> int:
    """Print a line per namespace and return the number of damaged files."""
    from graft.storage.content_store.store_upkeep import describe_parts, summarise

    num_damaged = 0
    for summary in summarise(_existing(folder), verify=verify):
        num_damaged += summary.num_damaged
        damaged = f", {summary.num_damaged} DAMAGED" if summary.num_damaged else ""
        origin = summary.note or describe_parts(summary.parts)
        typer.echo(
            f"{summary.name}  {origin}: "
            f"{counted(summary.num_images, 'image')}, "
            f"{counted(summary.num_files, 'file')}, "
            f"{summary.num_bytes / 2**20:,.1f} MiB{damaged}"
        )
    return num_damaged
