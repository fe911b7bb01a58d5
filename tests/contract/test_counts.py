"""Numbers and their nouns agree."""

from __future__ import annotations

import pytest

from graft.contract.counts import agree, counted


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (1, "image", "1 image"),
        (0, "image", "0 images"),
        (1234, "image", "1,234 images"),
        (2, "rare class", "2 rare classes"),
        (1, "class", "1 class"),
        (2, "copy", "2 copies"),
        (2, "key", "2 keys"),
        (2, "match", "2 matches"),
    ],
)
def test_a_number_and_its_noun(number: int, noun: str, text: str) -> None:
    assert counted(number, noun) == text


@pytest.mark.parametrize(("number", "word"), [(0, "are"), (1, "is"), (2, "are")])
def test_a_word_agrees_with_a_number(number: int, word: str) -> None:
    assert agree(number, "is", "are") == word
