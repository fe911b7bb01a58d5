"""Options that several commands share: a config, its overrides, an earlier run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graft.contract.errors import UserError
from graft.contract.printable import escaped
from graft.pipeline.config import DEFAULT_OUTPUT, PipelineConfig, load_config
from graft.pipeline.local.last_run import LastRun, last_runs
from graft.pipeline.local.run_names import fill_in_names
from graft.pipeline.terminal_text import shell_command
from graft.serving.errors import ModelNotFoundError
from graft.serving.model_store import (
    DEFAULT_NAME,
    find_model,
    find_versions,
    models_in,
    newest_version,
)

if TYPE_CHECKING:
    from graft.components.evaluation.baseline import Production

_OUTPUT_HELP = "Folder for everything that a run makes."

ConfigPath = Annotated[
    str | None,
    typer.Argument(
        help="YAML file; or the data: a folder with one folder of images per class, a "
        "manifest.",
        metavar="CONFIG",
    ),
]
DataOption = Annotated[
    str | None, typer.Option("--data", help="Folder, manifest or name of the images.")
]
OutputOption = Annotated[str | None, typer.Option("--output", help=_OUTPUT_HELP)]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Replace a value of the config, such as gate.min_accuracy=0.9.",
    ),
]

DEFAULT_OUTPUT_FOLDER = Path(DEFAULT_OUTPUT)
OutputFolderOption = Annotated[Path, typer.Option("--output", help=_OUTPUT_HELP)]
PipelineOption = Annotated[
    str | None,
    typer.Option(
        "--pipeline", help="Name of the pipeline; that of the last run if absent."
    ),
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
    str | None,
    typer.Option(help="The model's name; to read, that of the last run if absent."),
]


def renamed(old: str, new: str) -> Callable[[str | None], None]:
    """Return the callback of a hidden option that got another name.

    Its name has one meaning in all commands, so that it is refused, and not taken for
    the new one.
    """

    def refuse(value: str | None) -> None:
        if value is not None:
            raise UserError(
                f"`{old}` names the output folder of a run. Use `{new}` here. "
                f"Received: {value!r}"
            )

    return refuse


FormerFileOption = Annotated[
    str | None,
    typer.Option("--output", hidden=True, callback=renamed("--output", "--to")),
]


def tell(text: str) -> None:
    """Tell the user something beside the command's result, on standard error."""
    typer.echo(f"graft: {escaped(text)}", err=True)


def load_named_config(
    path: str | None,
    data: str | None,
    output: str | None,
    overrides: list[str] | None,
) -> PipelineConfig:
    """Read the config of a run here; run and model are named after the data.

    The user is told of keys that have no effect.

    Raises:
        UserError: The config is invalid, or it must name the model.
    """
    config = load_config(
        path,
        data=data,
        output=output,
        overrides=overrides,
        fill_in=lambda values: fill_in_names(values, tell),
    )
    for sentence in config.unused_keys():
        tell(sentence)
    return config


def find_model_folder(model_dir: Path, model: str | None) -> Path:
    """Return the folder of a model's versions, to read it or to change it.

    Args:
        model_dir: Folder of pushed models, or of one model's versions.
        model: Name of the model; None if the folder has one model.

    Raises:
        UserError: There is no such model, or there are several and none was named.
    """
    try:
        return find_model(model_dir, model)
    except ModelNotFoundError as error:
        # A store whose versions are all damaged can still be looked at and mended.
        candidates = [model_dir / model] if model else [model_dir]
        if model is None:
            candidates += _content(model_dir)
        stores = [each for each in candidates if _is_store(each)]
        if len(stores) == 1:
            return stores[0]
        last = _last_run_of_store(model_dir)
        if last is None or models_in(model_dir) or model not in (None, last.model):
            raise UserError(str(error)) from error
        raise UserError(
            f"No model has been pushed to {model_dir} yet: "
            f"{_without_model(last, model_dir)}."
        ) from error


def choose_model_folder(model_dir: Path, model: str | None) -> Path:
    """Return the folder of a model's versions, to read it.

    Among several models it is that of the last run, and the user is told so.

    Args:
        model_dir: Folder of pushed models, or of one model's versions.
        model: Name of the model; None: that of the last run.

    Raises:
        UserError: There is no such model, or the last run pushed none and there are
            several.
    """
    names = models_in(model_dir)
    last = _last_run_of_store(model_dir)
    if model is None and last is not None and last.model and names:
        if last.model in names:
            if len(names) > 1:
                others = ", ".join(name for name in names if name != last.model)
                tell(
                    f"model `{last.model}`, that of the last run. Others: {others} "
                    "(--model)"
                )
            _tell_of_refusal(last, model_dir / last.model)
            return model_dir / last.model
        missing = _without_model(last, model_dir)
        if len(names) > 1:
            raise UserError(f"`--model` must be one of {', '.join(names)}: {missing}.")
        tell(f"model `{names[0]}`; {missing}")
    elif model is None and len(names) > 1:
        model = max(names, key=lambda name: newest_version(model_dir / name)[0])
        others = ", ".join(name for name in names if name != model)
        tell(f"model `{model}`, the one pushed last. Others: {others} (--model)")
    return find_model_folder(model_dir, model)


def _tell_of_refusal(last: LastRun, folder: Path) -> None:
    """Tell that an earlier run's model stands in for the last one's."""
    # The number of a version is its time, so that `graft bless` made a later one.
    versions = find_versions(folder)
    if last.refusal and versions and max(versions) < last.started:
        tell(
            f"the model of the last run, `{last.pipeline}`, was refused; version "
            f"{max(versions)} is of an earlier run."
        )


def _without_model(last: LastRun, model_dir: Path) -> str:
    """Return why a run has no model here, and what to do, without a full stop."""
    if not last.refusal:
        return f"the last run, `{last.pipeline}`, has pushed no model yet"
    options = []
    if model_dir.parent != DEFAULT_OUTPUT_FOLDER:
        options += ["--output", str(model_dir.parent)]
    if len(last_runs(model_dir.parent)) > 1:
        options += ["--pipeline", last.pipeline]
    bless = ["graft", "bless", "--force", "--reason", "WHY", *options]
    report = ["graft", "report", "--open", *options]
    return (
        f"the model of the last run, `{last.pipeline}`, was refused: "
        f"{last.refusal.rstrip('.')}. Look at it: `{shell_command(report)}`. Publish "
        f"it nonetheless: `{shell_command(bless)}`"
    )


def _last_run_of_store(model_dir: Path) -> LastRun | None:
    """Return the last run of the output folder that a store lies in."""
    if find_versions(model_dir):
        return None
    runs = last_runs(model_dir.parent)
    return runs[0] if runs else None


def model_of_server(model_dir: Path) -> str:
    """Return the model to ask a server for if the user named none.

    It is the one that `choose_model_folder` takes, or `graft` if nothing was pushed
    here.
    """
    if not models_in(model_dir) and not find_versions(model_dir):
        return DEFAULT_NAME
    return choose_model_folder(model_dir, None).resolve().name


def _is_store(folder: Path) -> bool:
    return any(
        child.name.isdecimal() or child.name.startswith("graft_audit")
        for child in _content(folder)
    )


def _content(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


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
