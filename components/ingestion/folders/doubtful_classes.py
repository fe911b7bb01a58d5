"""Warn of classes with names of splits, dates or cameras."""

from __future__ import annotations

import re
from collections.abc import Set

from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import is_origin, role_of, words_of
from graft.components.ingestion.sources.source import some_of
from graft.components.ingestion.sources.splitting import TEST_ROLE, VALIDATION_ROLE
from graft.contract.counts import agree

_NEGATIVE = re.compile(r"[-\u2212]\d+")
_WHOLE = re.compile(r"[-\u2212]?\d+")


def warn_of_doubtful_classes(tops: list[Folder]) -> tuple[str, ...]:
    """Return the warnings about classes whose names may not be those of classes."""
    return (*_warn_of_roles(tops), *_warn_of_origins(tops), *_warn_of_missing(tops))


def _warn_of_missing(tops: list[Folder]) -> tuple[str, ...]:
    """Warn of `-1`, which data sets write where a label is unknown."""
    names = [top.name for top in tops if _NEGATIVE.fullmatch(top.name)]
    if not names or not all(_WHOLE.fullmatch(top.name) for top in tops):
        return ()
    return (
        f"The folder {some_of(names)} is read as a class. If it stands for an unknown "
        "label, move it out of the data.",
    )


def _warn_of_origins(tops: list[Folder]) -> tuple[str, ...]:
    names = [top.name for top in tops if is_origin(top.name)]
    if not names:
        return ()
    number = len(names)
    return (
        f"{agree(number, 'The folder', 'The folders')} {some_of(names)} "
        f"{agree(number, 'is', 'are')} called after a date, a camera or a part, but "
        f"{agree(number, 'is read as a class', 'are read as classes')}. If "
        f"{agree(number, 'it is no class', 'they are no classes')}, move "
        f"{agree(number, 'it', 'them')} out of the data.",
    )


def _warn_of_roles(tops: list[Folder]) -> tuple[str, ...]:
    # A word in all names counts as neutral: `healthy cases` beside `test cases`.
    shared = frozenset[str].intersection(*(words_of(top.name) for top in tops))
    names = [
        top.name for top in tops if role_of(top.name) or _is_set_of(top.name, shared)
    ]
    if not names:
        return ()
    return (
        f"The folder {some_of(names)} has the name of a split, but is read as a class, "
        "because the folders beside it are not splits. If it is not a class, move it "
        "out of the data.",
    )


def _is_set_of(name: str, shared: Set[str]) -> bool:
    """Tell whether a name has the role of a test set and words of all folders.

    A train is a thing, too, as in `train station` beside `bus station`.
    """
    return role_of(" ".join(words_of(name) - shared)) in (TEST_ROLE, VALIDATION_ROLE)
