"""`graft config show|check|schema`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from graft.pipeline.config import PipelineConfig, dump_config, load_config

app = typer.Typer(help="Look at a config: all its values, its mistakes, its keys.")

ConfigPath = Annotated[str | None, typer.Argument(help="YAML file.", metavar="CONFIG")]
DataOption = Annotated[
    str | None, typer.Option("--data", help="Folder, manifest or name of the images.")
]
OutputOption = Annotated[
    str | None, typer.Option("--output", help="Folder for everything that a run makes.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Replace a value of the config, such as training.epochs=10.",
    ),
]


@app.command()
def show(
    config: ConfigPath = None,
    data: DataOption = None,
    output: OutputOption = None,
    overrides: SetOption = None,
) -> None:
    """Print the whole config, defaults included."""
    loaded = load_config(config, data=data, output=output, overrides=overrides or ())
    typer.echo(dump_config(loaded), nl=False)


@app.command()
def check(
    config: ConfigPath = None,
    data: DataOption = None,
    output: OutputOption = None,
    overrides: SetOption = None,
) -> None:
    """Check a config; every mistake is named, and the exit status is 1."""
    load_config(config, data=data, output=output, overrides=overrides or ())
    typer.echo("The config is fine.")


@app.command()
def schema() -> None:
    """Print the config's JSON schema: every key, type and default."""
    typer.echo(json.dumps(PipelineConfig.model_json_schema(), indent=2))
