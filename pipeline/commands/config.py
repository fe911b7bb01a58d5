"""`graft config show|check|schema|reference`: a config, its mistakes, its keys."""

from __future__ import annotations

import glob
import json
import os

import typer

from graft.components.ingestion.sources import built_in
from graft.pipeline.commands.options import (
    ConfigPath,
    DataOption,
    OutputOption,
    SetOption,
    load_named_config,
)
from graft.pipeline.config import PipelineConfig, dump_config
from graft.pipeline.config_reference import render_reference
from graft.storage.path_hints import hint_about
from graft.storage.paths import expand_home, is_remote

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
    """Check a config. If it has mistakes, all are listed and the exit status is 1.

    Its data may lie on another machine: if they are not here, this is only told.
    """
    loaded = load_named_config(config, data, output, overrides)
    typer.echo("The config is fine.")
    path = loaded.data.path
    is_local = not is_remote(path) and path not in built_in.NAMES
    if is_local and not glob.glob(expand_home(path)) and not os.path.exists(path):
        hint = hint_about(path)
        typer.echo(f"There is no {path!r} (`data.path`) here. {hint}".rstrip())


@app.command()
def schema() -> None:
    """Print the config's JSON schema: every key, type and default."""
    typer.echo(json.dumps(PipelineConfig.model_json_schema(), indent=2))


@app.command()
def reference() -> None:
    """Print a page with every key, its type, default and meaning, as Markdown."""
    typer.echo(render_reference(), nl=False)
