"""The `graft` program: the command line, also while its modules are imported.

Imports take a large part of a second. Ctrl-C then ends the program as later: without a
trace, with exit status 130. So this module imports nothing but `sys` at its top.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Import the command line and run it."""
    try:
        from graft.pipeline.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("graft: Stopped.\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
