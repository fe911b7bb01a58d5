"""Warn of a class folder whose images are unlike those of all other classes.

Programs and people put folders beside classes under any name. Their number, names of
another kind, another format or depth say so where the folder's name does not.
"""

from __future__ import annotations

import dataclasses
import os
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from graft.components.ingestion.copies.shared_names import stems_in
from graft.components.ingestion.names.class_levels import option_of_pattern
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.name_patterns import NameParts, pattern_without
from graft.components.ingestion.names.object_exports import class_folders
from graft.components.ingestion.names.stray_names import is_called_by_program
from graft.components.ingestion.sources.layout_answers import (
    FolderLayout,
    settings_as_arguments,
)
from graft.components.ingestion.sources.source import some_of
from graft.contract.counts import agree, counted

_FEWEST_OTHERS = 2
_ENOUGH_OTHERS = 4
_FEWEST_OF_KIND = 5
_TIMES = 3
_FEWEST_REASONS = 2
_SHARE_ALIKE = 0.8
_NUMBER = re.compile(r"\d+")
_TOKEN = re.compile(r"[^\W_]+")
_SHORTEST_HASH = 8


def with_warning_of_unlike(root: Folder, layout: FolderLayout) -> FolderLayout:
    """Add a warning to a layout about class folders that are unlike all others."""
    classes = _joined(class_folders(root, layout))
    reasons = {
        each.name: found
        for each in classes
        if (found := _reasons(each, [other for other in classes if other is not each]))
    }
    if not reasons or len(classes) - len(reasons) < _FEWEST_OTHERS:
        return layout
    number = len(reasons)
    pattern = pattern_without(NameParts(tops=set(reasons)))
    options = list(option_of_pattern(root, layout.split_folders, pattern, ""))
    how = "".join(
        f" `{settings_as_arguments(option, root.path)}` leaves "
        f"{agree(number, 'it', 'them')} aside."
        for option in options[:1]
    )
    shown = "; ".join(f"{name!r} has {text}" for name, text in [*reasons.items()][:3])
    warning = (
        f"{agree(number, 'The folder', 'The folders')} {some_of(sorted(reasons))} "
        f"{agree(number, 'is read as a class', 'are read as classes')}, but "
        f"{agree(number, 'is', 'are')} unlike the others: {shown}.{how}"
    )
    return dataclasses.replace(layout, warnings=(*layout.warnings, warning))


class _Class(NamedTuple):
    """What is known of a class, from its folders in all splits."""

    name: str
    total: int
    kinds: Counter[str]
    whole_kinds: Counter[str]  # of names with the class's name as it is
    formats: Counter[str]
    is_flat: bool
    example: str
    is_of_program: bool


def _joined(folders: Sequence[Folder]) -> list[_Class]:
    by_name: dict[str, list[Folder]] = {}
    for folder in folders:
        by_name.setdefault(folder.name, []).append(folder)
    return [_class_of(name, each) for name, each in by_name.items()]


def _class_of(name: str, folders: Sequence[Folder]) -> _Class:
    stems = [stem for folder in folders for stem in stems_in(folder)]
    formats = Counter(map(_format_of, _names_in(folders)))
    charts = sum(map(is_called_by_program, stems))
    return _Class(
        name,
        len(stems),
        Counter(_kind_of(stem, name) for stem in stems),
        Counter(_kind_of(stem, "") for stem in stems),
        formats,
        all(folder.is_flat for folder in folders),
        next(_names_in(folders)),
        2 * charts > len(stems),
    )


def _names_in(folders: Sequence[Folder]) -> Iterator[str]:
    for folder in folders:
        for each in folder.walk():
            yield from each.images


def _format_of(name: str) -> str:
    extension = os.path.splitext(name)[1].casefold()
    return ".jpg" if extension in (".jpeg", ".jpe", ".jfif") else extension


def _kind_of(stem: str, class_name: str) -> str:
    """Return how a name is made: any number, hash, letter and class name is one."""
    folded = stem.casefold()
    if class_name and not class_name.isdigit():  # the class 1 is in most names
        folded = folded.replace(class_name.casefold(), "=")
    return _TOKEN.sub(lambda match: _kind_of_token(match[0]), folded)


def _kind_of_token(token: str) -> str:
    is_mixed = not token.isalpha() and not token.isdigit()
    if is_mixed and len(token) >= _SHORTEST_HASH and len(_NUMBER.findall(token)) > 1:
        return "hash"
    return "a" if len(token) == 1 and token.isalpha() else _NUMBER.sub("0", token)


def _reasons(each: _Class, others: Sequence[_Class]) -> str:
    """Return in what a class is unlike all others, if in enough; otherwise ""."""
    if len(others) < _FEWEST_OTHERS:
        return ""
    reasons = []
    usual = int(statistics.median(other.total for other in others))
    if each.total * _TIMES <= usual or each.total >= _TIMES * usual:
        reasons.append(f"{counted(each.total, 'image')} beside {usual:,}")
    other = others[0]
    are_named_apart = _is_unlike(
        each.kinds, [other.kinds for other in others]
    ) and _common(other.whole_kinds for other in others).isdisjoint(each.whole_kinds)
    if are_named_apart:
        reasons.append(f"names such as {each.example!r} beside {other.example!r}")
    if _is_unlike(each.formats, [other.formats for other in others]):
        (usual_format, _), *_ = other.formats.most_common(1)
        reasons.append(f"{some_of(sorted(each.formats))} files beside {usual_format!r}")
    if not each.is_flat and all(other.is_flat for other in others):
        reasons.append("folders of its own")
    is_enough = len(reasons) >= _FEWEST_REASONS or each.is_of_program
    # Names of many kinds, such as short hashes, differ by chance.
    are_of_one_kind = len(each.kinds) * _FEWEST_OF_KIND <= each.total
    is_apart = are_named_apart and are_of_one_kind and len(others) >= _ENOUGH_OTHERS
    if is_enough or is_apart:
        return ", ".join(reasons)
    return ""


def _is_unlike(own: Counter[str], others: Sequence[Counter[str]]) -> bool:
    """Tell whether a class has nothing that most of the others share."""
    common = _common(others)
    alike = sum(each[key] for each in others for key in common)
    total = sum(each.total() for each in others)
    return alike >= _SHARE_ALIKE * total and common.isdisjoint(own)


def _common(counts: Iterable[Counter[str]]) -> set[str]:
    """Return what several classes have."""
    classes_with = Counter(key for each in counts for key in each)
    return {key for key, number in classes_with.items() if number > 1}
