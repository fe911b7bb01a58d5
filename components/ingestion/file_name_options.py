"""The configs that read the class, and the split, from the names of files."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from graft.components.ingestion.folder_counts import Folder
from graft.components.ingestion.folder_names import (
    is_annotation,
    is_source,
    roles_of,
    split_and_class_of,
)
from graft.components.ingestion.layout_answers import Option, describe_classes
from graft.components.ingestion.splitting import TRAIN_ROLE

_FILE_NAME_PATTERNS = (
    r"(?P<class>.+)_\d+",
    r"(?P<class>.+)-\d+",
    r"(?P<class>.+)\.\d+",
    r"(?P<class>.+?) ?\(\d+\)",
    r"(?P<class>\D*[^\W\d_])\d+",
)
_CLASS_GROUP = re.compile(r"\(\?P<class>.+?\)")
_FEWEST_CLASSES = 2
_SHARE_OF_NAMES = 0.95


def file_name_options(root: Folder) -> Iterator[Option]:
    """Yield the options to read the class from the names of files.

    If the names of files or folders tell the splits, these are read, too.
    """
    by_folder = list(_options_of_split_folders(root))
    if by_folder:
        yield from by_folder
        return
    for folder in _folders_of_no_class(root):
        if folder.images:
            yield from _options_of_folder(folder)


def _folders_of_no_class(folder: Folder) -> Iterator[Folder]:
    """Yield the folders whose names can't be classes, because of names or siblings."""
    yield folder
    children = [child for child in folder.filled if not is_annotation(child.name)]
    for child in children:
        if len(children) == 1 or is_source(child.name):
            yield from _folders_of_no_class(child)


def _options_of_folder(folder: Folder) -> Iterator[Option]:
    """Yield the option to read the class from the file names of a folder."""
    below = [name for each in folder.walk() for name in each.images]
    with_splits = _pattern_with_splits(list(map(_stem_of, folder.images)))
    for pattern in filter(None, (with_splits, *_FILE_NAME_PATTERNS)):
        found = _classes_by_name(pattern, folder.images)
        if _are_classes(found, len(folder.images)):
            settings: dict[str, object] = {"class_pattern": pattern}
            if folder.path:
                settings = {"path": folder.path, **settings}
            where = f" in {folder.path}" if folder.path else ""
            what = (
                "split and class are parts"
                if pattern == with_splits
                else "the class is part"
            )
            # The pattern reads folders in this folder, too.
            classes = _classes_by_name(pattern, below)
            meaning = f"{what} of the file name{where}: {describe_classes(classes)}"
            left = len(below) - classes.total()
            yield Option(
                settings, f"{meaning}; left aside: {left}" if left else meaning
            )
            return


def _pattern_with_splits(stems: Sequence[str]) -> str | None:
    """Return the pattern of names such as `train_cat_1`, `cat_train_1`, `cat_1_train`.

    Almost all names must have a split in the same place, `train` among them.
    """
    in_name = [split_and_class_of(stem) for stem in stems]
    for pattern in _FILE_NAME_PATTERNS:
        expression = re.compile(pattern)
        matches = [expression.fullmatch(stem) for stem in stems]
        in_class = [split_and_class_of(match["class"]) for match in matches if match]
        for found, is_whole in ((in_name, True), (in_class, False)):
            known = [each for each in found if each is not None]
            places = {(each.is_split_first, each.separator) for each in known}
            splits = sorted({each.split for each in known})
            roles = set(roles_of(splits).values())
            if (
                len(known) < _SHARE_OF_NAMES * len(stems)
                or len(places) != 1
                or len(roles) < _FEWEST_CLASSES
                or TRAIN_ROLE not in roles
            ):
                continue
            ((is_first, separator),) = places
            group = f"(?P<split>{'|'.join(map(re.escape, splits))})"
            between = re.escape(separator)
            part = f"{group}{between}" if is_first else f"{between}{group}"
            if is_whole:
                joined = part + pattern if is_first else pattern + part
            else:
                joined = _beside_class(pattern, part, is_first=is_first)
            if _are_classes(_classes_of_stems(joined, stems), len(stems)):
                return joined
    return None


def _beside_class(pattern: str, part: str, *, is_first: bool) -> str:
    """Return a pattern with a part before or after its group `class`."""
    return _CLASS_GROUP.sub(
        lambda match: part + match[0] if is_first else match[0] + part, pattern
    )


def _options_of_split_folders(root: Folder) -> Iterator[Option]:
    """Yield the option to read `train/cat_1.jpg` and `test/cat_1.jpg`."""
    roles = roles_of([top.name for top in root.filled])
    if TRAIN_ROLE not in roles.values():
        return
    names: dict[str, list[str]] = defaultdict(list)
    for top in root.filled:
        if top.name in roles:
            names[top.name] = [n for each in top.walk() for n in each.images]
    for pattern in _FILE_NAME_PATTERNS:
        found = {
            folder: classes
            for folder, images in names.items()
            if _are_classes(classes := _classes_by_name(pattern, images), len(images))
        }
        trained = {
            name
            for folder, classes in found.items()
            for name in classes
            if roles[folder] == TRAIN_ROLE
        }
        found = {f: c for f, c in found.items() if not trained.isdisjoint(c)}
        if len({roles[folder] for folder in found}) < _FEWEST_CLASSES:
            continue
        splits = "|".join(map(re.escape, sorted(found)))
        # A pattern of the whole path: the class must not reach over a slash.
        of_name = pattern.replace(".+", "[^/]+").replace(r"\D", r"[^\d/]")
        total = sum(found.values(), Counter())
        left = root.total - total.total()
        yield Option(
            {
                "class_pattern": rf"(?P<split>{splits})/(?:.+/)?{of_name}\.[^./]+",
            },
            "the folder is the split, and the class is part of the file name: "
            f"{describe_classes(total)}" + (f"; left aside: {left}" if left else ""),
        )
        return


def _are_classes(found: Counter[str], number: int) -> bool:
    """Tell whether the classes that a pattern reads from names can be right."""
    return (
        found.total() >= _SHARE_OF_NAMES * number
        and len(found) >= _FEWEST_CLASSES
        and found.total() >= 2 * len(found)
    )


def _stem_of(name: str) -> str:
    return os.path.splitext(name)[0]


def _classes_by_name(pattern: str, names: Sequence[str]) -> Counter[str]:
    return _classes_of_stems(pattern, list(map(_stem_of, names)))


def _classes_of_stems(pattern: str, stems: Sequence[str]) -> Counter[str]:
    expression = re.compile(pattern)
    matches = (expression.fullmatch(stem) for stem in stems)
    return Counter(match["class"] for match in matches if match)
