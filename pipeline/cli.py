"""The `graft` command line.

Each command is a module of `graft.pipeline.commands`. Help, and errors in a config, are
shown before TFX or TensorFlow is imported.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from graft.pipeline.interruption import CONTINUES, stop_at_once

_COMMANDS = {
    "run": ("run", "run"),
    "tune": ("tune", "tune"),
    "predict": ("predict", "predict"),
    "serve": ("serve", "serve"),
    "load-test": ("load_test", "load_test"),
    "report": ("report", "report"),
    "runs": ("runs", "runs"),
    "diff": ("diff", "diff"),
    "models": ("models", "models"),
    "rollback": ("rollback", "rollback"),
    "bless": ("bless", "bless"),
    "cache": ("cache", "app"),
    "gc": ("gc", "gc"),
    "config": ("config", "app"),
    "presets": ("presets", "presets"),
    "compile": ("compile", "compile_"),
    "emulate": ("emulate", "emulate"),
    "submit": ("submit", "submit"),
    "schedule": ("schedule", "app"),
    "doctor": ("doctor", "doctor"),
}
"""Command to module and attribute, in the order of the help."""
_STOPPED_AT_ONCE = {
    "run": CONTINUES,
    "tune": CONTINUES,
    "emulate": "Stopped; the same command starts a new run.",
    "load-test": "Stopped; nothing is kept of this measurement.",
}
"""Long commands that Ctrl-C ends at once, and what becomes of their work."""


class _LazyGroup(TyperGroup):
    """Imports the module of a command when the command is used."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in _COMMANDS:
            return None
        module_name, attribute = _COMMANDS[cmd_name]
        module = importlib.import_module(f"graft.pipeline.commands.{module_name}")
        target = getattr(module, attribute)
        if isinstance(target, typer.Typer):
            command: Any = typer.main.get_group(target)
        else:
            single = typer.Typer(add_completion=False)
            settings = getattr(module, "CONTEXT_SETTINGS", None)
            single.command(cmd_name, context_settings=settings)(target)
            command = typer.main.get_command(single)
        command.name = cmd_name
        return command


app = typer.Typer(
    name="graft",
    cls=_LazyGroup,
    help="Production transfer learning: labelled images in, a gated image classifier "
    "in TensorFlow Serving out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _version(
    version: bool = typer.Option(
        False, "--version", help="Print the version and exit."
    ),
) -> None:
    if version:
        from importlib import metadata

        typer.echo(metadata.version("graft-tfx"))
        raise typer.Exit


def main() -> None:
    """Run the command line; a `UserError` is printed and ends it with its status."""
    from graft.contract.errors import UserError
    from graft.contract.printable import escaped
    from graft.pipeline.machine_faults import describe_fault
    from graft.pipeline.temporary_folder import use_own_temporary_folder

    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command in _STOPPED_AT_ONCE:
        stop_at_once(_STOPPED_AT_ONCE[command])
    use_own_temporary_folder()
    # TensorFlow would log to standard error while it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Idle threads of BLAS sleep at once. By default they spin for a while, at the cost
    # of threads with work. NumPy reads this when it is imported
    # (docs/decisions/0006-orchestration.md).
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    try:
        app()
    except UserError as error:
        # An error may name a file whose name a terminal would obey.
        text = "\n".join(escaped(line) for line in str(error).split("\n"))
        sys.stderr.write(f"graft: {text}\n")
        sys.exit(error.exit_status)
    except Exception as error:
        fault = describe_fault(error)
        if fault is None:
            raise
        sys.stderr.write(f"graft: {escaped(fault)}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
