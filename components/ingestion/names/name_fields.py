"""Patterns of the fields in names such as `25_0_3_20170112` and `KA.AN1.39`.

Nobody but the owner knows which field is the class.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from graft.components.ingestion.names.copy_marks import COPY_WORDS
from graft.components.ingestion.names.folder_names import role_of, roles_of
from graft.components.ingestion.sources.splitting import TRAIN_ROLE

_SEPARATORS = "_-."
_LETTERS = re.compile(r"(?P<letters>[^\W\d_]+)\d+")
_SIDES = frozenset("left right front back top bottom rgb depth l r".split())
_FEWEST_FIELDS = 3
_FEWEST_VALUES = 2
_MOST_CLASSES = 3


class FieldPattern(NamedTuple):
    """A way to read the class from one field.

    Attributes:
        pattern: A `class_pattern`, which reads the split, too, if a field says it.
        place: Which field is the class, such as `part 2 of 4`.
    """

    pattern: str
    place: str


def field_patterns(stems: Sequence[str]) -> list[FieldPattern]:
    """Return the patterns that read the class from single fields of names.

    All names must have the same number of fields, three or more. The last one, if it
    is a number, counts the images. If a field says the split, one other field is
    enough. Without, fields whose values go together, as `Great` and `Dane` do, are one
    name, which is none of these.

    Args:
        stems: The names, without extension.
    """
    for separator in _SEPARATORS:
        rows = [stem.split(separator) for stem in stems]
        lengths = {len(row) for row in rows}
        if len(lengths) == 1 and min(lengths) >= _FEWEST_FIELDS:
            found = [*_patterns_of([*zip(*rows, strict=True)], separator)]
            if found:
                return found
    return []


def _patterns_of(
    columns: Sequence[Sequence[str]], separator: str
) -> Iterator[FieldPattern]:
    splits = [
        position for position, values in enumerate(columns) if _are_splits(values)
    ]
    classes = [
        position
        for position, values in enumerate(columns)
        if position not in splits and _may_be_classes(values, position, columns)
    ]
    with_letters = [n for n in classes if not all(map(str.isdigit, columns[n]))]
    classes = with_letters or classes  # beside words, numbers count
    if not splits and (len(classes) < 2 or _go_together([columns[n] for n in classes])):
        return
    # A slash, even among letters that don't match, would mean the whole path.
    between = r"\." if separator == "." else separator
    for position in classes[:_MOST_CLASSES]:
        groups = [
            _group_of(
                values, separator, is_class=n == position, is_split=n in splits[:1]
            )
            for n, values in enumerate(columns)
        ]
        yield FieldPattern(
            between.join(groups), f"part {position + 1} of {len(columns)}"
        )


def _are_splits(values: Sequence[str]) -> bool:
    roles = set(roles_of(set(values)).values())
    return len(roles) > 1 and TRAIN_ROLE in roles and all(map(role_of, set(values)))


def _may_be_classes(
    values: Sequence[str], position: int, columns: Sequence[Sequence[str]]
) -> bool:
    """Tell whether a field holds several values, each several times."""
    distinct = {value.casefold() for value in map(_letters_of, values)}
    is_counter = position == len(columns) - 1 and all(map(str.isdigit, values))
    return (
        not is_counter
        and "" not in distinct
        and len(distinct) >= _FEWEST_VALUES
        and 2 * len(distinct) <= len(values)
        and not distinct <= _SIDES | COPY_WORDS
    )


def _go_together(columns: Sequence[Sequence[str]]) -> bool:
    """Tell whether the values of several fields always occur together."""
    rows = set(zip(*columns, strict=True))
    return len(rows) <= max(len(set(values)) for values in columns)


def _letters_of(value: str) -> str:
    """Return a value without the number behind its letters: `AN` of `AN1`."""
    match = _LETTERS.fullmatch(value)
    return match["letters"] if match else value


def _group_of(
    values: Sequence[str], separator: str, *, is_class: bool, is_split: bool
) -> str:
    """Return the pattern of a field."""
    distinct = sorted(set(values))
    if is_split:
        return f"(?P<split>{'|'.join(map(re.escape, distinct))})"
    if is_class:
        if all(map(_LETTERS.fullmatch, distinct)):
            return r"(?P<class>[^\W\d_]+)\d+"
        return rf"(?P<class>[^{separator}]+)"
    return re.escape(distinct[0]) if len(distinct) == 1 else rf"[^{separator}]*"
