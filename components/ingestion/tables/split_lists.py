"""Warn of lists that give the images other splits than graft does.

Many published data sets have them. A figure on other test images can't be compared.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import role_of
from graft.components.ingestion.sources.layout_answers import SplitFolders
from graft.components.ingestion.sources.source import some_of
from graft.components.ingestion.tables.split_list_files import (
    Listed,
    SplitList,
    read_split_list,
)
from graft.contract.counts import agree, counted
from graft.storage.listing import FileEntry

Named = tuple[tuple[str, ...], str | None]
"""Paths of an image that a list names, of which one is meant, and its split."""

_MOST_FILES = 40
_DEEPEST = 4
_SHARE_OF_LINES = 0.25
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
_FEWEST_IMAGES = 2
_ALMOST_ALL = 0.95
_MEND = (
    "To keep the splits of a list, write them into a manifest with the columns path, "
    "label and split, or move the images into split folders."
)


class SplitLists:
    """The files of a folder that say the splits of its images.

    Args:
        entries: The files of the data set.
        root: Its folder.
    """

    def __init__(self, entries: Iterable[FileEntry], root: Folder) -> None:
        beside = [
            entry
            for entry in entries
            if len(entry.parts) <= _DEEPEST and _is_beside_images(entry, root)
        ]
        found = [read_split_list(entry) for entry in beside[:_MOST_FILES]]
        self._lists = [each for each in found if each is not None]
        places = _places_of(root, self._lists) if self._lists else {}
        self._images = {each.name: _images_of(each, places) for each in self._lists}
        self._total = root.total

    def warnings(self, split_folders: SplitFolders) -> tuple[str, ...]:
        """Return a warning about files that say other splits than graft makes, or none.

        Args:
            split_folders: Folders that are splits; empty where there are none.
        """
        if split_folders:
            return _warn_of_others(self._images, split_folders)
        return self._unread(self._lists)

    def note(self) -> str:
        """Return a sentence for a question about the layout, or "".

        Tables without a column of splits are left to the options of the question.
        """
        return " ".join(
            self._unread(
                [e for e in self._lists if e.has_splits or not e.name.endswith(_TABLES)]
            )
        )

    def _unread(self, lists: Sequence[SplitList]) -> tuple[str, ...]:
        images = {each.name: self._images[each.name] for each in lists}
        roles = {role for _, role in _named(images) if role}
        listed = {path for paths, _ in _named(images) for path in paths}
        is_whole = all(each.is_whole for each in lists)
        if (
            len(roles) == 1
            and all(role for _, role in _named(images))
            and is_whole
            and len(listed) >= _ALMOST_ALL * self._total
            and all(each.lines is not None for each in lists)
        ):
            return ()  # one table of all images, called train.csv
        names = sorted(e.name for e in lists if e.lines is None or images[e.name])
        if not names:
            return ()
        counts = Counter(role for _, role in _named(images) if role)
        told = ", ".join(f"{number:,} {role}" for role, number in counts.items())
        number = len(names)
        return (
            f"{some_of(names)} {agree(number, 'seems', 'seem')} to say the splits of "
            f"the images{f' ({told})' if told else ''}, and "
            f"{agree(number, 'is', 'are')} not read: the images' content decides. "
            f"{_MEND}",
        )


def _is_beside_images(entry: FileEntry, root: Folder) -> bool:
    """Tell whether a file is no image, and none of those that each image has."""
    folder = root.child_at("/".join(entry.parts[:-1])) if entry.parts[1:] else root
    return (
        folder is not None
        and len(folder.others) <= _MOST_FILES
        and (
            entry.parts[-1] in folder.others
            # A list may have no extension, as an image may.
            or ("." not in entry.parts[-1] and role_of(entry.parts[-1]) is not None)
        )
    )


def _named(images: Mapping[str, Sequence[Named]]) -> list[Named]:
    return [named for of_list in images.values() for named in of_list]


def _warn_of_others(
    images: Mapping[str, Sequence[Named]], split_folders: SplitFolders
) -> tuple[str, ...]:
    """Warn of lists that contradict the split folders."""
    folders = {path: role for role, paths in split_folders.items() for path in paths}
    warnings = []
    for name, named in images.items():
        others = []
        for paths, role in named:
            given = _role_of_path(paths[0], folders)
            if len(paths) == 1 and role and given and role != given:
                others.append((paths[0], given, role))
        if len(others) < _FEWEST_IMAGES:
            continue
        image, given, role = others[0]
        warnings.append(
            f"{name!r} gives {counted(len(others), 'image')} another split than their "
            f"folders, and is not read: {image!r} is in {given}, and by the list in "
            f"{role}. {_MEND}"
        )
    return tuple(warnings)


def _role_of_path(path: str, role_of_folder: Mapping[str, str]) -> str | None:
    return next(
        (r for folder, r in role_of_folder.items() if path.startswith(f"{folder}/")),
        None,
    )


def _places_of(root: Folder, lists: Sequence[SplitList]) -> Mapping[str, list[str]]:
    """Return the paths of images by their names, with and without extension."""
    wanted = {
        _name_of(listed.text)
        for each in lists
        for line in each.lines or ()
        for listed in line
    }
    places: dict[str, list[str]] = defaultdict(list)
    for folder in root.walk():
        for name in folder.images:
            stem = os.path.splitext(name)[0]
            for key in {name, stem} & wanted:
                places[key].append(f"{folder.path}/{name}" if folder.path else name)
    return places


def _images_of(found: SplitList, places: Mapping[str, Sequence[str]]) -> list[Named]:
    """Return the images that a list names, with their splits; none of other files."""
    lines = found.lines or []
    images: dict[tuple[str, ...], str | None] = {}
    num_naming = 0
    for line in lines:
        listed = [
            each
            for each in line
            if each.role or each.is_of_split or not found.has_splits
        ]
        pairs = [(_paths_of(each, places), each.role) for each in listed]
        named = [(paths, role) for paths, role in pairs if paths]
        num_naming += bool(named)
        images.update(named)
    share = 0 if found.has_splits else _SHARE_OF_LINES
    is_list = num_naming >= max(_FEWEST_IMAGES, share * len(lines))
    return [*images.items()] if is_list else []


def _paths_of(listed: Listed, places: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the images that a text may name; several where folders share names."""
    text = listed.text.strip().replace("\\", "/").removeprefix("./")
    found = places.get(_name_of(text), ())
    ends = f"/{text}"
    fitting = [
        path
        for path in found
        if f"/{path}".endswith(ends)
        or os.path.splitext(f"/{path}")[0].endswith(ends)
        or ends.endswith(f"/{path}")
    ]
    return tuple(fitting or found)


def _name_of(text: str) -> str:
    return text.strip().replace("\\", "/").rpartition("/")[2]
