"""Options that several commands share: a config, its overrides, an earlier run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graft.pipeline.config import DEFAULT_OUTPUT
from graft.serving.errors import ModelNotFoundError
from graft.serving.model_store import DEFAULT_NAME, find_model

if TYPE_CHECKING:
    from graft.components.evaluation.baseline import Production

_OUTPUT_HELP = "Folder for everything that a run makes."

ConfigPath = Annotated[str | None, typer.Argument(help="YAML file.", metavar="CONFIG")]
DataOption = Annotated[
    str | None, typer.Option("--data", help="Folder, manifest or name of the images.")
]
OutputOption = Annotated[str | None, typer.Option("--output", help=_OUTPUT_HELP)]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Replace a value of the config, such as training.epochs=10.",
    ),
]

DEFAULT_OUTPUT_FOLDER = Path(DEFAULT_OUTPUT)
OutputFolderOption = Annotated[Path, typer.Option("--output", help=_OUTPUT_HELP)]
PipelineOption = Annotated[
    str | None,
    typer.Option("--pipeline", help="Name of the pipeline, if the folder has several."),
]
RunArgument = Annotated[
    str | None, typer.Argument(help="Number or id of a run; the latest if absent.")
]

ModelDirOption = Annotated[
    Path, typer.Option(help="Folder of pushed models, or of one model's versions.")
]
IfServedOption = Annotated[
    int | None,
    typer.Option(
        metavar="VERSION", help="Stop, with status 4, unless this version is served."
    ),
]
ModelOption = Annotated[
    str | None, typer.Option(help="The model's name, if the folder has several.")
]


def find_model_folder(model_dir: Path, model: str | None) -> Path:
    """Return the folder of a model's versions.

    Args:
        model_dir: Folder of pushed models, or of one model's versions.
        model: Name of the model; None if the folder has one model.

    Raises:
        UserError: There is no such model.
    """
    from graft.contract.errors import UserError

    try:
        return find_model(model_dir, model)
    except ModelNotFoundError as error:
        # A store whose versions are all damaged can still be looked at and mended.
        for folder in (model_dir / (model or DEFAULT_NAME), model_dir):
            if folder.is_dir() and any(
                child.name.isdecimal() or child.name.startswith("graft_audit")
                for child in folder.iterdir()
            ):
                return folder
        raise UserError(str(error)) from error


def seen_production(folder: str, if_served: int | None) -> Production:
    """Return what is in production when a command begins.

    The command acts on this: the store refuses the change if it is no longer so.

    Args:
        folder: Folder of a model's versions.
        if_served: The version that the user believes to be served; None: any.

    Raises:
        StoreChangedError: Another version is served.
    """
    from graft.components.publishing.production import read_production
    from graft.contract.errors import StoreChangedError

    production = read_production(folder)
    if if_served not in (None, production.version):
        raise StoreChangedError(
            f"`--if-served` says {if_served}, but {production.describe()} is served. "
            "Nothing was changed: look at `graft models`."
        )
    return production
