"""The `graft` command line.

Each command is a module of `pipeline.commands`, imported here without anything heavy: help
and mistakes in a config are answered before TFX would have been imported.
"""

from __future__ import annotations

import sys

import typer

from pipeline.commands.config import app as config_app
from pipeline.commands.run import run

app = typer.Typer(
    name="graft",
    help="Production transfer learning: labelled images in, a gated image classifier in "
    "TensorFlow Serving out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("run")(run)
app.add_typer(config_app, name="config")


def main() -> None:
    """Run the command line; a user's mistake ends it with one message and status 1."""
    from trainer.errors import UserError

    try:
        app()
    except UserError as error:
        sys.stderr.write(f"graft: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("graft: interrupted; the same command goes on from here.\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
