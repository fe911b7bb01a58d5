"""`graft rollback`: serve an earlier version again."""

from __future__ import annotations

from typing import Annotated

import typer

from graft.pipeline.commands.options import (
    ModelDirOption,
    ModelOption,
    find_model_folder,
)
from graft.serving.model_store import DEFAULT_FOLDER


def rollback(
    version: Annotated[
        int | None,
        typer.Argument(help="Version to go back to; the one before the served one."),
    ] = None,
    *,
    reason: Annotated[str, typer.Option(help="Why; kept in the manifest and the log.")],
    model_dir: ModelDirOption = DEFAULT_FOLDER,
    model: ModelOption = None,
) -> None:
    """Publish an earlier version again under a new number.

    Servers load it at their next poll. The next run does not push the replaced model
    again; `graft bless --force` does.
    """
    from graft.components.publishing.store import roll_back

    new = roll_back(str(find_model_folder(model_dir, model)), version, reason)
    rolled = new.manifest["rollback"]
    typer.echo(
        f"Version {new.number} has the files of {rolled['to_version']} and takes the "
        f"place of {rolled['from_version']}."
    )
