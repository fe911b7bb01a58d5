"""Ask about class folders whose names hold a date, a part or an abbreviated split.

`cat_2024-01-01` and `cat_2024-01-02` are one class of two days. `tr_001` and `te_001`
are no classes.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from graft.components.ingestion.folders.layout_options import (
    flat_options,
    read_as_classes,
)
from graft.components.ingestion.names.class_levels import option_of_pattern
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import is_origin
from graft.components.ingestion.names.split_words import ROLE_OF_ABBREVIATION
from graft.components.ingestion.sources.layout_answers import Option, Question
from graft.components.ingestion.sources.source import some_of
from graft.components.ingestion.sources.splitting import TRAIN_ROLE
from graft.components.ingestion.tables.label_tables import Table

# Years alone are models: `Audi S4 2007`, `Audi S4 2012`.
_DATE = r"(?:19|20)\d\d[-_.]?[01]\d[-_.]?[0-3]\d"
_PART = r"[^\W\d_]+[-_. ]?\d+"
_BETWEEN = r"[-_. ]+"
_BEHIND = re.compile(
    rf"(?P<class>.*[^\W_].*?)(?P<source>{_BETWEEN}(?:{_DATE}|{_PART}))", re.DOTALL
)
_BEFORE = re.compile(
    rf"(?P<source>(?:{_DATE}|{_PART}){_BETWEEN})(?P<class>.*[^\W\d_].*)", re.DOTALL
)
_IS_DATE = re.compile(rf"{_BETWEEN}{_DATE}|{_DATE}{_BETWEEN}")
_SEPARATORS = "-_. "
_FEWEST_CLASSES = 2
_MOST_SOURCES = 20


class _Parts(NamedTuple):
    """The class in a folder's name, and where its images come from."""

    class_name: str
    source: str


def ask_about_sources_in_names(
    root: Folder, tops: Sequence[Folder], tables: Sequence[Table]
) -> Question | None:
    """Ask about top folders of one class whose names differ by a date or a part.

    Args:
        root: The data set's folder.
        tops: Its folders that hold images.
        tables: Label tables in the folder.
    """
    names = [top.name for top in tops]
    if _are_numbered_splits(names):
        return Question(
            f"The folders {some_of(names)} seem to be called after abbreviated splits "
            "and a number, and not after classes. Move each image into a folder named "
            "after its class, or give a manifest with the columns path, label and "
            "split.",
            (*flat_options(root, tables), *read_as_classes(root)),
        )
    for expression in (_BEHIND, _BEFORE):
        found = {name: part for name in names if (part := _parts(name, expression))}
        if _are_of_several_sources(found):
            return _question(root, tops, found, is_behind=expression is _BEHIND)
    return None


def _are_numbered_splits(names: Sequence[str]) -> bool:
    words = [re.sub(r"[\W\d_]+", "", name).casefold() for name in names]
    roles = {ROLE_OF_ABBREVIATION.get(word) for word in words}
    has_numbers = all(re.search(r"\d", name) for name in names)
    return None not in roles and len(roles) > 1 and TRAIN_ROLE in roles and has_numbers


def _parts(name: str, expression: re.Pattern[str]) -> _Parts | None:
    match = expression.fullmatch(name)
    if match is None:
        return None
    source = match["source"]
    is_source = _IS_DATE.fullmatch(source) or is_origin(source.strip(_SEPARATORS))
    return _Parts(match["class"], source) if is_source else None


def _are_of_several_sources(found: dict[str, _Parts]) -> bool:
    """Tell whether a class has two dates, or two classes have two parts each."""
    sources: dict[str, set[str]] = defaultdict(set)
    for part in found.values():
        sources[part.class_name.casefold()].add(part.source)
    several = [each for each in sources.values() if len(each) > 1]
    has_dates = any(sum(map(bool, map(_IS_DATE.fullmatch, s))) > 1 for s in several)
    return has_dates or len(several) >= _FEWEST_CLASSES


def _question(
    root: Folder, tops: Sequence[Folder], found: dict[str, _Parts], *, is_behind: bool
) -> Question:
    first = next(iter(sorted(found)))
    part = found[first]
    return Question(
        f"The folders {some_of(sorted(found))} seem to hold the same classes from "
        f"several sources: {part.source.strip(_SEPARATORS)!r} in {first!r} says when "
        "or how its images were taken. As classes of their own, one thing would have "
        "two labels.",
        (*_read_classes(root, tops, found, is_behind), *read_as_classes(root)),
    )


def _read_classes(
    root: Folder, tops: Sequence[Folder], found: dict[str, _Parts], is_behind: bool
) -> Iterator[Option]:
    """Yield the option to read the class without the source, if a pattern can."""
    sources = sorted({re.escape(part.source) for part in found.values()})
    source = "|".join(sources) if len(sources) <= _MOST_SOURCES else _generic(found)
    source = f"(?:{source})"
    source = source if len(found) == len(tops) else f"{source}?"
    pattern = (
        f"(?P<class>[^/]+?){source}/.+" if is_behind else f"{source}(?P<class>[^/]+)/.+"
    )
    classes: Counter[str] = Counter()
    for top in tops:
        match = re.fullmatch(pattern, f"{top.name}/image")
        wanted = found[top.name].class_name if top.name in found else top.name
        if match is None or match["class"] != wanted:
            return
        classes[wanted] += top.total
    if len(classes) >= _FEWEST_CLASSES:
        what = "the name of the folder without its source is the class"
        yield from option_of_pattern(root, {}, pattern, what)


def _generic(found: dict[str, _Parts]) -> str:
    are_dates = all(_IS_DATE.fullmatch(part.source) for part in found.values())
    return _IS_DATE.pattern if are_dates else rf"{_BETWEEN}{_PART}|{_PART}{_BETWEEN}"
