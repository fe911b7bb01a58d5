"""Find splits at any place in the names of class folders, such as `cat[train]`.

`split_class_names` knows names that begin or end with the split. Here the word of the
split may stand in brackets, between other words, or beside a class without a space, as
in Chinese. One class in several splits is the evidence: what is left of the names
without the word is equal.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from graft.components.ingestion.names.split_words import (
    ROLE_OF_ABBREVIATION,
    ROLE_OF_WORD,
    without_accents,
)

_WORD = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![^\W\d_A-Z])|[^\W\d_]")
_NOT_LETTERS = re.compile(r"[\W\d_]+")
_JOINED = sorted(
    (word for word in ROLE_OF_WORD if not word.isascii() and len(word) > 1),
    key=len,
    reverse=True,
)
"""Words that may stand beside another one without a space, the longest first."""


class SplitInside(NamedTuple):
    """A name in three parts: what stands before the split's word, it, and the rest."""

    before: str
    split: str
    after: str

    @property
    def role(self) -> str:
        """The split's role, `train` for instance."""
        word = without_accents(self.split).casefold()
        return ROLE_OF_WORD.get(word) or ROLE_OF_ABBREVIATION[word]

    @property
    def rest(self) -> str:
        """The letters of the name without the split, to compare names by."""
        return letters_of(f"{self.before} {self.after}")


def find_splits_inside(names: Collection[str]) -> dict[str, SplitInside]:
    """Return the parts of names if one class stands in several splits, else nothing.

    Abbreviations count only if every name has a split: `tr` is Turkish, too.
    """
    words = ROLE_OF_WORD
    for known in (words, words | ROLE_OF_ABBREVIATION):
        found = {name: part for name in names if (part := _part(name, known))}
        if known is not words and len(found) < len(names):
            break
        roles: dict[str, set[str]] = defaultdict(set)
        for part in found.values():
            roles[part.rest].add(part.role)
        for name in set(names) - found.keys():
            roles[letters_of(name)].add("")
        # One rest alone says nothing, as `data` of `data for training`.
        if len(roles) > 1 and any(
            rest and len(several) > 1 for rest, several in roles.items()
        ):
            return found
    return {}


def pattern_of(names: Sequence[str], found: Mapping[str, SplitInside]) -> str | None:
    """Return a regular expression of the groups `class` and `split`, if one reads all.

    Args:
        names: The names of all folders.
        found: Result of `find_splits_inside`.
    """
    if len(found) < len(names):
        return None
    parts = list(found.values())
    splits = "|".join(sorted({re.escape(part.split) for part in parts}))
    starts, ends = {each.before for each in parts}, {each.after for each in parts}
    split = f"(?P<split>{splits})"
    if len(ends) == 1:
        start, end = _around(starts)
        return f"{start}(?P<class>[^/]+?){end}{split}{re.escape(ends.pop())}/.+"
    if len(starts) == 1:
        start, end = _around(ends)
        return f"{re.escape(starts.pop())}{split}{start}(?P<class>[^/]+?){end}/.+"
    return None


def _around(texts: Collection[str]) -> tuple[str, str]:
    """Return what all texts begin and end with, escaped, without parts of words."""
    start = _common_start(list(texts))
    end = _common_start([text[::-1] for text in texts])
    return re.escape(start), re.escape(end[::-1])


def _common_start(texts: Sequence[str]) -> str:
    """Return the longest common start that ends between words."""
    columns = zip(*texts, strict=False)
    length = sum(1 for _ in itertools.takewhile(lambda c: len(set(c)) == 1, columns))
    return re.sub(r"[^\W\d_]+$", "", texts[0][:length])


def _part(name: str, known: Mapping[str, str]) -> SplitInside | None:
    """Return the parts of a name with the word of one split, or None."""
    name = unicodedata.normalize("NFC", name)
    found = _span(name, known)
    if found is None:
        return None
    start, end = found
    part = SplitInside(name[:start], name[start:end], name[end:])
    return part if part.rest else None


def _span(name: str, known: Mapping[str, str]) -> tuple[int, int] | None:
    """Return where the word of a split stands in a name, if it is one."""
    spans = [
        word.span()
        for word in _WORD.finditer(name)
        if without_accents(word[0]).casefold() in known
    ]
    if not spans:
        spans = next(
            ([match.span()] for word in _JOINED if (match := re.search(word, name))),
            [],
        )
    return spans[0] if len(spans) == 1 else None


def letters_of(text: str) -> str:
    """Return the words of a text in small letters, without numbers and marks."""
    return _NOT_LETTERS.sub(" ", text).strip().casefold()


def split_inside(name: str) -> SplitInside | None:
    """Return the parts of a name with the word of one split; the rest may be empty."""
    found = _span(name, ROLE_OF_WORD)
    if found is None:
        return None
    start, end = found
    return SplitInside(name[:start], name[start:end], name[end:])


def pattern_of_splits(parts: Sequence[SplitInside]) -> str:
    """Return a regular expression of names that hold splits, with a group `split`."""
    words = sorted(
        {re.escape(part.split) for part in parts}, key=lambda w: (-len(w), w)
    )
    start, end = (
        f"(?:{'|'.join(sorted(map(re.escape, texts)))})" if texts != {""} else ""
        for texts in ({part.before for part in parts}, {part.after for part in parts})
    )
    return f"{start}(?P<split>{'|'.join(words)}){end}"
