"""Any printable text is a class name, with the same bytes from every source."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.contract.class_name import INVISIBLE, class_name_of
from graft.contract.label_map import LabelMap

PRINTABLE = {
    "emoji with joiners": "👩‍🔬 family 👨‍👩‍👧",
    "flag of tags": "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "heart with selector": "❤️",
    "Persian": "می‌خواهم",
    "Hindi": "क्‍ष",
    "Hebrew with a mark": "שלום\u200f",
    "quotes": '"it\'s"',
    "slashes": "a/b\\c",
    "comma": "Apple, scab",
    "leading dot": ".net",
    "inner no-break space": "a\xa0b",
    "very long": "x" * 5000,
    "number": "007",
    "Arabic sign": "\u06dd",
}


@pytest.mark.parametrize("name", PRINTABLE.values(), ids=PRINTABLE)
def test_printable_names_stay_as_they_are(name: str) -> None:
    assert class_name_of(name) == name
    assert LabelMap.from_text(LabelMap((name,)).to_text()).class_names == (name,)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (unicodedata.normalize("NFD", "café"), "café"),
        ("\tcat \n", "cat"),
        ("\xa0cat\u3000", "cat"),
        ("한", "한"),
    ],
    ids=["decomposed", "white space", "other white space", "Hangul"],
)
def test_names_are_composed_and_stripped(text: str, name: str) -> None:
    assert class_name_of(text) == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is blank"),
        (" \t", "it is blank"),
        ("\u200b\u200d", "all of its characters are invisible"),
        ("\u200b \u200b", "all of its characters are invisible"),
        ("\u3164", "all of its characters are invisible"),
        ("a\nb", r"control character or line break '\\n'"),
        ("a\rb", r"'\\r'"),
        ("a\x00b", r"'\\x00'"),
        ("a\x7fb", r"'\\x7f'"),
        ("a\u2028b", r"'\\u2028'"),
        ("a\x85b", r"'\\x85'"),
        ("a\udcffb", "not UTF-8 text"),
    ],
)
def test_what_is_no_name_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        class_name_of(text)
    with pytest.raises(ValueError, match="each must be one line"):
        LabelMap((text,))


@given(st.text())
def test_a_name_stands_for_itself(text: str) -> None:
    try:
        name = class_name_of(text)
    except ValueError:
        return
    assert class_name_of(name) == name
    # Composed and decomposed forms.
    assert class_name_of(unicodedata.normalize("NFD", name)) == name
    # The readers of the label map may cut at any line break.
    assert name.splitlines() == [name]
    assert LabelMap.from_text(LabelMap((name,)).to_text()).class_names == (name,)


def test_invisible_characters_are_no_white_space() -> None:
    assert not [letter for letter in INVISIBLE if letter.isspace()]
