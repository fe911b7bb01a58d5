"""Numbers with their nouns, for messages: `1 image`, `1,234 images`."""

from __future__ import annotations

import re


def counted(number: int, noun: str) -> str:
    """Return a number and its noun, which is in the plural unless the number is 1.

    Args:
        number: The number.
        noun: The noun in the singular; words may stand before it (`rare class`).
    """
    return f"{number:,} {noun if number == 1 else _plural(noun)}"


def agree(number: int, one: str, several: str) -> str:
    """Return the word that agrees with a number: `agree(1, "is", "are")` is `is`."""
    return one if number == 1 else several


def _plural(noun: str) -> str:
    if re.search(r"(s|x|ch|sh)$", noun):
        return f"{noun}es"
    if re.search(r"[^aeiou]y$", noun):
        return f"{noun[:-1]}ies"
    return f"{noun}s"
