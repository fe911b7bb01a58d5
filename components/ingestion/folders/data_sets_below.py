"""Offer a folder within the data as the data set: `dataset` beside `app` and `docs`.

It may also be one of several versions of a data set, such as `images` and `resized`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from graft.components.ingestion.copies.copy_names import (
    is_named_after_copies,
    is_of_originals,
)
from graft.components.ingestion.copies.shared_names import stems_in, telling_names
from graft.components.ingestion.folders.layout_options import read_below
from graft.components.ingestion.names.class_levels import option_of_pattern
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import (
    is_annotation,
    is_fold,
    role_of,
)
from graft.components.ingestion.names.stray_names import StrayName, stray_name_of
from graft.components.ingestion.sources.layout_answers import (
    FolderLayout,
    Option,
    Question,
)
from graft.components.ingestion.sources.source import some_of

Detect = Callable[[Folder], FolderLayout | Question]

_FEWEST_CLASSES = 2
_MOST_VERSIONS = 4
_MOST_OPTIONS = 4
_SHARE_OF_NAMES = 0.5


class _DataSet(NamedTuple):
    """A top folder that may be a data set of its own.

    Attributes:
        top: The folder.
        options: The configs that read it, with paths from its parent.
        has_splits: Whether it holds split folders.
        is_read: Whether it is read without a question.
    """

    top: Folder
    options: list[Option]
    has_splits: bool
    is_read: bool


def with_data_sets_below(root: Folder, question: Question, detect: Detect) -> Question:
    """Add the options that one of the top folders is the data set.

    Args:
        root: The data set's folder.
        question: What is unclear about it.
        detect: Detects the layout of a folder within it.
    """
    tops = root.filled
    if len(tops) < _FEWEST_CLASSES or all(role_of(top.name) for top in tops):
        return question
    found = [each for top in tops if (each := _data_set_in(top, detect))]
    copies = _copies_of_classes(root)
    if copies:
        return _with_options_without(root, question, copies)
    versions, inner = _versions(found), _versions_in_classes(tops)
    are_inner = any(map(is_named_after_copies, inner)) and not any(
        is_named_after_copies(each.top.name) for each in versions
    )
    if versions and not are_inner:
        options = [option for each in versions for option in each.options]
        told = _told_of_copies(question, [each.top.name for each in versions])
        return Question(told.finding, (*options, *told.options))
    if inner:
        return _with_options_of_one(root, question, inner)
    first: list[Option] = []
    last: list[Option] = []
    with_splits = [each for each in found if each.has_splits]
    for each in found:
        rest = [top for top in tops if top is not each.top]
        classes = [top for top in rest if not _is_no_class(top)]
        if with_splits == [each] or not classes:
            first += each.options
        elif stray_name_of(each.top.name) is not None:
            number = sum(top.total for top in classes)
            is_rest_a_set = len(classes) >= _FEWEST_CLASSES and number >= each.top.total
            is_train = any("split_folders" in o.settings for o in question.options)
            (last if is_rest_a_set or is_train else first).extend(each.options)
        elif [each] == found and each.is_read:
            # The folders beside it may be no classes under any name.
            last += each.options
    return Question(question.finding, (*first, *question.options, *last))


def _data_set_in(top: Folder, detect: Detect) -> _DataSet | None:
    if top.is_flat or role_of(top.name) or is_annotation(top.name) or is_fold(top.name):
        return None
    folder = top
    while not folder.images and len(folder.filled) == 1:
        (folder,) = folder.filled
    if folder.is_flat:
        return None
    answer = detect(folder)
    if isinstance(answer, Question):
        options = list(read_below(folder, answer))[:_MOST_OPTIONS]
        has_splits = any("split_folders" in option.settings for option in options)
        return _DataSet(top, options, has_splits, is_read=False) if options else None
    has_splits = answer.format != "folders"
    if not has_splits and len(folder.filled) < _FEWEST_CLASSES:
        return None
    return _DataSet(top, list(read_below(folder, answer)), has_splits, is_read=True)


def _is_no_class(top: Folder) -> bool:
    """Tell whether a folder is none, and no split of class folders either."""
    if role_of(top.name):
        return not _classes_of(top)
    return bool(stray_name_of(top.name) or is_annotation(top.name))


def _versions(found: Sequence[_DataSet]) -> list[_DataSet]:
    """Return the data sets that hold the same images, the originals first."""
    sets = [each for each in found if each.is_read]
    if not _FEWEST_CLASSES <= len(sets) <= _MOST_VERSIONS or len(sets) < len(found):
        return []
    names = [{child.name for child in _classes_of(each.top)} for each in sets]
    if len(set.intersection(*names)) < _FEWEST_CLASSES:
        return []
    are_named = any(is_named_after_copies(each.top.name) for each in sets)
    if not are_named and not _have_same_images([each.top for each in sets]):
        return []
    return sorted(sets, key=lambda each: _rank(each.top.name))


def _rank(name: str) -> int:
    """Return the place of a version: originals, images in general, others, copies."""
    if is_of_originals(name):
        return 0
    if stray_name_of(name) is StrayName.CERTAIN and not is_named_after_copies(name):
        return 1
    return 3 if is_named_after_copies(name) else 2


def _classes_of(top: Folder) -> list[Folder]:
    while not top.images and len(top.filled) == 1:
        (top,) = top.filled
    return top.filled


def _have_same_images(tops: Sequence[Folder]) -> bool:
    """Tell whether folders of one class hold images of the same names."""
    first, *others = (telling_names(stems_in(top)) for top in tops)
    fewest = _SHARE_OF_NAMES * len(first)
    return bool(first) and all(len(first & other) >= fewest for other in others)


def _versions_in_classes(tops: Sequence[Folder]) -> list[str]:
    """Return the folders in all class folders that hold the same images, as `RAW`."""
    names = {child.name for child in tops[0].filled}
    if (
        not _FEWEST_CLASSES <= len(names) <= _MOST_VERSIONS
        or any(top.images or {c.name for c in top.filled} != names for top in tops)
        or all(map(role_of, names))
    ):
        return []
    are_named = all(
        is_named_after_copies(name) or stray_name_of(name) for name in names
    ) and any(map(is_named_after_copies, names))
    if not are_named and not all(_have_same_images(top.filled) for top in tops):
        return []
    return sorted(names, key=lambda name: (_rank(name), -_size_in(name), name))


def _size_in(name: str) -> int:
    """Return the size in a folder's name, such as `128x128`, or 0."""
    return max(map(int, re.findall(r"\d{1,9}", name)), default=0)


