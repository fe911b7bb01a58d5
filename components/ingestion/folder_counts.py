"""The folders of a data set and how many images lie in each, by names alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from graft.storage.left_aside import kind_of_file


@dataclass
class Folder:
    """One folder.

    Attributes:
        path: Path below the data set's root; "" of the root itself.
        images: Names of the files directly in it that may be images.
        others: Names of the other files directly in it, such as tables of labels.
        children: Its folders, by name.
        total: Number of possible images in it and below it.
    """

    path: str = ""
    images: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    children: dict[str, Folder] = field(default_factory=dict)
    total: int = 0

    @property
    def name(self) -> str:
        """Its own name, the last part of its path."""
        return self.path.rpartition("/")[2]

    @property
    def filled(self) -> list[Folder]:
        """Its folders that hold images, at any depth."""
        return [child for child in self.children.values() if child.total]

    @property
    def is_flat(self) -> bool:
        """Whether all of its images lie directly in it."""
        return self.total == len(self.images)

    def child_at(self, path: str) -> Folder | None:
        """Return the folder at a path below this one, or None."""
        found: Folder | None = self
        for part in path.split("/"):
            found = found.children.get(part) if found else None
        return found

    def as_root(self) -> Folder:
        """Return this folder as the root of its own listing."""
        return self._moved(len(self.path) + 1 if self.path else 0)

    def _moved(self, cut: int) -> Folder:
        children = {name: child._moved(cut) for name, child in self.children.items()}
        return Folder(self.path[cut:], self.images, self.others, children, self.total)

    def walk(self) -> Iterator[Folder]:
        """Yield this folder and all below it."""
        yield self
        for child in self.children.values():
            yield from child.walk()


def count_folders(files: Iterable[str], folders: Iterable[str] = ()) -> Folder:
    """Build the folders of a listing.

    Args:
        files: Names of files relative to the root, with forward slashes.
        folders: Names of folders, of which some may be empty.
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
