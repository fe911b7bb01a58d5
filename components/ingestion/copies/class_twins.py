"""Find classes that have a twin, such as `cat_new` and `dog_new`.

The twins may be other versions of the same images. They may be classes as well, as
`bad_apple` is beside `apple`.
"""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Collection, Iterator

from graft.components.ingestion.copies.copy_names import is_named_after_copies
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.sources.layout_answers import FolderLayout
from graft.components.ingestion.sources.source import some_of

_FEWEST_TWINS = 2
_LAST_WORD = re.compile(r"(?P<word>.*[^\W_])[-_. ](?P<end>[^\W_]+)", re.DOTALL)
_NUMBERED = re.compile(r"(?P<word>.*[^\W\d_])[-_. ]?(?P<number>\d{1,3})", re.DOTALL)


def twins_of(names: Collection[str]) -> dict[str, str]:
    """Return the class by its twin, if most classes have one with the same addition.

    Args:
        names: The names of all class folders.
    """
    known = set(names)
    if any(name.isdigit() for name in known):  # `10` is no twin of `0`
        return {}
    twins_by_addition: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for name in known:
        for addition, other in _additions(name, known):
            twins_by_addition[addition][name] = other
    for twins in twins_by_addition.values():
        others = known - twins.keys()
        are_most = len(twins) >= _FEWEST_TWINS and 2 * len(twins) > len(others)
        if are_most and twins.keys().isdisjoint(twins.values()):
            return twins
    return {}


def numbered_twins(names: Collection[str]) -> list[str]:
    """Return the classes, if all are the same words with the numbers 1, 2 and so on.

    As `cat1`, `cat2`, `dog1` and `dog2`, from 0 or 1 for each word.

    Args:
        names: The names of all class folders.
    """
    numbers: dict[str, set[int]] = defaultdict(set)
    for name in names:
        match = _NUMBERED.fullmatch(name)
        if match is None:
            return []
        numbers[match["word"].casefold()].add(int(match["number"]))
    first, *others = numbers.values()
    are_same = len(first) >= _FEWEST_TWINS and all(each == first for each in others)
    counts = min(first) <= 1 and max(first) - min(first) + 1 == len(first)
    return sorted(names) if others and are_same and counts else []


def versions_of_all(names: Collection[str]) -> list[str]:
    """Return the classes, if all are the same words with the same words of copies.

    As `cat_rgb`, `cat_depth`, `dog_rgb` and `dog_depth`.

    Args:
        names: The names of all class folders.
    """
    ends: dict[str, set[str]] = defaultdict(set)
    for name in names:
        match = _LAST_WORD.fullmatch(name)
        if match is None or not is_named_after_copies(match["end"]):
            return []
        ends[match["word"].casefold()].add(match["end"].casefold())
    first, *others = ends.values()
    are_same = len(first) >= _FEWEST_TWINS and all(each == first for each in others)
    return sorted(names) if others and are_same else []


def _additions(
    name: str, known: Collection[str]
) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield what a name has before or behind that of another class, and that class."""
    for cut in range(1, len(name)):
        start, end = name[:cut], name[cut:]
        # `class_11` is no twin of `class_1`.
        if start in known and not (end.isdigit() and start[-1].isdigit()):
            yield ("", end), start
        if end in known:
            yield (start, ""), end


def with_warning_of_twins(root: Folder, layout: FolderLayout) -> FolderLayout:
    """Add a warning to a layout whose classes differ by one addition or a number."""
    above = [
        folder
        for paths in layout.split_folders.values()
        for path in paths
        if (folder := root.child_at(path)) and not folder.is_flat
    ] or [root]
    names = {top.name for folder in above for top in folder.filled}
    twins = twins_of(names)
    numbered = numbered_twins(names)
    found = numbered or versions_of_all(names)
    if found:
        what = "parts of the data" if numbered else "versions of the same images"
        warning = (
            f"The classes are the same words with the same "
            f"{'numbers' if numbered else 'ends'}: {some_of(found)}. They are read as "
            f"classes. If these are {what}, merge the folders of each word, or leave "
            "some out."
        )
        return dataclasses.replace(layout, warnings=(*layout.warnings, warning))
    if not twins:
        return layout
    are_all = 2 * len(twins) == len(names)
    each = (
        "Each class has a second one" if are_all else "Most classes have a second one"
    )
    warning = (
        f"{each} with the same addition to its name: "
        f"{some_of(sorted(twins))} beside {some_of(sorted(twins.values()))}. They are "
        "read as classes. If they hold other versions of the same images, or more "
        "images of the same classes, merge them, or leave one of each two out."
    )
    return dataclasses.replace(layout, warnings=(*layout.warnings, warning))