def _with_options_of_one(
    root: Folder, question: Question, names: Sequence[str]
) -> Question:
    """Add the options to read one of the folders in each class folder."""
    options = [
        option
        for name in names
        for option in option_of_pattern(
            root, {}, f"(?P<class>[^/]+)/{re.escape(name)}/.+", f"only {name!r}"
        )
    ]
    told = _told_of_copies(question, names, is_by_class=True)
    return Question(told.finding, (*options, *told.options))


def _told_of_copies(
    question: Question, names: Sequence[str], *, is_by_class: bool = False
) -> Question:
    """Say of the options that read all versions together that they hold copies.

    Args:
        question: The question to complete.
        names: The versions.
        is_by_class: Whether they lie in the class folders.
    """
    options = [
        Option(
            option.settings,
            f"with the copies of an image in different splits: {option.meaning}",
        )
        if _reads_all(option, is_by_class=is_by_class)
        else option
        for option in question.options
    ]
    return Question(
        f"{question.finding} {some_of(names)} seem to hold the same images in several "
        "versions.",
        tuple(options),
    )


def _reads_all(option: Option, *, is_by_class: bool) -> bool:
    if option.settings == {"format": "folders"}:
        return is_by_class
    pattern = str(option.settings.get("class_pattern", ""))
    if is_by_class:
        return False
    return pattern.endswith("(?P<class>[^/]+)/[^/]+") or pattern.startswith("[^/]+/")


def _copies_of_classes(root: Folder) -> list[Folder]:
    """Return folders such as `resized` with `cat` and `dog` in it, beside these."""
    names = {top.name for top in root.filled}
    return [
        top
        for top in root.filled
        if not top.images
        and len(top.filled) >= _FEWEST_CLASSES
        and all(child.name in names for child in top.filled)
        and not role_of(top.name)
    ]


def _with_options_without(
    root: Folder, question: Question, copies: Sequence[Folder]
) -> Question:
    names = sorted(top.name for top in copies)
    if len(root.filled) - len(names) < _FEWEST_CLASSES:
        return question
    pattern = f"(?!(?:{'|'.join(map(re.escape, names))})/)(?P<class>[^/]+)/.+"
    without: Iterator[Option] = option_of_pattern(root, {}, pattern, "")
    if any(map(is_named_after_copies, names)):
        told = _told_of_copies(question, [*names, "the folders beside"])
        return Question(question.finding, (*without, *told.options))
    rename = "".join(
        f" If {name!r} is a test set, rename it to 'test'." for name in names[:1]
    )
    return Question(f"{question.finding}{rename}", (*question.options, *without))
