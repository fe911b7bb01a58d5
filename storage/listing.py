"""List files with their sizes and modification times in one pass.

Local folders are read with `os.scandir`. An object store takes one request per page of
names.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from graft.storage import files
from graft.storage.drivers import SCHEMES, driver_of, errors_of
from graft.storage.paths import is_remote, join, name_of, scheme_of

_WILDCARDS = re.compile(r"[*?]")


class FileEntry(NamedTuple):
    """A file of a folder tree.

    Attributes:
        path: Path to open the file with.
        name: Path relative to the tree's root, with forward slashes.
        size: Size in bytes; None if unknown (a dangling link).
        modified: Modification time in nanoseconds since 1970; 0 if unknown.
    """

    path: str
    name: str
    size: int | None
    modified: int

    @property
    def parts(self) -> list[str]:
        """Parts of `name`: the folders, then the file."""
        return self.name.split("/")


@dataclass
class Tree:
    """The sorted files of a folder tree, and the names of its folders.

    Attributes:
        files: The files.
        folders: The folders, relative to the root.
        ignored: Ignored files and folders. Name to number of files: 1 for a file. The
            name of a folder ends with a slash.
        links_out: Symbolic links that lead out of the root, and where they lead. Empty
            if links are followed.
        loops: Symbolic links that lead back to a folder above them. Empty unless they
            are skipped.
    """

    files: list[FileEntry] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)
    links_out: dict[str, str] = field(default_factory=dict)
    loops: list[str] = field(default_factory=list)


Ignores = Callable[[str, bool], bool]
"""Tells whether to ignore a name. The second argument: whether it is a folder."""


def _nothing(name: str, is_folder: bool) -> bool:
    return False


def list_tree(
    root: str,
    is_ignored: Ignores = _nothing,
    marker: str | None = None,
    *,
    follow_links: bool = True,
    skip_loops: bool = False,
) -> Tree:
    """List all files below a folder.

    Args:
        root: A folder, local or remote.
        is_ignored: Returns whether to skip a file or folder, given its name.
        marker: A folder below the root that holds a file of this name is left out.
        follow_links: Follow symbolic links that lead out of the root. If not, they are
            named in the result. Other links are always followed.
        skip_loops: Name links that lead back to a folder above them in the result,
            instead of an error.

    Returns:
        The files, sorted by name.

    Raises:
        OSError: A folder can't be listed; `filename` is its path. With the `errno`
            ELOOP, the link `filename` leads back to the folder `filename2`.
    """
    tree = Tree()
    if is_remote(root):
        _sort_remote(list(_remote_files(root)), is_ignored, marker, tree)
    else:
        inside = None if follow_links else os.path.realpath(root)
        _Walk(tree, is_ignored, marker, inside, skip_loops=skip_loops).walk(
            root, "", {}
        )
    return tree


def entry_of(path: str, name: str) -> FileEntry:
    """Return the entry of one file. A missing file has no size."""
    if is_remote(path):
        try:
            return FileEntry(
                path, name, files.size_of(path), int(files.modified_at(path) * 1e9)
            )
        except FileNotFoundError:
            return FileEntry(path, name, None, 0)
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return FileEntry(path, name, None, 0)
    return FileEntry(path, name, status.st_size, status.st_mtime_ns)


def has_wildcards(pattern: str) -> bool:
    """Return whether a path is a pattern for `find_files`."""
    return bool(_WILDCARDS.search(pattern))


def find_files(pattern: str) -> list[FileEntry]:
    """List the files that match a pattern, sorted by path.

    Args:
        pattern: A path. `*` matches any text without a slash, `?` one character. All
            other characters are literal, brackets too.

    Returns:
        The files. Their names start below the last folder before a wildcard:
        `train/a` for the pattern `data/*/a`.

    Raises:
        OSError: A folder can't be listed.
    """
    first = _WILDCARDS.search(pattern)
    if first is None:
        return [entry_of(pattern, name_of(pattern))] if files.is_file(pattern) else []
    root = pattern[: first.start()].rpartition("/")[0]
    if not is_remote(pattern):
        start = "/" if pattern.startswith("/") and not root else root
        parts = pattern[len(root) :].strip("/").split("/")
        paths = sorted(_expand(start, parts))
        return [entry_of(path, _name_below(root, path)) for path in paths]
    expression = _expression(pattern)
    return sorted(
        entry._replace(name=_name_below(root, entry.path))
        for entry in _remote_files(root)
        if expression.fullmatch(entry.path)
    )


def _name_below(root: str, path: str) -> str:
    return path[len(root) :].lstrip("/")


def _expression(pattern: str) -> re.Pattern[str]:
    text = re.escape(pattern).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
    return re.compile(text, re.DOTALL)


def _expand(folder: str, parts: list[str]) -> Iterator[str]:
    """Yield the local files below a folder that match a pattern, given in parts."""
    expression = _expression(parts[0])
    if not has_wildcards(parts[0]):
        names = [parts[0]]
    elif os.path.isdir(folder or "."):
        names = [
            name
            for name in os.listdir(folder or ".")
            # As in a shell, wildcards don't match a leading dot.
            if expression.fullmatch(name)
            and (not name.startswith(".") or parts[0].startswith("."))
        ]
    else:
        names = []
    for name in names:
        path = os.path.join(folder, name)
        if len(parts) > 1:
            yield from _expand(path, parts[1:])
        elif os.path.isfile(path):
            yield path


def _remote_files(root: str) -> Iterator[FileEntry]:
    driver, key = driver_of(root)
    modified_key = SCHEMES[scheme_of(root)].modified_key
    with errors_of(root):
        found = driver.find(key, detail=True)
    prefix = key.strip("/") + "/"
    for path, info in found.items():
        name = path.strip("/").removeprefix(prefix)
        # A key with a trailing slash marks a folder.
        if path.endswith("/") or len(name) == len(path.strip("/")):
            continue
        modified = int(files.seconds_of(info.get(modified_key)) * 1e9)
        yield FileEntry(join(root, name), name, info.get("size"), modified)


def _sort_remote(
    entries: list[FileEntry], is_ignored: Ignores, marker: str | None, tree: Tree
) -> None:
    """Put objects into a tree, as a walk through folders would."""
    marked = {
        tuple(entry.parts[:-1])
        for entry in entries
        if entry.parts[-1] == marker and len(entry.parts) > 1
    }
    folders = set()
    for entry in sorted(entries):
        *above, last = entry.parts
        for depth, folder in enumerate(above, start=1):
            name = "/".join(above[:depth])
            if is_ignored(folder, True) or tuple(above[:depth]) in marked:
                tree.ignored[f"{name}/"] = tree.ignored.get(f"{name}/", 0) + 1
                break
            folders.add(name)
        else:
            if is_ignored(last, False):
                tree.ignored[entry.name] = 1
            else:
                tree.files.append(entry)
    tree.folders = sorted(folders)


class _Walk:
    """A walk through local folders that fills a tree.

    Args:
        tree: The tree to fill.
        is_ignored: See `list_tree`.
        marker: See `list_tree`.
        inside: The folder out of which no link is followed, without links in its path;
            None if all are followed.
        skip_loops: See `list_tree`.
    """

    def __init__(
        self,
        tree: Tree,
        is_ignored: Ignores,
        marker: str | None,
        inside: str | None,
        *,
        skip_loops: bool,
    ) -> None:
        self._tree = tree
        self._inside = inside
        self._skip_loops = skip_loops
        self._is_ignored = is_ignored
        self._marker = marker

    def walk(
        self, folder: str, name: str, ancestors: dict[tuple[int, int], str]
    ) -> None:
        """List a folder and those below it.

        Args:
            folder: Its path.
            name: The same, relative to the root.
            ancestors: Path by identity of the folders above it.
        """
        status = os.stat(folder)
        identity = (status.st_dev, status.st_ino)
        if identity in ancestors and self._skip_loops:
            self._tree.loops.append(name)
            return
        if identity in ancestors:
            message = "A symbolic link leads back to a folder that contains it"
            raise OSError(errno.ELOOP, message, folder, None, ancestors[identity])
        ancestors = {**ancestors, identity: folder}
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
        if name and any(entry.name == self._marker for entry in ordered):
            self._tree.ignored[f"{name}/"] = _number_of_files(folder)
            return
        if name:
            self._tree.folders.append(name)
        for entry in ordered:
            self._take(entry, f"{name}/{entry.name}" if name else entry.name, ancestors)

    def _take(
        self,
        entry: os.DirEntry[str],
        name: str,
        ancestors: dict[tuple[int, int], str],
    ) -> None:
        try:
            is_folder = entry.is_dir()
            status = entry.stat()
        except OSError:  # A dangling link, a loop of links, or no permission.
            is_folder, status = False, None
        if self._is_ignored(entry.name, is_folder):
            if is_folder and not entry.is_symlink():
                self._tree.ignored[f"{name}/"] = _number_of_files(entry.path)
            else:
                self._tree.ignored[name] = 1
        elif self._leads_out(entry):
            self._tree.links_out[name] = os.path.realpath(entry.path)
        elif is_folder:
            self.walk(entry.path, name, ancestors)
        elif status is None:
            self._tree.files.append(FileEntry(entry.path, name, None, 0))
        else:
            self._tree.files.append(
                FileEntry(entry.path, name, status.st_size, status.st_mtime_ns)
            )

    def _leads_out(self, entry: os.DirEntry[str]) -> bool:
        if self._inside is None or not entry.is_symlink():
            return False
        target = os.path.realpath(entry.path)
        return os.path.commonpath([self._inside, target]) != self._inside


def _number_of_files(folder: str) -> int:
    """Count the files below a folder; those that can't be listed don't count."""
    return sum(len(names) for _, _, names in os.walk(folder))
