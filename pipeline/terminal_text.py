r"""Texts for a terminal: commands that can be copied, and times."""

from __future__ import annotations

import os
import shlex
import string
from datetime import UTC, datetime

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


def local_time(moment: object) -> str:
    """Return a moment in local time, such as `2026-11-30 14:02:05`.

    Args:
        moment: A `datetime`, or a text of ISO 8601, which is UTC without an offset.
            Another value is returned as text: a file may be damaged.
    """
    if not isinstance(moment, datetime):
        try:
            moment = datetime.fromisoformat(str(moment))
        except ValueError:
            return str(moment)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _ansi_c_quoted(word: str) -> str:
    letters = (
        chr(byte) if chr(byte) in _PLAIN - {"'", "\\"} else f"\\x{byte:02x}"
        for byte in os.fsencode(word)
    )
    return f"$'{''.join(letters)}'"
