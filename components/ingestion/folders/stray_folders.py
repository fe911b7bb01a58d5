"""Ask about folders beside the classes that are none, such as `logs` or `all`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from graft.components.ingestion.copies.copy_names import find_copies
from graft.components.ingestion.copies.derived_copies import parts_of_copies
from graft.components.ingestion.copies.shared_names import (
    Repeated,
    looks_alike,
    repeated_folders,
    stems_in,
)
from graft.components.ingestion.folders.layout_options import read_as_classes
from graft.components.ingestion.names.class_levels import (
    folders_that_may_be_classes,
    option_of_pattern,
    without_loose_images,
)
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import is_origin
from graft.components.ingestion.names.name_patterns import NameParts, pattern_without
from graft.components.ingestion.names.object_exports import as_option
from graft.components.ingestion.names.stray_names import (
    StrayName,
    is_called_by_program,
    is_negated,
    is_thing_among_things,
    stray_name_of,
)
from graft.components.ingestion.sources.layout_answers import (
    FolderLayout,
    Option,
    Question,
    SplitFolders,
)
from graft.components.ingestion.sources.source import some_of
from graft.contract.counts import agree, counted

_FEWEST_CLASSES = 2
_SHARE_OF_SMALLEST = 3


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
    without = list(_options_without(root, siblings, split_folders, names))
    for found in repeated.values():
        if found.is_equal:
            others = {*names, *found.classes} - {found.folder.name}
            without += _options_without(root, siblings, split_folders, others)
    return Question(" ".join(findings), (*without, *by_top))


def ask_about_folders_apart(root: Folder, tops: Sequence[Folder]) -> Question | None:
    """Ask about folders such as `logs` beside `kitchen/cat` and `garden/cat`.

    Those that hold the same folders as others may be versions of the data.
    """
    strays = _strays(tops)
    names = {stray.name for stray in strays}
    others = [top for top in tops if top.name not in names]
    below = {child.name for top in others for child in top.filled}
    are_apart = all(
        below.isdisjoint(child.name for child in stray.filled) for stray in strays
    )
    if strays and are_apart and below and len(others) >= _FEWEST_CLASSES:
        return ask_about_stray_folders(root, [tops], {})
    return None


def _strays(tops: Sequence[Folder]) -> list[Folder]:
    """Return the folders whose names say that they are no classes."""
    doubts = {top.name: stray_name_of(top.name) for top in tops}
    classes = [top for top in tops if doubts[top.name] is None]
    found = []
    for top in tops:
        doubt = doubts[top.name]
        others = [other for other in tops if other is not top]
        if is_negated(top.name, [other.name for other in others]):
            continue
        if doubt is not None and _is_one_of_things(top, classes, others):
            continue
        if (
            doubt is StrayName.CERTAIN
            or (doubt is StrayName.LIKELY and len(classes) >= _FEWEST_CLASSES)
            or (doubt is not None and not _may_be_class(top, classes, others))
        ):
            found.append(top)
    return found


def _is_one_of_things(
    top: Folder, classes: Sequence[Folder], others: Sequence[Folder]
) -> bool:
    """Tell whether a folder such as `logs` has the images of a class of things.

    Its images are called as those of the others, are about as many, and no program's.
    """
    return (
        len(others) >= _FEWEST_CLASSES
        and is_thing_among_things(top.name, [other.name for other in others])
        and looks_alike(top, classes or others)
        and top.total * _SHARE_OF_SMALLEST >= min(other.total for other in others)
        and not any(map(is_called_by_program, stems_in(top)))
    )


def _may_be_class(
    top: Folder, classes: Sequence[Folder], others: Sequence[Folder]
) -> bool:
    if len(classes) < _FEWEST_CLASSES and all(f.is_flat for f in (top, *others)):
        return True  # Without it, there would be no two classes.
    return looks_alike(top, classes or others)


def _finding_of(found: Repeated) -> str:
    return (
        f"Of the {counted(found.folder.total, 'image')} in {found.folder.name!r}, "
        f"{found.number:,} {agree(found.number, 'is', 'are')} called as images of "
        f"{some_of(found.classes)}: the folder may hold them again. As a class of its "
        "own, an image would have two labels."
    )


def _options_without(
    root: Folder,
    siblings: Sequence[Sequence[Folder]],
    split_folders: SplitFolders,
    names: set[str],
) -> Iterator[Option]:
    """Yield the options without some folders, and without copies in the others."""
    classes = [top for tops in siblings for top in tops if top.name not in names]
    if len({top.name for top in classes}) < _FEWEST_CLASSES:
        return
    strays = NameParts(tops=names)
    copies = find_copies(classes)
    if copies.files:
        pattern = pattern_without(strays.joined(parts_of_copies(copies)))
        yield from option_of_pattern(root, split_folders, pattern, "without copies")
    yield from option_of_pattern(root, split_folders, pattern_without(strays), "")
    if any(
        folders_that_may_be_classes([t for t in tops if t.name not in names])
        for tops in siblings
    ):
        left_out = "|".join(map(re.escape, sorted(names)))
        loose = without_loose_images(classes)
        pattern = f"(?!(?:{left_out})/){loose}(?:[^/]+/)*(?P<class>[^/]+)/[^/]+"
        what = f"without {some_of(sorted(names))}, the lowest folder is the class"
        yield from option_of_pattern(root, split_folders, pattern, what)


def warn_of_stray_names(tops: Sequence[Folder]) -> tuple[str, ...]:
    """Return a warning about classes whose names may say that they are none."""
    names = sorted(
        top.name
        for top in tops
        if stray_name_of(top.name) and not is_origin(top.name)  # told as a part
    )
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
