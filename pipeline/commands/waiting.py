"""Show on a terminal what a command is waiting for."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text


@contextlib.contextmanager
def shown_while_waiting(what: str) -> Iterator[None]:
    """Show what happens, and for how long, on standard error if it is a terminal.

    The line is gone afterwards. It stays visible though standard error is redirected
    meanwhile.

    Args:
        what: What the command does, such as "Loading the model".
    """
    started = time.monotonic()
    with os.fdopen(os.dup(2), "w", encoding="utf-8") as terminal:
        console = Console(file=terminal)
        if not console.is_terminal:
            yield
            return
        spinner = Spinner("dots")

        def line() -> Spinner:
            seconds = time.monotonic() - started
            spinner.update(text=Text(f"{what} {seconds:.0f} s"))
            return spinner

        with Live(
            get_renderable=line,
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        ):
            yield
