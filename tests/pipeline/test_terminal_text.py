"""File names are printed without control characters."""

from __future__ import annotations

import os
import subprocess

import pytest

from graft.contract.printable import escaped
from graft.pipeline.terminal_text import shell_command


@pytest.mark.parametrize(
    "name",
    [b"a b.jpg", b"it's \x1b[31m\n.jpg", b"\xff\\x41'\t$HOME.jpg", b"\xe2\x80\xae"],
)
def test_a_shell_gets_the_very_bytes(name: bytes) -> None:
    command = shell_command(["printf", "%s", os.fsdecode(name)])
    assert command == escaped(command)
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True)
    assert done.stdout == name
