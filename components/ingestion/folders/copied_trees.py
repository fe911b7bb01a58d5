"""Offer to leave out a folder that holds another folder of the data set again.

Archives are often packed with a copy of their content: `pets/cat` and `pets/pets/cat`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator

from graft.components.ingestion.folders.layout_options import read_below
from graft.components.ingestion.folders.option_readings import reading_of
from graft.components.ingestion.names.class_levels import as_setting, option_of_pattern
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import role_of
from graft.components.ingestion.sources.layout_answers import (
    FolderLayout,
    Option,
    Question,
)

_FEWEST_CLASSES = 2
_SHARE = 0.9
_MOST_OPTIONS = 4
_MOST_CANDIDATES = 8  # with thousands of classes, each set of names costs


def with_options_without_copied_tree(
    root: Folder,
    question: Question,
    detect: Callable[[Folder], FolderLayout | Question],
) -> Question:
    """Put the options first that leave out the copy of another folder.

    Args:
        root: The data set's folder.
        question: What is unclear about it.
        detect: Detects the layout of a folder.
    """
    found = _copied_tree(root)
    if found is None:
        return question
    original, copy = found
    rest = _without(root, copy.path)
    answer = detect(rest)
    if isinstance(answer, FolderLayout):
        options = [*read_below(rest, answer)]
    else:
        options = list(answer.options)
    where = repr(original.path) if original.path else "the folders beside it"
    without = [
        Option(
            each.settings,
            f"without {copy.path!r}, which holds {where} again: {each.meaning}",
            each.layout,
        )
        for option in options
        for each in _without_copy(root, rest, option, copy.path)
    ]
    return Question(question.finding, (*without[:_MOST_OPTIONS], *question.options))


def _copied_tree(root: Folder) -> tuple[Folder, Folder] | None:
    """Return a folder, and the one that holds the same files; None if there is none."""
    groups: dict[frozenset[str], list[Folder]] = defaultdict(list)
    for folder in root.walk():
        if len(folder.filled) >= _FEWEST_CLASSES:
            groups[frozenset(child.name for child in folder.filled)].append(folder)
            # Beside its copy, a folder has one more child.
            deeper = [child for child in folder.filled if child.filled]
            for child in deeper if len(deeper) <= _MOST_CANDIDATES else ():
                rest = frozenset(c.name for c in folder.filled if c is not child)
                if len(rest) >= _FEWEST_CLASSES:
                    groups[rest].append(folder)
    for alike in groups.values():
        by_path = {folder.path: folder for folder in alike}
        by_name: dict[str, list[Folder]] = defaultdict(list)
        for folder in by_path.values():
            by_name[folder.name].append(folder)
        for copy in sorted(by_path.values(), key=lambda each: -each.path.count("/")):
            same = by_name[copy.name]
            above = [by_path[path] for path in _paths_above(copy) if path in by_path]
            for original in (*above, *(same if len(same) <= _MOST_CANDIDATES else ())):
                if _is_copy(original, copy):
                    return original, copy
    return None


def _paths_above(folder: Folder) -> Iterator[str]:
    path = folder.path
    while path:
        path = path.rpartition("/")[0]
        yield path


def _is_copy(original: Folder, copy: Folder) -> bool:
    """Tell whether a folder holds the files of another one.

    That one is above it, as of `pets/pets`, or has the end of its path, as `pets` has
    of `extracted/pets`: sites may count the images of each date from 1.
    """
    is_above = f"{copy.path}/".startswith(f"{original.path}/" if original.path else "")
    if original is copy or not (is_above or copy.path.endswith(f"/{original.path}")):
        return False
    above, below = original.path.split("/"), copy.path.split("/")
    if any(map(role_of, set(below) - set(above))):
        return False  # `test/cat` beside `cat`
    own, first = _names_in(copy, ""), _names_in(original, copy.path)
    return bool(own) and len(own & first) >= _SHARE * max(len(own), len(first))


def _names_in(folder: Folder, left_out: str) -> set[str]:
    """Return the images in a folder, relative to it, without those in another one."""
    start = len(folder.path) + 1 if folder.path else 0
    return {
        f"{each.path}/{name}"[start:]
        for each in folder.walk()
        if not (left_out and f"{each.path}/".startswith(f"{left_out}/"))
        and each is not folder
        for name in each.images
    }


def _without(folder: Folder, path: str) -> Folder:
    """Return a folder without the one at a path."""
    children = {
        name: _without(child, path)
        for name, child in folder.children.items()
        if child.path != path
    }
    total = len(folder.images) + sum(child.total for child in children.values())
    return Folder(folder.path, folder.images, folder.others, children, total)


def _without_copy(
    root: Folder, rest: Folder, option: Option, copy: str
) -> Iterator[Option]:
    """Yield an option that reads of the whole tree what one reads of the rest."""
    wanted = reading_of(rest, option)
    if wanted is None:
        return
    path = str(option.settings.get("path", ""))
    if path and not copy.startswith(f"{path}/"):
        yield option
        return
    option = _explicit(option)
    if reading_of(root, option) == wanted:
        yield option
        return
    below = copy.removeprefix(f"{path}/") if path else copy
    pattern = str(option.settings.get("class_pattern", "(?P<class>[^/]+)/.+"))
    folder = root.child_at(path) if path else root
    if "split_folders" in option.settings or "/" not in pattern or folder is None:
        return
    above = {"path": path} if path else {}
    start = f"(?!{re.escape(below)}/)"
    for each in option_of_pattern(folder.as_root(), {}, start + pattern, ""):
        changed = Option({**above, **each.settings}, option.meaning)
        if reading_of(root, changed) == wanted:
            yield changed


def _explicit(option: Option) -> Option:
    """Return an option with the settings of the layout that is found without a copy."""
    layout = option.layout
    if layout is None:
        return option
    settings = {key: value for key, value in option.settings.items() if value}
    if layout.split_folders:
        settings["split_folders"] = as_setting(layout.split_folders)
    else:
        settings["format"] = layout.format
    return Option(settings, option.meaning)
