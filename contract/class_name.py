"""The rule for class names, the same for all kinds of data.

Any printable text of any script is a class name: spaces, commas, slashes, quotes, emoji
and the joiners of Persian and Hindi are allowed. Class names are in Unicode's composed
form (NFC), without white space at the ends, so a name has the same bytes everywhere.
"""

from __future__ import annotations

import unicodedata

_CONTROL = "Cc"
_SURROGATE = "Cs"
_LINE_SEPARATORS = ("Zl", "Zp")

INVISIBLE = frozenset(
    map(
        chr,
        [
            0x00AD,  # soft hyphen
            0x034F,  # grapheme joiner
            0x061C,  # mark of direction
            *(0x115F, 0x1160, 0x3164, 0xFFA0),  # Hangul's fillers
            *(0x17B4, 0x17B5),  # Khmer's inherent vowels
            *range(0x180B, 0x1810),  # Mongolian selectors
            *range(0x200B, 0x2010),  # spaces without width, joiners, marks of direction
            *range(0x202A, 0x202F),  # embedded directions
            *range(0x2060, 0x2070),  # word joiner, isolated directions
            0x2800,  # blank Braille pattern
            *range(0xFE00, 0xFE10),  # variation selectors
            0xFEFF,  # byte order mark
            *range(0xFFF9, 0xFFFC),  # marks of annotations
            *range(0xE0100, 0xE01F0),  # more variation selectors
        ],
    )
)
"""Invisible characters other than white space.

Tags (U+E0020 and on) are not included: they alone distinguish the flags of England and
Scotland.
"""


def class_name_of(text: str) -> str:
    """Return a text as a class name: composed, without white space at the ends.

    Args:
        text: Name of a folder, cell of a manifest or text of a record.

    Raises:
        ValueError: The text is not a class name. The message says why.
    """
    name = unicodedata.normalize("NFC", text).strip()
    if name and name.isascii() and name.isprintable():
        return name
    for letter in name:
        category = unicodedata.category(letter)
        if category == _SURROGATE:
            raise ValueError("it is not UTF-8 text")
        if category == _CONTROL or category in _LINE_SEPARATORS:
            raise ValueError(f"it holds the control character or line break {letter!a}")
    if not name:
        raise ValueError("it is blank")
    if all(letter.isspace() or letter in INVISIBLE for letter in name):
        raise ValueError("all of its characters are invisible")
    return name
