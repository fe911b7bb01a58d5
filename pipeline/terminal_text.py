r"""Print file names on a terminal without control characters.

A file name may hold line breaks, escape sequences of the terminal, and marks that
change the direction of the text.
"""

from __future__ import annotations

import os
import shlex
import string
import unicodedata

# Control characters, lone surrogates, line and paragraph separators.
_UNSHOWN_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")
# These reorder the text around them. Joiners do not, and some scripts need them.
_DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_PLAIN = frozenset(string.digits + string.ascii_letters + string.punctuation + " ")


def escaped(text: str) -> str:
    r"""Return text with control characters as escapes, such as `\x1b`."""
    return "".join(
        letter.encode("unicode_escape").decode("ascii")
        if _is_unshown(letter)
        else letter
        for letter in text
    )


def shell_command(words: list[str]) -> str:
    r"""Return a command that can be copied to a shell.

    A word with control characters is written as `$'...'`, which bash, ksh and zsh know.
    """
    return " ".join(
        _ansi_c_quoted(word) if any(map(_is_unshown, word)) else shlex.quote(word)
        for word in words
    )


def _is_unshown(letter: str) -> bool:
    return (
        unicodedata.category(letter) in _UNSHOWN_CATEGORIES
        or letter in _DIRECTION_MARKS
    )


def _ansi_c_quoted(word: str) -> str:
    letters = (
        chr(byte) if chr(byte) in _PLAIN - {"'", "\\"} else f"\\x{byte:02x}"
        for byte in os.fsencode(word)
    )
    return f"$'{''.join(letters)}'"
