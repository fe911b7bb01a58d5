r"""Show texts of others, such as file names, without characters that hide or reorder.

A terminal, a browser and a Markdown viewer obey control characters and the marks that
change the direction of the text. All of graft decides by `is_unprintable`.
"""

from __future__ import annotations

import unicodedata

# Control characters, lone surrogates, line and paragraph separators.
_UNSHOWN_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")
# These reorder the text around them (Unicode Standard Annex 9). Joiners do not, and
# some scripts need them.
_DIRECTION_MARKS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def is_unprintable(letter: str) -> bool:
    """Return whether a character must not be shown as it is."""
    return (
        unicodedata.category(letter) in _UNSHOWN_CATEGORIES
        or letter in _DIRECTION_MARKS
    )


def escaped(text: str, keep: str = "") -> str:
    r"""Return text with unprintable characters as escapes, such as `\x1b`.

    Args:
        text: The text.
        keep: Unprintable characters to leave, such as line breaks of a page.
    """
    # A page has millions of characters, but few different ones.
    escapes = {
        ord(letter): letter.encode("unicode_escape").decode("ascii")
        for letter in set(text)
        if is_unprintable(letter) and letter not in keep
    }
    return text.translate(escapes)
