"""Warn of labels that seem to be written in two codes, as `0`, `1`, `cat`, `dog`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from graft.components.ingestion.sources.source import some_of

_NUMBER = re.compile(r"[-+]?\d+([.,]0+)?")
_NUMBERED = re.compile(r"(?P<start>[^\W\d_]+[-_ ]?)(?P<number>\d+)")
# As `0: cat`, `0_cat` and `n01440764 tench`.
_ID_AND_NAME = re.compile(r"(\d+|n\d{8})(?:\s*[:=._-]\s*|\s+)([^\W\d_].*)")
_WORDS_FOR_NO_OR_YES = (
    ("no", "yes"),
    ("n", "y"),
    ("false", "true"),
    ("f", "t"),
    ("negative", "positive"),
    ("neg", "pos"),
    ("off", "on"),
    ("absent", "present"),
    ("-", "+"),
    ("nein", "ja"),
    ("nej", "ja"),
    ("nee", "ja"),
    ("nei", "ja"),
    ("non", "oui"),
    ("no", "si"),
    ("no", "sí"),
    ("no", "sì"),
    ("não", "sim"),
    ("nie", "tak"),
    ("нет", "да"),
)
_NO_OR_YES = frozenset(word for pair in _WORDS_FOR_NO_OR_YES for word in pair)
# Beside numbers, these are one class of their own.
_REST = frozenset(
    "other others none unknown background noise empty blank misc rest nothing clutter "
    "negative distractor".split()
)
_FEWEST = 2


def warn_of_two_codes(counts: Mapping[str, int]) -> list[str]:
    """Return a warning about classes that seem to be named twice, or none.

    A column that two programs wrote has `1` and `0` in some lines, and `TRUE` and
    `FALSE` in others.

    Args:
        counts: Class name to its number of images.
    """
    for first, second in _codes(counts):
        return [
            "The labels seem to be written in two codes: "
            f"{some_of(first, counts)} and {some_of(second, counts)}. One thing would "
            "be two classes then: write one code. If each is a class of its own, "
            "nothing is to be done."
        ]
    return []


def _codes(names: Collection[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the names in two codes."""
    ordered = sorted(names)
    plain = {name: name.strip().casefold() for name in ordered}
    numbers = [name for name in ordered if _NUMBER.fullmatch(plain[name])]
    words = [name for name in ordered if name not in numbers]
    if _are_codes_of_one(numbers, words, plain):
        yield numbers, words
    pairs = [
        [name for name in ordered if plain[name] in pair]
        for pair in _WORDS_FOR_NO_OR_YES
    ]
    whole = [found for found in pairs if len(found) > 1]
    if len(whole) >= _FEWEST:
        yield whole[0], whole[1]
    yield from _words_of_one_side(ordered, plain)
    named = _with_their_ids(ordered, plain)
    if named:
        yield [*named], [*named.values()]
    short = _short_forms(words, plain)
    if len(short) >= _FEWEST and len(short) * 2 == len(words):
        yield [*short], [*short.values()]


def _are_codes_of_one(
    numbers: list[str], words: list[str], plain: Mapping[str, str]
) -> bool:
    """Tell whether numbers and words may name the same things.

    Letters beside digits are written signs, and a word such as `other` is a class of
    its own.
    """
    if not (numbers and words):
        return False
    texts = {plain[name] for name in words}
    if {plain[name] for name in numbers} <= {"0", "1"} and texts <= _NO_OR_YES:
        return True
    if len(_numbered(texts) & {plain[name] for name in numbers}) >= _FEWEST:
        return True
    if any(any(map(str.isdigit, text)) for text in texts):
        return False  # such as `10+` and `3-5`
    return any(len(text) > 1 for text in texts) and not texts <= _REST


def _words_of_one_side(
    ordered: list[str], plain: Mapping[str, str]
) -> Iterator[tuple[list[str], list[str]]]:
    """Yield two words for yes, or for no, if all names are such words: `yes`, `Y`."""
    if not {plain[name] for name in ordered} <= _NO_OR_YES:
        return
    for side in (0, 1):
        same = {pair[side] for pair in _WORDS_FOR_NO_OR_YES}
        found = [name for name in ordered if plain[name] in same]
        if len({plain[name] for name in found}) >= _FEWEST:
            yield found[:1], found[1:]
            return


def _with_their_ids(ordered: list[str], plain: Mapping[str, str]) -> dict[str, str]:
    """Return names that another one has beside a number: `cat` or `0` of `0: cat`."""
    known = {text: name for name, text in plain.items()}
    found = {}
    for name in ordered:
        match = _ID_AND_NAME.fullmatch(plain[name])
        for part in match.groups() if match else ():
            if part in known:
                found[known[part]] = name
    return found


def _numbered(texts: Collection[str]) -> set[str]:
    """Return the numbers of names such as `class_0`, `class_1`; none of others."""
    matches = [_NUMBERED.fullmatch(text) for text in texts]
    starts = {match["start"] if match else None for match in matches}
    if len(starts) > 1 or None in starts:
        return set()
    return {match["number"] for match in matches if match}


def _short_forms(words: list[str], plain: Mapping[str, str]) -> dict[str, str]:
    """Return the names that begin exactly one other name: `m` of `male`."""
    found: dict[str, str] = {}
    for name in words:
        longer = [w for w in words if w != name and plain[w].startswith(plain[name])]
        if len(longer) == 1:
            found[name] = longer[0]
    is_paired = len(set(found.values())) == len(found)
    are_short = all(len(name) <= len(found[name]) / 2 for name in found)
    is_apart = found.keys().isdisjoint(found.values())
    return found if is_paired and are_short and is_apart else {}
