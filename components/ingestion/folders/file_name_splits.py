"""Ask about splits in the names of files in class folders: `cat/test_1.jpg`."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter

from graft.components.ingestion.names.class_levels import option_of_pattern
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.object_exports import as_option, class_folders
from graft.components.ingestion.sources.layout_answers import (
    ROLES,
    FolderLayout,
    Question,
)
from graft.components.ingestion.sources.source import some_of
from graft.components.ingestion.sources.splitting import ROLE_OF_NAME
from graft.components.ingestion.tables.path_splits import NamedSplits, splits_in_names
from graft.contract.counts import counted

_SHARE_OF_FILES = 0.5
_FEWEST_OF_ONE_SPLIT = 2
_FEWEST_CLASSES = 2
_ONLY_SPLIT = re.compile(
    rf"(?P<word>{'|'.join(ROLE_OF_NAME)})[-_. ]*\(?\d+\)?\.[^.]+", re.IGNORECASE
)


def ask_about_splits_of_files(
    root: Folder, layout: FolderLayout, found: NamedSplits | None
) -> Question | None:
    """Ask about class folders whose files all name a split at the same end.

    Args:
        root: The data set's folder.
        layout: How its folders would be read.
        found: See `splits_of_files`.
    """
    if found is None or None in found.roles:
        return None
    words = "|".join(map(re.escape, sorted(found.words, key=len, reverse=True)))
    if found.is_first:
        name = rf"(?P<split>{words})(?![^\W\d_])[^/]*"
    else:
        name = rf"[^/]*(?<![^\W\d_])(?P<split>{words})(?:[^\w/]|[\d_])*\.[^./]+"
    return Question(
        f"The names of the files in the class folders say splits: {_counts(found)}. As "
        "class folders alone, graft would make other splits.",
        (
            *option_of_pattern(
                root,
                {},
                rf"(?P<class>[^/]+)/(?:[^/]+/)*{name}",
                "with the splits of the names",
            ),
            as_option(root, layout),
        ),
    )


def with_warning_of_splits(
    root: Folder, layout: FolderLayout, found: NamedSplits | None
) -> FolderLayout:
    """Add a warning to a layout, if most files name a split, and others don't."""
    if found is None:
        return _with_warning_of_one_split(root, layout)
    named = len(found.roles) - found.roles.count(None)
    if named < _SHARE_OF_FILES * len(found.roles):
        return layout
    warning = (
        f"{counted(named, 'file')} of {len(found.roles):,} say a split in their name "
        f"({_counts(found)}), and others say none. They don't hold: the images' "
        "content decides. To keep them, write them into a manifest with the columns "
        "path, label and split."
    )
    return dataclasses.replace(layout, warnings=(*layout.warnings, warning))


def _with_warning_of_one_split(root: Folder, layout: FolderLayout) -> FolderLayout:
    """Add a warning, if each class has a few files such as `test_1` beside others."""
    if layout.split_folders:
        return layout
    named: dict[str, list[str]] = {}
    roles: set[str] = set()
    for top in class_folders(root, layout):
        files = [f"{each.path}/{n}" for each in top.walk() for n in each.images]
        role_of_file = {
            file: ROLE_OF_NAME[match["word"].casefold()]
            for file in files
            if (match := _ONLY_SPLIT.fullmatch(file.rpartition("/")[2]))
        }
        if not _FEWEST_OF_ONE_SPLIT <= len(role_of_file) <= len(files) / 2:
            return layout
        named[top.path] = [*role_of_file]
        roles |= {*role_of_file.values()}
    if len(named) < _FEWEST_CLASSES or len(roles) != 1:
        return layout
    found = [file for each in named.values() for file in each]
    warning = (
        f"{counted(len(found), 'file')} of {counted(root.total, 'image')} say the "
        f"split {roles.pop()} in their name: {some_of(found)}. It doesn't hold: the "
        "images' content decides. To keep it, move these files into a folder of the "
        "split, such as 'test/cat'."
    )
    return dataclasses.replace(layout, warnings=(*layout.warnings, warning))


def splits_of_files(root: Folder, layout: FolderLayout) -> NamedSplits | None:
    """Return the splits that the files in class folders name, or None."""
    if layout.split_folders:
        return None
    stems: list[str] = []
    labels: list[str] = []
    for top in class_folders(root, layout):
        for folder in top.walk():
            stems += folder.stems
            labels += [top.name] * len(folder.stems)
    return splits_in_names(stems, labels)


def _counts(found: NamedSplits) -> str:
    numbers = Counter(role for role in found.roles if role)
    return ", ".join(f"{numbers[role]:,} {role}" for role in ROLES if numbers[role])
