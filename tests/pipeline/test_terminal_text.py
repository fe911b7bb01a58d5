"""File names are printed without control characters."""

from __future__ import annotations

import os
import subprocess

import pytest

from graft.pipeline.terminal_text import escaped, shell_command


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred\nline\r\x07", r"a\x1b[31mred\nline\r\x07"),
        ("gpj\u202eexe", r"gpj\u202eexe"),
        ("half \udcff", r"half \udcff"),
        ("line\u2028end\u0085", r"line\u2028end\x85"),
        (
            "Ä ö [x] 'y' 犬 می\u200cخواهم 👩\u200d🔬",
            "Ä ö [x] 'y' 犬 می\u200cخواهم 👩\u200d🔬",
        ),
    ],
    ids=["escape sequence", "direction", "no UTF-8", "separators", "printable"],
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert escaped(text) == shown
    assert escaped(shown) == shown


@pytest.mark.parametrize(
    "name",
    [b"a b.jpg", b"it's \x1b[31m\n.jpg", b"\xff\\x41'\t$HOME.jpg", b"\xe2\x80\xae"],
)
def test_a_shell_gets_the_very_bytes(name: bytes) -> None:
    command = shell_command(["printf", "%s", os.fsdecode(name)])
    assert command == escaped(command)
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True)
    assert done.stdout == name
