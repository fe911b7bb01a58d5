"""`graft serve`: the pushed model over gRPC and REST, on this machine."""

from __future__ import annotations

import enum
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from graft.contract.errors import UserError
from graft.serving.errors import ModelNotFoundError
from graft.serving.model_store import DEFAULT_FOLDER, find_model

BINARY = "tensorflow_model_server"


class Engine(str, enum.Enum):
    """What serves."""

    AUTO = "auto"
    BINARY = "binary"
    EMBEDDED = "embedded"


def serve(
    flags: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- FLAGS...]",
            help=f"Flags of {BINARY}, as --enable_batching; after `--`.",
        ),
    ] = None,
    *,
    engine: Annotated[
        Engine,
        typer.Option(help=f"auto: {BINARY} if it is on the PATH, else embedded."),
    ] = Engine.AUTO,
    model_dir: Annotated[
        Path, typer.Option(help="Folder of pushed models, or of one model's versions.")
    ] = DEFAULT_FOLDER,
    model: Annotated[
        str | None, typer.Option(help="The model's name, if the folder has several.")
    ] = None,
    port: Annotated[int, typer.Option(help="TCP port of gRPC; 0 for none.")] = 8500,
    rest_port: Annotated[
        int, typer.Option(help="TCP port of REST; 0 for none.")
    ] = 8501,
) -> None:
    """Serve the pushed model; a version that is pushed later takes over by itself.

    TensorFlow Serving's binary and the embedded server read the same folder and answer
    the same requests. SIGTERM ends either; the embedded one answers what is in flight.
    """
    command = serve_command(
        engine=engine,
        base_path=None if _names_models(flags or []) else _find(model_dir, model),
        port=port,
        rest_port=rest_port,
        flags=flags or [],
    )
    sys.stderr.write(f"graft: {' '.join(command)}\n")
    sys.stderr.flush()
    # Not a child: signals, exit status and supervisors see the server itself.
    os.execv(command[0], command)  # noqa: S606 - no shell, and a path of our own


def serve_command(
    *,
    engine: Engine,
    base_path: Path | None,
    port: int,
    rest_port: int,
    flags: list[str],
) -> list[str]:
    """Return the command line of the server.

    Args:
        engine: What is to serve.
        base_path: The model's folder, whose name is the model's; None if the flags name
            models themselves.
        port: TCP port of gRPC.
        rest_port: TCP port of REST.
        flags: Further flags of the binary; they come last and so win.

    Raises:
        UserError: If the binary is asked for and isn't on the PATH.
    """
    binary = shutil.which(BINARY)
    if engine is Engine.BINARY and binary is None:
        raise UserError(
            f"{BINARY} isn't on the PATH. Install TensorFlow Serving, or use "
            "`--engine embedded`, which answers the same requests."
        )
    if engine is Engine.EMBEDDED or binary is None:
        command = [sys.executable, "-m", "graft.serving.embedded"]
    else:
        command = [binary]
    command += [f"--port={port}", f"--rest_api_port={rest_port}"]
    if base_path is not None:
        path = base_path.resolve()
        command += [f"--model_name={path.name}", f"--model_base_path={path}"]
    return command + flags


def _names_models(flags: list[str]) -> bool:
    return any(
        flag.startswith(("--model_config_file", "--model_base_path")) for flag in flags
    )


def _find(folder: Path, name: str | None) -> Path:
    try:
        return find_model(folder, name)
    except ModelNotFoundError as error:
        raise UserError(str(error)) from error
