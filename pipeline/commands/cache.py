"""`graft cache stats|verify|prune`: the store of bottleneck features."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from graft.contract.errors import UserError

app = typer.Typer(help="Look after the store of bottleneck features.")

Folder = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="The store; a run's `features.cache`.")
]
DEFAULT_FOLDER = Path("graft_output") / "features"


def _existing(folder: Path) -> str:
    if not folder.is_dir():
        raise UserError(
            f"{str(folder)!r} is no folder. A run makes the store, by default in "
            f"{str(DEFAULT_FOLDER)!r}; name yours."
        )
    return str(folder)


@app.command()
def stats(folder: Folder = DEFAULT_FOLDER) -> None:
    """Print what the store holds: images, size, and what computed each part."""
    _print(folder)


@app.command()
def verify(folder: Folder = DEFAULT_FOLDER) -> None:
    """Check every file against its SHA-256; the exit status is 1 if one is damaged."""
    if _print(folder):
        raise typer.Exit(1)


@app.command()
def prune(
    folder: Folder = DEFAULT_FOLDER,
    unused_days: Annotated[
        float, typer.Option(min=0, help="Remove what no run opened for so many days.")
    ] = 30,
) -> None:
    """Remove damaged files, torn writes and what was long out of use."""
    from graft.components.features import store_upkeep

    removed = store_upkeep.prune(_existing(folder), unused_days * 24 * 3600)
    for path in removed:
        typer.echo(f"removed {os.path.relpath(path, folder)}")
    typer.echo(f"{len(removed)} removed.")


def _print(folder: Path) -> int:
    """Print a line per namespace and return the number of damaged files."""
    from graft.components.features.store_upkeep import summarise

    num_damaged = 0
    for summary in summarise(_existing(folder)):
        num_damaged += summary.num_damaged
        damaged = f", {summary.num_damaged} DAMAGED" if summary.num_damaged else ""
        typer.echo(
            f"{summary.name}  {summary.parts.get('preset')}, "
            f"{summary.parts.get('engine')}: {summary.num_images:,} images, "
            f"{summary.num_files:,} files, "
            f"{summary.num_bytes / 2**20:,.1f} MiB{damaged}"
        )
    return num_damaged
