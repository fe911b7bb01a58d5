"""`graft config show|check|schema`: show a config, check it, list its keys."""

from __future__ import annotations

import json

import typer

from graft.pipeline.commands.options import (
    ConfigPath,
    DataOption,
    OutputOption,
    SetOption,
    load_named_config,
)
from graft.pipeline.config import PipelineConfig, dump_config

app = typer.Typer(help="Show a config, check it, or list its keys.")


@app.command()
def show(
    config: ConfigPath = None,
    data: DataOption = None,
    output: OutputOption = None,
    overrides: SetOption = None,
) -> None:
    """Print the whole config, defaults included."""
    loaded = load_named_config(config, data, output, overrides)
    typer.echo(dump_config(loaded), nl=False)


@app.command()
def check(
    config: ConfigPath = None,
    data: DataOption = None,
    output: OutputOption = None,
    overrides: SetOption = None,
) -> None:
    """Check a config. If it has mistakes, all are listed and the exit status is 1."""
    load_named_config(config, data, output, overrides)
    typer.echo("The config is fine.")


@app.command()
def schema() -> None:
    """Print the config's JSON schema: every key, type and default."""
    typer.echo(json.dumps(PipelineConfig.model_json_schema(), indent=2))
