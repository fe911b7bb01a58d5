"""Texts of others are shown without control characters."""

from __future__ import annotations

import pytest

from graft.contract.printable import escaped, is_unprintable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred\nline\r\x07", r"a\x1b[31mred\nline\r\x07"),
        ("gpj\u202eexe", r"gpj\u202eexe"),
        ("half \udcff", r"half \udcff"),
        ("line\u2028end\u0085", r"line\u2028end\x85"),
        ("one\u200ftwo\u200e\u061c", r"one\u200ftwo\u200e\u061c"),
        (
            "Ä ö [x] 'y' 犬 می\u200cخواهم 👩\u200d🔬",
            "Ä ö [x] 'y' 犬 می\u200cخواهم 👩\u200d🔬",
        ),
    ],
    ids=[
        "escape sequence",
        "direction",
        "no UTF-8",
        "separators",
        "marks",
        "printable",
    ],
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert escaped(text) == shown
    assert escaped(shown) == shown


def test_every_character_is_shown_or_escaped() -> None:
    letters = [chr(code) for code in range(0x3000)] + ["\U0001f469", "\udcff"]
    for letter in letters:
        shown = escaped(f"a{letter}b")
        assert (shown == f"a{letter}b") != is_unprintable(letter)
        assert not any(map(is_unprintable, shown))
        assert escaped(letter, keep=letter) == letter
    assert escaped("".join(letters)) == "".join(map(escaped, letters))


def test_line_breaks_of_a_page_stay() -> None:
    assert escaped("a\nb\x1b\u2066", keep="\n") == "a\nb\\x1b\\u2066"
