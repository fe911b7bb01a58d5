"""The folder tree of a data set, and the number of images in each folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from graft.storage.left_aside import kind_of_file


@dataclass
class Folder:
    """A folder. Files are judged by their names; no file is opened.

    Attributes:
        path: Path relative to the data set's root; "" for the root.
        images: Names of possible images directly in the folder.
        others: Names of other files directly in the folder, such as label tables.
        children: Subfolders by name.
        total: Number of possible images at any depth.
    """

    path: str = ""
    images: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    children: dict[str, Folder] = field(default_factory=dict)
    total: int = 0

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def filled(self) -> list[Folder]:
        """The subfolders that hold images at any depth."""
        return [child for child in self.children.values() if child.total]

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of the images directly in the folder, to look them up."""
        return frozenset(self.images)

    @cached_property
    def stems(self) -> list[str]:
        """The names of the images directly in the folder, without extension."""
        return [os.path.splitext(name)[0] for name in self.images]

    @property
    def is_flat(self) -> bool:
        """Whether no subfolder holds images."""
        return self.total == len(self.images)

    def child_at(self, path: str) -> Folder | None:
        """Return the folder at a relative path, or None."""
        found: Folder | None = self
        for part in path.split("/"):
            found = found.children.get(part) if found else None
        return found

    def as_root(self) -> Folder:
        """Return a copy whose paths are relative to this folder."""
        return self._moved(len(self.path) + 1 if self.path else 0)

    def _moved(self, cut: int) -> Folder:
        children = {name: child._moved(cut) for name, child in self.children.items()}
        return Folder(self.path[cut:], self.images, self.others, children, self.total)

    def walk(self) -> Iterator[Folder]:
        """Yield this folder and all its subfolders at any depth."""
        yield self
        for child in self.children.values():
            yield from child.walk()


def count_folders(files: Iterable[str], folders: Iterable[str] = ()) -> Folder:
    """Build the folders of a listing.

    Args:
        files: Names of files relative to the root, with forward slashes.
        folders: Names of folders, empty ones included.
    """
    root = Folder()
    known = {"": root}

    def folder_of(path: str) -> Folder:
        if path not in known:
            above, _, name = path.rpartition("/")
            known[path] = folder_of(above).children.setdefault(name, Folder(path))
        return known[path]

    for path in folders:
        folder_of(path)
    for file in files:
        above, _, name = file.rpartition("/")
        folder = folder_of(above)
        (folder.others if kind_of_file(name) else folder.images).append(name)
    _add_up(root)
    return root


def _add_up(folder: Folder) -> int:
    folder.total = len(folder.images) + sum(map(_add_up, folder.children.values()))
    return folder.total
