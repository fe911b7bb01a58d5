"""Start a program that ends when the process that started it ends.

A killed process can't stop its children: a model server would keep its memory and its
port. On Linux the kernel kills them, if they ask for it. They can't ask before they
run, so `command` puts this module in front of a program: it asks and then becomes the
program.

`subprocess`'s `preexec_fn` could ask, too, but it isn't safe in a process with threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1
_MODULE = "graft.serving.child_process"


def command(words: Sequence[str]) -> list[str]:
    """Return a command line that runs a program and ends with this process.

    The kernel watches the thread that starts the program, not only the process. So that
    thread must live as long as the program.

    Args:
        words: The program and its arguments.
    """
    return [sys.executable, "-m", _MODULE, str(os.getpid()), *words]


def main() -> None:
    """Run the program that the command line names, after the parent's process ID."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # The parent may have ended before the kernel was asked.
        if os.getppid() != parent:
            sys.exit(1)
    os.execvp(program[0], program)  # noqa: S606 - no shell, and the caller's program


if __name__ == "__main__":
    main()
