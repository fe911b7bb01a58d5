"""Warn of what a layout that the config names would otherwise be asked about.

A setting such as `format: folders` answers a question on the folders. Masks, copies and
folders with names of splits still deserve a line: they may have come later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from graft.components.ingestion.copies.derived_copies import ask_about_copies
from graft.components.ingestion.copies.doubtful_names import as_class_folders
from graft.components.ingestion.copies.format_pairs import ask_about_format_pairs
from graft.components.ingestion.copies.mask_files import ask_about_masks
from graft.components.ingestion.copies.shared_names import repeated_folders
from graft.components.ingestion.folders.file_name_splits import (
    ask_about_splits_of_files,
    splits_of_files,
)
from graft.components.ingestion.folders.split_class_names import (
    ask_about_splits_in_names,
)
from graft.components.ingestion.folders.splits_in_classes import (
    warn_of_inner_splits,
)
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import (
    are_names_of_splits,
    is_of_annotations,
    role_of,
    roles_of,
)
from graft.components.ingestion.sources.image_ref import ImageRef
from graft.components.ingestion.sources.layout_answers import FolderLayout
from graft.components.ingestion.sources.source import some_of
from graft.contract.counts import agree, counted


def warn_of_given_layout(root: Folder, layout: FolderLayout, key: str) -> list[str]:
    """Return the warnings about folders that are read as the config says.

    Args:
        root: The data set's folder.
        layout: The layout that the config names: class folders, or split folders.
        key: The setting that names it.
    """
    findings = [*_splits_among_classes(root, layout), *_made_of_others(root, layout)]
    return [f"{finding} It is read so, since `{key}` is set." for finding in findings]


def warn_of_splits_in_classes(refs: Sequence[ImageRef]) -> list[str]:
    """Return a warning about classes of a `class_pattern` that differ by a split.

    Args:
        refs: The images. None of them has a given split.
    """
    root = as_class_folders(refs)
    names = sorted(top.name for top in root.filled)
    question = ask_about_splits_in_names(root, root.filled)
    with_split = _with_folder_of_split({ref.class_name for ref in refs})
    if are_names_of_splits(names):
        finding = f"The classes {some_of(names)} have the names of splits."
    elif with_split:
        finding = (
            f"The classes {some_of(with_split)} have the name of a split in their "
            "paths, and other classes are called the same without it. As classes of "
            "their own, one thing would have two labels."
        )
    elif question is not None:
        finding = question.finding
    else:
        return []
    return [f"{finding} They are read as classes, since `class_pattern` is set."]


def _with_folder_of_split(names: Collection[str]) -> list[str]:
    """Return the classes such as `test/cat` beside `cat`, or beside `photos/cat`."""
    paths = [name.split("/") for name in names]
    rests = Counter(
        rest
        for path in paths
        for rest in {"/".join(path), *(_without(path, n) for n in range(len(path)))}
    )
    return sorted(
        "/".join(path)
        for path in paths
        if len(path) > 1
        and any(
            role_of(part) and rests[_without(path, number)] > 1
            for number, part in enumerate(path)
        )
    )


def _without(path: Sequence[str], number: int) -> str:
    return "/".join([*path[:number], *path[number + 1 :]])


def _splits_among_classes(root: Folder, layout: FolderLayout) -> Iterator[str]:
    if layout.split_folders:
        return
    tops = root.filled
    roles = roles_of([top.name for top in tops])
    if len(set(roles.values())) > 1 or len(roles) == len(tops) > 0:
        yield (
            f"{agree(len(roles), 'The class', 'The classes')} {some_of(sorted(roles))} "
            f"{agree(len(roles), 'has the name', 'have the names')} of a split."
        )
        return
    question = ask_about_splits_in_names(root, tops)
    if question is not None:
        yield question.finding
    yield from warn_of_inner_splits(tops)


def _made_of_others(root: Folder, layout: FolderLayout) -> Iterator[str]:
    for question in (
        ask_about_masks(root, layout),
        ask_about_format_pairs(root, layout),
        ask_about_copies(root, layout),
        ask_about_splits_of_files(root, layout, splits_of_files(root, layout)),
    ):
        if question is not None:
            yield question.finding
    splits = [
        folder
        for paths in layout.split_folders.values()
        for path in paths
        if (folder := root.child_at(path))
    ]
    masks = [split.path for split in splits if is_of_annotations(split.path)]
    if 0 < len(masks) < len(splits):
        yield (
            f"By {agree(len(masks), 'its name', 'their names')}, {some_of(masks)} "
            f"{agree(len(masks), 'holds', 'hold')} masks or labels of the images."
        )
    siblings = [folder.filled for folder in splits] or [root.filled]
    for tops in siblings:
        for found in repeated_folders(tops):
            number = counted(found.number, "image")
            yield (
                f"The class {found.folder.name!r} has {number} called as "
                f"{agree(found.number, 'an image', 'images')} of "
                f"{some_of(found.classes)}."
            )
