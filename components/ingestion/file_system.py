"""Listing and opening files: cheaply on a local disk, by Apache Beam anywhere else.

A listing is one pass that brings names, sizes and times of change together. Locally it
is `os.scandir`; in an object store it is one request per page of names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any, NamedTuple

from graft.contract.errors import DataError

_IGNORED_NAMES = frozenset(
    ["thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir"]
)


class FileEntry(NamedTuple):
    """One file of a tree.

    Attributes:
        path: How to open it.
        name: Path relative to the tree's root, with forward slashes.
        size: Size in bytes; None where it can't be told (a dangling link).
        modified: Time of the last change, in nanoseconds (0 where nobody knows).
    """

    path: str
    name: str
    size: int | None
    modified: int

    @property
    def parts(self) -> list[str]:
        """The names of its folders, below the root, and of the file."""
        return self.name.split("/")


@dataclass
class Tree:
    """A folder's files, in the order of their names, and the names of its folders."""

    files: list[FileEntry] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)


def is_remote(path: str) -> bool:
    """Tell whether `path` has a scheme, as in gs://bucket/folder."""
    return "://" in path


def local_path(path: str) -> str:
    """Expand `~` of a local path; leave a remote one as it is."""
    return path if is_remote(path) else os.path.expanduser(path)


def join(folder: str, name: str) -> str:
    """Return the path of `name` in `folder`; an absolute `name` stands for itself."""
    if is_remote(name) or os.path.isabs(name):
        return name
    if is_remote(folder):
        return f"{folder.rstrip('/')}/{name}"
    return os.path.join(folder, name)


def is_folder(path: str) -> bool:
    """Tell whether `path` is a folder, or in an object store the start of names."""
    if not is_remote(path):
        return os.path.isdir(path)
    return not is_file(path) and bool(_match(path.rstrip("/") + "/**", limit=1))


def is_file(path: str) -> bool:
    """Tell whether `path` is a file that exists."""
    if not is_remote(path):
        return os.path.isfile(path)
    return any(found.path == path for found in _match(path))


def open_file(path: str) -> IO[bytes]:
    """Open a file for reading bytes.

    Raises:
        OSError: It can't be opened.
    """
    if not is_remote(path):
        return open(path, "rb")
    from apache_beam.io.filesystem import BeamIOError
    from apache_beam.io.filesystems import FileSystems

    try:
        opened: IO[bytes] = FileSystems.open(path, compression_type="uncompressed")
    except BeamIOError as error:
        raise OSError(str(error)) from error
    return opened


def glob(pattern: str) -> list[FileEntry]:
    """List the files that match a pattern, in the order of their names."""
    if is_remote(pattern):
        return sorted(
            FileEntry(
                found.path,
                found.path.rsplit("/", 1)[1],
                found.size_in_bytes,
                int(found.last_updated_in_seconds * 1e9),
            )
            for found in _match(pattern)
        )
    import glob as local

    paths = [path for path in local.glob(pattern) if os.path.isfile(path)]
    return [stat_file(path, os.path.basename(path)) for path in sorted(paths)]


def stat_file(path: str, name: str) -> FileEntry:
    """Return the entry of one local file, without a size if there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return FileEntry(path, name, None, 0)
    return FileEntry(path, name, status.st_size, status.st_mtime_ns)


def list_tree(root: str) -> Tree:
    """List all files below a folder, but for hidden ones and those of file managers.

    Args:
        root: A folder, local or remote. Links to folders are followed.

    Returns:
        The files, in the order of their names.

    Raises:
        DataError: A folder can't be listed, or a link leads back to where it came from.
    """
    tree = Tree()
    if is_remote(root):
        prefix = root.rstrip("/") + "/"
        for found in _match(prefix + "**"):
            name = found.path[len(prefix) :]
            if name.endswith("/") or any(map(_is_ignored, name.split("/"))):
                continue
            modified = int(found.last_updated_in_seconds * 1e9)
            tree.files.append(
                FileEntry(found.path, name, found.size_in_bytes, modified)
            )
        tree.files.sort()
        folders = {
            "/".join(entry.parts[:depth])
            for entry in tree.files
            for depth in range(1, len(entry.parts))
        }
        tree.folders = sorted(folders)
    else:
        for found in _walk(root, "", {}):
            if isinstance(found, str):
                tree.folders.append(found)
            else:
                tree.files.append(found)
    return tree


def _is_ignored(name: str) -> bool:
    return name.startswith(".") or name.lower() in _IGNORED_NAMES


def _walk(
    folder: str, name: str, ancestors: dict[tuple[int, int], str]
) -> Iterator[FileEntry | str]:
    try:
        status = os.stat(folder)
        identity = (status.st_dev, status.st_ino)
        if identity in ancestors:
            raise DataError(
                f"A symbolic link leads back to a folder that contains it: {folder!r} "
                f"is {ancestors[identity]!r} again. Remove the link."
            )
        ancestors = {**ancestors, identity: folder}
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"The folder {folder!r} can't be listed: {error.strerror}. Give this user "
            "the right to read it, or move it out of the data."
        ) from error
    for entry in ordered:
        if _is_ignored(entry.name):
            continue
        relative = f"{name}/{entry.name}" if name else entry.name
        try:
            is_folder_entry = entry.is_dir()
            status = entry.stat()
        except OSError:  # a dangling link, a loop of links, no permission
            yield FileEntry(entry.path, relative, None, 0)
            continue
        if is_folder_entry:
            yield relative
            yield from _walk(entry.path, relative, ancestors)
        else:
            yield FileEntry(entry.path, relative, status.st_size, status.st_mtime_ns)


def _match(pattern: str, limit: int | None = None) -> list[Any]:
    from apache_beam.io.filesystem import BeamIOError
    from apache_beam.io.filesystems import FileSystems

    try:
        results = FileSystems.match([pattern], None if limit is None else [limit])
    except (BeamIOError, ValueError, ImportError) as error:
        raise DataError(
            f"{pattern!r} can't be listed: {error}. Check the address, the credentials "
            "and that the file system's extra of apache-beam is installed."
        ) from error
    return list(results[0].metadata_list)
