"""`graft serve`: the pushed model over gRPC and REST, on this machine."""

from __future__ import annotations

import enum
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from graft.contract.errors import UserError
from graft.pipeline.commands.options import (
    ModelDirOption,
    ModelOption,
    choose_model_folder,
)
from graft.pipeline.terminal_text import shell_command
from graft.serving.model_store import DEFAULT_FOLDER

BINARY = "tensorflow_model_server"
LOOPBACK = "127.0.0.1"
ALL_ADDRESSES = ("0.0.0.0", "::", "[::]")  # noqa: S104 - compared, not listened on


class Engine(enum.StrEnum):
    """Server program."""

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
        typer.Option(
            help=f"auto: {BINARY} if it is on the PATH and --host is 0.0.0.0 or only a "
            "Unix socket is served, else embedded."
        ),
    ] = Engine.AUTO,
    model_dir: ModelDirOption = DEFAULT_FOLDER,
    model: ModelOption = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0: all of this machine.")
    ] = LOOPBACK,
    port: Annotated[
        int, typer.Option(help="TCP port of gRPC; 0: a Unix socket.")
    ] = 8500,
    rest_port: Annotated[
        int, typer.Option(help="TCP port of REST; 0 for none.")
    ] = 8501,
) -> None:
    """Serve the pushed model, and each newer version as soon as it is pushed.

    The labels that pushes, `graft models --promote` and `graft rollback` set are
    served, too, such as /v1/models/my-photos/labels/stable.

    TensorFlow Serving's binary and the embedded server read the same folder and answer
    the same requests. SIGTERM ends both; the embedded server first answers the requests
    in flight. The binary has no flag for its address: a TCP port of it is open on all.
    On loopback it serves a Unix socket only: --port 0 --rest-port 0 --
    --grpc_socket_path=PATH.
    """
    has_model_flags = _has_flag(flags or [], "--model_config_file", "--model_base_path")
    base_path = None if has_model_flags else choose_model_folder(model_dir, model)
    command = serve_command(
        engine=engine,
        model_flags=[] if base_path is None else _model_flags(base_path.resolve()),
        host=host,
        port=port,
        rest_port=rest_port,
        flags=flags or [],
    )
    for option, flag, number in (
        ("--port", "--port", port),
        ("--rest-port", "--rest_api_port", rest_port),
    ):
        if number and not _has_flag(flags or [], flag):
            _require_free(host, number, option)
    addresses = [
        f"{name} on {host}:{number}"
        for name, number in (("gRPC", port), ("REST", rest_port))
        if number
    ]
    sys.stderr.write(f"graft: {' '.join(command)}\n")
    if addresses:
        sys.stderr.write(f"graft: serving {' and '.join(addresses)}\n")
    if port and base_path is not None:
        ask = ["graft", "predict", "IMAGE", "--server", f"{host}:{port}"]
        ask += ["--model", base_path.resolve().name]
        sys.stderr.write(f"graft: ask it with {shell_command(ask)}\n")
    sys.stderr.flush()
    # Replace this process, so that signals and the exit status are the server's.
    os.execv(command[0], command)  # noqa: S606 - no shell, and our own path


def serve_command(
    *,
    engine: Engine,
    model_flags: list[str],
    host: str,
    port: int,
    rest_port: int,
    flags: list[str],
) -> list[str]:
    """Return the command line that starts the server.

    Args:
        engine: Which server program to start.
        model_flags: Flags that name the model; empty if `flags` do.
        host: Address to listen on.
        port: TCP port of gRPC.
        rest_port: TCP port of REST.
        flags: Further flags; they come last, so they take precedence.

    Raises:
        UserError: The binary was requested and is not on the PATH, or would listen
            on more addresses than `host`.
    """
    binary = shutil.which(BINARY)
    if engine is Engine.BINARY and binary is None:
        raise UserError(
            f"{BINARY} isn't on the PATH. Install TensorFlow Serving, or use "
            "`--engine embedded`, which answers the same requests."
        )
    has_ports = port or rest_port or _has_flag(flags, "--port", "--rest_api_port")
    may_be_binary = host in ALL_ADDRESSES or not has_ports
    if engine is Engine.BINARY and not may_be_binary:
        raise UserError(
            f"`--host` must be 0.0.0.0 with `--engine binary`: a TCP port of {BINARY} "
            "is open on all addresses. Add `--host 0.0.0.0`, or serve a Unix socket "
            "only: `--port 0 --rest-port 0 -- --grpc_socket_path=PATH`, or use "
            f"`--engine embedded`. Received: {host!r}"
        )
    if engine is Engine.EMBEDDED or binary is None or not may_be_binary:
        command = [sys.executable, "-m", "graft.serving.embedded", f"--host={host}"]
    else:
        command = [binary]
    command += [f"--port={port}", f"--rest_api_port={rest_port}"]
    return command + model_flags + flags


def _model_flags(path: Path) -> list[str]:
    """Return the flags that serve a model's folder, by labels where it has them."""
    from graft.components.publishing.labels import SERVING_CONFIG_NAME, config_serves

    is_served = config_serves(str(path))
    if is_served:
        return [
            f"--model_config_file={path / SERVING_CONFIG_NAME}",
            "--model_config_file_poll_wait_seconds=1",
            "--allow_version_labels_for_unavailable_models=true",
        ]
    if is_served is False:
        sys.stderr.write(
            f"graft: {path / SERVING_CONFIG_NAME} is damaged or names another folder: "
            "labels are not served. `graft models --repair` writes it anew.\n"
        )
    return [f"--model_name={path.name}", f"--model_base_path={path}"]


def _require_free(host: str, port: int, option: str) -> None:
    """Check that the server will be able to listen, before it loads a model.

    Raises:
        UserError: Another program listens there, or this one may not.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As servers do, so that connections that have just ended don't count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except (OSError, OverflowError) as error:
        raise UserError(
            f"`{option}` must be a port of {host!r} that is free, as --port 8510 "
            f"--rest-port 8511 may be. Received: {port} ({error})"
        ) from None


def _has_flag(flags: list[str], *names: str) -> bool:
    return any(flag.partition("=")[0] in names for flag in flags)
