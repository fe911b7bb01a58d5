"""Ask about folders beside the classes that are none, such as `logs` or `all`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from graft.components.ingestion.class_levels import option_of_pattern
from graft.components.ingestion.folder_counts import Folder
from graft.components.ingestion.layout_answers import (
    FolderLayout,
    Option,
    Question,
    SplitFolders,
)
from graft.components.ingestion.layout_options import read_as_classes
from graft.components.ingestion.object_exports import as_option
from graft.components.ingestion.shared_names import (
    Repeated,
    looks_alike,
    repeated_folders,
)
from graft.components.ingestion.source import some_of
from graft.components.ingestion.stray_names import StrayName, stray_name_of
from graft.contract.counts import agree, counted

_FEWEST_CLASSES = 2


def ask_about_stray_folders(
    root: Folder, siblings: Sequence[Sequence[Folder]], split_folders: SplitFolders
) -> Question | None:
    """Ask about folders beside classes that are none by their names or their images.

    Args:
        root: The data set's folder.
        siblings: The class folders; of splits, those of each split.
        split_folders: The folders that are splits; empty where there are none.
    """
    by_name = sorted({t.name for tops in siblings for t in _strays(tops)})
    repeated = {
        found.folder.name: found
        for tops in siblings
        for found in repeated_folders([top for top in tops if top.name not in by_name])
    }
    names = {*by_name, *repeated}
    if not names:
        return None
    beside = sorted({t.name for tops in siblings for t in tops} - names)
    findings = []
    if by_name:
        number = len(by_name)
        findings.append(
            f"{agree(number, 'The folder', 'The folders')} {some_of(by_name)} "
            f"{agree(number, 'has a name', 'have names')} that "
            f"{agree(number, 'says', 'say')} no class"
            + (f", and other folders lie beside: {some_of(beside)}." if beside else ".")
        )
    findings += map(_finding_of, repeated.values())
    by_top = read_as_classes(root)
    if split_folders:
        by_top = iter([as_option(root, FolderLayout("pre_split", split_folders))])
    without = list(_option_without(root, split_folders, names, len(beside)))
    for found in repeated.values():
        if found.is_equal:
            others = {*names, *found.classes} - {found.folder.name}
            without += _option_without(root, split_folders, others, len(beside))
    return Question(" ".join(findings), (*without, *by_top))


def _strays(tops: Sequence[Folder]) -> list[Folder]:
    """Return the folders whose names say that they are no classes."""
    doubts = {top.name: stray_name_of(top.name) for top in tops}
    classes = [top for top in tops if doubts[top.name] is None]
    found = []
    for top in tops:
        doubt = doubts[top.name]
        others = [other for other in tops if other is not top]
        if (
            doubt is StrayName.CERTAIN
            or (doubt is StrayName.LIKELY and len(classes) >= _FEWEST_CLASSES)
            or (doubt is not None and not looks_alike(top, classes or others))
        ):
            found.append(top)
    return found


def _finding_of(found: Repeated) -> str:
    return (
        f"Of the {counted(found.folder.total, 'image')} in {found.folder.name!r}, "
        f"{found.number:,} {agree(found.number, 'is', 'are')} called as images of "
        f"{some_of(found.classes)}: the folder may hold them again. As a class of its "
        "own, an image would have two labels."
    )


def _option_without(
    root: Folder, split_folders: SplitFolders, names: set[str], num_classes: int
) -> Iterator[Option]:
    if num_classes < _FEWEST_CLASSES:
        return
    left_out = "|".join(map(re.escape, sorted(names)))
    pattern = f"(?!(?:{left_out})/)(?P<class>[^/]+)/.+"
    yield from option_of_pattern(root, split_folders, pattern, "")


def warn_of_stray_names(tops: Sequence[Folder]) -> tuple[str, ...]:
    """Return a warning about classes whose names may say that they are none."""
    names = sorted(top.name for top in tops if stray_name_of(top.name))
    if not names:
        return ()
    number = len(names)
    return (
        f"{agree(number, 'The folder', 'The folders')} {some_of(names)} "
        f"{agree(number, 'may be no class', 'may be no classes')} by "
        f"{agree(number, 'its name', 'their names')}, but "
        f"{agree(number, 'is read as one', 'are read as classes')}, since "
        f"{agree(number, 'its images are', 'their images are')} called as those of the "
        "other classes.",
    )
