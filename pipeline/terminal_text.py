r"""Quote file names with control characters for a shell."""

from __future__ import annotations

import os
import shlex
import string

from graft.contract.printable import is_unprintable

_PLAIN = frozenset(string.digits + string.ascii_letters + string.punctuation + " ")


def shell_command(words: list[str]) -> str:
    r"""Return a command that can be copied to a shell.

    A word with control characters is written as `$'...'`, which bash, ksh and zsh know.
    """
    return " ".join(
        _ansi_c_quoted(word) if any(map(is_unprintable, word)) else shlex.quote(word)
        for word in words
    )


def _ansi_c_quoted(word: str) -> str:
    letters = (
        chr(byte) if chr(byte) in _PLAIN - {"'", "\\"} else f"\\x{byte:02x}"
        for byte in os.fsencode(word)
    )
    return f"$'{''.join(letters)}'"
