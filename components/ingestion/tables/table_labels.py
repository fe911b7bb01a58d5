"""Choose the column of a table that holds the labels, if graft can read it so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from graft.components.ingestion.names.labels_of_other_things import require_classes
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.labels import (
    several_labels,
    shown,
    text_of_cell,
)
from graft.components.ingestion.sources.source import some_of
from graft.components.ingestion.sources.splitting import ROLE_OF_NAME
from graft.components.ingestion.sources.tag_sets import require_no_tag_sets
from graft.components.ingestion.tables.column_names import (
    is_label_column,
    never_holds_the_class,
)
from graft.components.ingestion.tables.label_tables import LocatedTable
from graft.components.ingestion.tables.manifest_columns import flag_columns
from graft.contract.errors import DataError

_BRACKETS = re.compile(r"[\[\](),;]")
_NUMBER = r"-?\d+(?:\.\d+)?"
# Boxes as Kaggle writes them, `n01440764 13 20 90 120`, and run lengths of masks.
_BOXES = re.compile(
    rf"(?:(?!{_NUMBER}\s)\S+\s+)?(?:{_NUMBER}\s+){{3,}}{_NUMBER}(?:\s.*)?"
)
_PLAIN_NUMBER = re.compile(_NUMBER)
_SURE_NAMES = frozenset("label labels class classes class_name classname".split())
_FEWEST_ROWS = 10
_SPLIT = "split"


class LabelChoice(NamedTuple):
    """The column of the labels.

    Attributes:
        column: Its name; None if no column can be read as labels.
        others: All columns that may be meant, if it is a guess.
        reason: Why there is none, as a sentence about the table, or "".
    """

    column: str | None
    others: Sequence[str] = ()
    reason: str = ""


def choose_labels(located: LocatedTable) -> LabelChoice:
    """Return the column of a table's labels, so that ingestion can read them.

    Args:
        located: The table.
    """
    plain = located.label_column()
    if plain is not None:
        reason = _why_not(located, plain)
        others = () if reason else _other_labels(located, plain)
        return LabelChoice(None if reason else plain, others, reason)
    splits = located.split_columns
    candidates = [name for name in located.others if name not in splits]
    likely = [
        name
        for name in candidates
        if not never_holds_the_class(name) and _repeats(located, name)
    ]
    reasons = {name: _why_not(located, name) for name in likely or candidates}
    readable = [name for name, reason in reasons.items() if not reason]
    if readable:
        return LabelChoice(readable[0], readable if len(readable) > 1 else ())
    reason = next(iter(reasons.values()), "") if likely else ""
    return LabelChoice(None, (), _about_flags(located) or reason)


def _other_labels(located: LocatedTable, plain: str) -> Sequence[str]:
    """Return all columns that may be meant, if another one than the known may be.

    Args:
        located: The table.
        plain: The column that is known by its name.
    """
    is_sure = plain.casefold() in _SURE_NAMES
    splits = located.split_columns
    found = [
        name
        for name in located.others
        if name == plain
        or (
            name
            and name not in splits
            and (is_label_column(name) or not (is_sure or _is_number(located, name)))
            and not never_holds_the_class(name)
            and _repeats(located, name)
            and not _why_not(located, name)
        )
    ]
    return found if len(found) > 1 else ()


def _is_number(located: LocatedTable, name: str) -> bool:
    return all(map(_PLAIN_NUMBER.fullmatch, located.table.column(name)))


def _repeats(located: LocatedTable, name: str) -> bool:
    """Tell whether a column holds several values, and some of them again."""
    values = located.table.column(name)
    distinct = len(set(values))
    is_measure = len(values) >= _FEWEST_ROWS and distinct * 2 > len(values)
    return distinct > 1 and not is_measure


def _about_flags(located: LocatedTable) -> str:
    """Say how to read columns of 1 and -1, one label each; "" for others."""
    names = flag_columns(located.table.columns, located.table.rows).names
    if not names:
        return ""
    return (
        f"The columns {some_of(names)} of {located.table.name!r} hold 1 and -1, one "
        "label each, and graft learns one class for each image. Add a column label "
        "with names by one of them, such as 'no' for -1 and 'yes' for 1."
    )


def _why_not(located: LocatedTable, name: str) -> str:
    """Say why the values of a column can't be read as labels, or ""."""
    table = located.table
    values = table.column(name)
    start = f"{table.name!r} can't be read by its column {name!r}: "
    boxes = [value for value in values if _is_of_boxes(value)]
    if len(boxes) * 2 > len(values):
        return (
            f"{start}it holds boxes or masks of objects, such as {shown(boxes[0])}. "
            "graft learns one class for each image: write it into a column label."
        )
    for row, value in enumerate(values, start=2):
        try:
            text_of_cell(value)
        except ValueError as error:
            return f"{start}in line {row} it {error}. Received: {shown(value)}."
    if len(set(values)) == len(values) >= _FEWEST_ROWS and table.is_whole:
        return f"{start}each of its {len(values)} values is another one."
    return _about_several(located, name, start) or _about_split(located, start)


def _about_split(located: LocatedTable, start: str) -> str:
    """Say which value of the column `split` is no split, or ""."""
    column = split_column_of(located)
    if column is None:
        return ""
    for row, value in enumerate(located.table.column(column), start=2):
        if value and value.lower() not in ROLE_OF_NAME:
            return (
                f"{start}in line {row} the column {column!r} must be 'train', 'val', "
                f"'test' or blank. Received: {shown(value)}."
            )
    return ""


def split_column_of(located: LocatedTable) -> str | None:
    """Return the column called `split`, in any case; None if there is none."""
    names = [name for name in located.others if name.casefold() == _SPLIT]
    return names[0] if names else None


def _about_several(located: LocatedTable, name: str, start: str) -> str:
    """Say which values are several labels of an image, or ""."""
    values = located.table.column(name)
    known = set(values)
    joined = next((value for value in values if several_labels(value, known)), None)
    if joined is not None:
        return f"{start}{shown(joined)} joins several labels, and an image has one."
    try:
        require_classes(dict.fromkeys(values, start), DataConfig(path="."))
        require_no_tag_sets(dict.fromkeys(values, start), DataConfig(path="."))
    except DataError as error:
        return str(error).replace(f"{start}: ", start)
    images = located.table.column(located.image_column or name)
    label_of: dict[str, str] = {}
    for image, value in zip(images, values, strict=True):
        if label_of.setdefault(image, value) != value:
            return (
                f"{start}{image!r} has two labels, {shown(label_of[image])} and "
                f"{shown(value)}, and an image has one. Delete one of the lines."
            )
    return ""


def _is_of_boxes(value: str) -> bool:
    return bool(_BOXES.fullmatch(_BRACKETS.sub(" ", value).strip()))
