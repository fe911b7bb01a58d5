"""`graft rollback`: serve an earlier version again."""

from __future__ import annotations

from typing import Annotated

import typer

from graft.pipeline.commands.options import (
    IfServedOption,
    ModelDirOption,
    ModelOption,
    find_model_folder,
    seen_production,
)
from graft.serving.model_store import DEFAULT_FOLDER


def rollback(
    version: Annotated[
        int | None,
        typer.Argument(
            help="Version to go back to; if absent, the newest sound one before the "
            "served one."
        ),
    ] = None,
    *,
    reason: Annotated[str, typer.Option(help="Why; kept in the manifest and the log.")],
    model_dir: ModelDirOption = DEFAULT_FOLDER,
    model: ModelOption = None,
    if_served: IfServedOption = None,
) -> None:
    """Publish an earlier version again under a new number.

    Servers load it at their next poll. The next run does not push the replaced model
    again; `graft bless --force` does. Damaged versions are passed over. If another
    version is put into production meanwhile, nothing is done: exit status 4.
    """
    from graft.components.publishing.store import roll_back

    folder = str(find_model_folder(model_dir, model))
    new = roll_back(folder, version, reason, seen=seen_production(folder, if_served))
    rolled = new.manifest["rollback"]
    typer.echo(
        f"Version {new.number} has the files of {rolled['to_version']} and takes the "
        f"place of {rolled['from_version']}."
    )
    if rolled["passed_over"]:
        damaged = ", ".join(map(str, rolled["passed_over"]))
        typer.echo(f"Passed over, since they are damaged: {damaged}.")
