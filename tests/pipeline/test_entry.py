"""Ctrl-C ends the program without a trace, whatever it does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib import metadata

import pytest

STOPPED = """
import os, signal, sys
class StopAtImport:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, StopAtImport())
sys.argv = ["graft", "models", "--model-dir", "nowhere"]
from graft.pipeline.entry import main
main()
"""


@pytest.mark.parametrize(
    "module",
    ["graft.pipeline.cli", "typer", "graft.pipeline.commands.models"],
)
def test_an_interrupt_while_modules_are_imported(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STOPPED.format(module=module)],
        capture_output=True,
        text=True,
        check=False,
        # A parent that ignores SIGINT, as a shell's background job, hands that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.returncode == 130, done.stderr
    # Within a command, typer ends the program in silence.
    said = "graft: Stopped.\n"
    assert done.stderr in ("", said)


def test_the_program_begins_here() -> None:
    (program,) = metadata.entry_points(group="console_scripts", name="graft")
    assert program.value == "graft.pipeline.entry:main"
