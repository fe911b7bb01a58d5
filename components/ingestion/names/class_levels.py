"""Folders in class folders: sources of the images, or classes of a lower level.

`animals/cat` and `things/cup` can mean the classes animals and things, or cat and cup,
or both together. Nobody but the owner knows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import (
    is_annotation,
    is_box,
    is_condition,
    is_fold,
    is_source,
    role_of,
)
from graft.components.ingestion.sources.layout_answers import (
    Option,
    SplitFolders,
    describe_classes,
)

_FEWEST_CLASSES = 2
_SECOND = "[^/]+/(?P<class>[^/]+)/.+"
_LOWEST = "(?:.+/)?(?P<class>[^/]+)/[^/]+"
_WHOLE_PATH = "(?P<class>.+)/[^/]+"


def folders_that_may_be_classes(tops: Sequence[Folder]) -> list[str]:
    """Return folders within class folders that may be the classes themselves.

    They are, where a class folder holds two or more folders, and no image directly, or
    fewer than half of its images. Names of sources, such as dates, count as none, and
    neither do conditions, such as `day`, that several folders hold.
    They also are where a folder has the name of another class, as in `cat/dog`, and
    where all class folders hold the same folders and no image.

    Args:
        tops: The class folders.

    Returns:
        Some of these folders' paths, as they begin in `tops`; none without doubt.
    """
    names = {top.name for top in tops}
    crossed = [
        below.path
        for top in tops
        for below in _below(top)
        if below.name in names - {top.name}
    ]
    if crossed:
        return sorted(crossed)
    number: Counter[str] = Counter()
    for top in tops:
        number.update({below.name for below in _below(top)})
    for top in tops:
        if holds_images_itself(top):
            continue
        for folder in (top, *_below(top)):
            own = [
                child.path
                for child in folder.filled
                if not is_source(child.name)
                and (number[child.name] == 1 or not is_condition(child.name))
            ]
            is_class = folder.images and folder is not top
            if not is_class and len(own) >= _FEWEST_CLASSES:
                return sorted(own)
    return _folders_of_all(tops)


def holds_images_itself(folder: Folder) -> bool:
    """Tell whether at least half of a folder's images lie directly in it.

    A few that do beside full folders show nothing: they may be left over.
    """
    return 0 < folder.total <= 2 * len(folder.images)


def without_loose_images(tops: Sequence[Folder]) -> str:
    """Return the start of a pattern that reads no image directly in such a folder.

    Args:
        tops: The folders that hold the classes, and class folders beside them. It is
            empty, if no image lies beside folders of classes.
    """
    loose = {top.name for top in tops if top.images and not holds_images_itself(top)}
    if not loose:
        return ""
    if loose == {top.name for top in tops}:
        return "(?![^/]+/[^/]+$)"
    return f"(?!(?:{'|'.join(map(re.escape, sorted(loose)))})/[^/]+$)"


def _folders_of_all(tops: Sequence[Folder]) -> list[str]:
    """Return the folders that each class folder holds, if it holds nothing else."""
    inner = [_lowest_of_one(top) for top in tops]
    children = [{child.name for child in folder.filled} for folder in inner]
    is_same = len(tops) > 1 and all(each == children[0] for each in children)
    names = children[0]
    if (
        is_same
        and len(names) >= _FEWEST_CLASSES
        and not any(map(holds_images_itself, inner))
        and not any(map(is_source, names))
        and not (any(each.images for each in inner) and all(map(is_condition, names)))
    ):
        return sorted(child.path for child in inner[0].filled)
    return []


def _lowest_of_one(folder: Folder) -> Folder:
    """Go down while a folder holds one folder and no image."""
    while not folder.images and len(folder.filled) == 1:
        folder = folder.filled[0]
    return folder


def options_of_levels(root: Folder, split_folders: SplitFolders) -> Iterator[Option]:
    """Yield the options that the classes are folders within the class folders.

    Args:
        root: The data set's folder.
        split_folders: Folders that are splits; empty where there are none.
    """
    names, start = _names_below(root, split_folders)
    depth = max(
        (p.count("/") + 1 for ps in split_folders.values() for p in ps), default=0
    )
    paths = [path for paths in split_folders.values() for path in paths]
    above = [each for path in paths if (each := root.child_at(path))] or [root]
    without = without_loose_images([top for each in above for top in each.filled])
    lowest = _read(start + without + _LOWEST, names)
    readings = [("the lowest folder", without + _LOWEST)]
    parts = [name.split("/") for name in names]
    if not all(is_fold(each[depth]) for each in parts if len(each) > depth):
        readings.append(("the whole path", without + _WHOLE_PATH))
    second = _read(start + _SECOND, names)
    if second != lowest and second.total() == lowest.total():
        readings.insert(0, ("the second folder", _SECOND))
    for what, pattern in readings:
        meaning = f"{what} is the class"
        yield from option_of_pattern(root, split_folders, pattern, meaning)


def option_of_pattern(
    root: Folder, split_folders: SplitFolders, pattern: str, meaning: str
) -> Iterator[Option]:
    """Yield the option to read classes by a pattern, if it reads two or more.

    Args:
        root: The data set's folder.
        split_folders: Folders that are splits; empty where there are none.
        pattern: A `class_pattern` of paths below the data set's folder or a split.
        meaning: What it reads, without counts; it may be empty.
    """
    names, start = _names_below(root, split_folders)
    classes = _read(start + pattern, names)
    if len(classes) < _FEWEST_CLASSES or all(map(_is_no_class, classes)):
        return
    settings: dict[str, object] = {"class_pattern": start + pattern}
    if split_folders:
        settings["split_folders"] = as_setting(split_folders)
    left = root.total - classes.total()
    yield Option(
        settings,
        (f"{meaning}: " if meaning else "")
        + describe_classes(classes)
        + (f"; left aside: {left}" if left else ""),
    )


def _is_no_class(path: str) -> bool:
    name = path.rpartition("/")[2]
    return bool(is_box(name) or is_annotation(name) or role_of(name))


def _names_below(root: Folder, split_folders: SplitFolders) -> tuple[list[str], str]:
    """Return the images in the splits, and the start of a pattern of their paths."""
    paths = [path for paths in split_folders.values() for path in paths]
    names = [name for name in _image_names(root) if not paths or _is_below(name, paths)]
    return names, _start_of(paths)


def as_setting(split_folders: SplitFolders) -> Mapping[str, str | list[str]]:
    """Return split folders as the config names them."""
    return {
        role: paths[0] if len(paths) == 1 else [*paths]
        for role, paths in split_folders.items()
    }


def _below(folder: Folder) -> list[Folder]:
    return [each for each in folder.walk() if each is not folder and each.total]


def _image_names(root: Folder) -> Iterator[str]:
    for folder in root.walk():
        for image in folder.images:
            yield f"{folder.path}/{image}" if folder.path else image


def _is_below(name: str, paths: list[str]) -> bool:
    return any(name.startswith(f"{path}/") for path in paths)


def _start_of(paths: list[str]) -> str:
    """Return what a pattern begins with, to skip the split folders."""
    depths = {path.count("/") + 1 for path in paths}
    if len(depths) > 1:
        return f"(?:{'|'.join(map(re.escape, paths))})/"
    return "[^/]+/" * max(depths, default=0)


def _read(pattern: str, names: Sequence[str]) -> Counter[str]:
    """Return the number of images by class that a pattern reads."""
    expression = re.compile(pattern)
    matches = (expression.fullmatch(name) for name in names)
    return Counter(match["class"] for match in matches if match)
