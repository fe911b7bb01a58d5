"""The work of `graft cache`: summarise, verify and prune a content store."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from graft.storage import files
from graft.storage.atomic import PARTIAL_SUFFIX
from graft.storage.content_store import store
from graft.storage.content_store.index_file import INDEX_SUFFIX
from graft.storage.content_store.pins import release_pins
from graft.storage.content_store.rows_file import RowsFileError, keys_of
from graft.storage.content_store.store import namespace_of
from graft.storage.content_store.store_files import (
    DAMAGED_SUFFIX,
    FILE_SUFFIX,
    NAMESPACE_FILE,
    read_verified,
)
from graft.storage.drivers import StorageError
from graft.storage.paths import is_remote, join, name_of

_NAMESPACE = re.compile("[0-9a-f]{32}")
_GRAPH = re.compile(r"openvino-[0-9.-]+\.zip")
_TORN_AFTER_SECONDS = 3600.0  # a newer partial file may still be written


@dataclass(frozen=True)
class NamespaceSummary:
    """The summary of a namespace that `graft cache` shows.

    Attributes:
        name: The namespace's folder.
        parts: Everything that decides a row except the image; empty if that is not
            known.
        note: What is wrong with the file that tells the parts; "" if nothing is.
        num_files: Number of files of rows.
        num_images: Number of images in them; -1 if not counted.
        num_bytes: Size of the files.
        num_damaged: Number of files that do not match the hash in their name, with the
            one that tells the parts and the backbone's graphs.
    """

    name: str
    parts: dict[str, Any]
    num_files: int
    num_images: int
    num_bytes: int
    num_damaged: int
    note: str = ""


def summarise(folder: str, *, verify: bool = True) -> Iterable[NamespaceSummary]:
    """Yield a summary of each namespace of a store.

    Args:
        folder: Folder of the store. It may be missing.
        verify: Read every file and compare its hash. If false, only the keys of local
            files are read, so that only a file that can't be opened counts as damaged.
    """
    if not files.exists(folder):
        return
    for name in files.list_folder(folder):
        path = join(folder, name)
        if not _is_namespace(name) or not files.is_folder(path):
            continue
        parts, note = _read_parts(path)
        paths = [
            join(path, entry)
            for entry in files.list_folder(path)
            if entry.endswith(FILE_SUFFIX)
        ]
        if not paths and not _is_there(path):
            continue
        keys: set[bytes] = set()
        num_bytes, num_damaged = 0, int(bool(note) and _is_there(path))
        for entry in paths:
            try:
                content = _content_of(entry, verify=verify)
            except FileNotFoundError:
                continue  # a run has renamed it as damaged
            found = None if content is None else _keys_of(content, name, parts)
            if content is None or found is None:
                num_damaged += 1
                continue
            num_bytes += len(content)
            keys.update(found)
        graphs = _damaged_graphs(path) if verify else []
        if graphs:
            num_damaged += len(graphs)
            what = f"{', '.join(graphs)} is damaged: `graft cache prune` removes it, "
            what += "and the next run builds it again"
            note = f"{note}; {what}" if note else what
        yield NamespaceSummary(
            name, parts, len(paths), len(keys), num_bytes, num_damaged, note
        )


def describe_parts(parts: Mapping[str, Any]) -> str:
    """Return what the rows of a namespace are, in a few words."""
    if not parts.get(store.FORMAT):
        return f"{_describe(parts)}, of an earlier graft, which this one does not read"
    return _describe(parts)


def _describe(parts: Mapping[str, Any]) -> str:
    match parts.get(store.KIND):
        case store.ANSWERS:
            return f"answers of model {parts.get('model')!s:.12}, {parts.get('way')}"
        case store.MEASUREMENTS:
            return "measurements of images"
        case _:
            return f"{parts.get('preset')}, {parts.get('engine')}"


def _damaged_graphs(namespace_folder: str) -> list[str]:
    """Return the names of the backbone's graphs that no run can read.

    An archive holds a checksum of each file in it. Stores on buckets have no graphs.
    """
    damaged: list[str] = []
    if is_remote(namespace_folder):
        return damaged
    for name in files.list_folder(namespace_folder):
        path = join(namespace_folder, name)
        if not _GRAPH.fullmatch(name):
            continue
        try:
            # A pipe would never end.
            is_damaged = not files.is_file(path)
            if not is_damaged:
                with zipfile.ZipFile(path) as archive:
                    is_damaged = archive.testzip() is not None
        except FileNotFoundError:
            continue  # a run is replacing it
        except (OSError, zipfile.BadZipFile, RuntimeError, zlib.error):
            is_damaged = True
        if is_damaged:
            damaged.append(name)
    return damaged


def _content_of(path: str, *, verify: bool) -> bytes | memoryview | None:
    """Return the content of a file of rows; None if it is damaged."""
    if verify or is_remote(path):
        return read_verified(path)
    try:
        # Only the pages that are used are read from the disk.
        return memoryview(pa.memory_map(path).read_buffer())
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException):
        return None


def _keys_of(
    content: bytes | memoryview, name: str, parts: Mapping[str, Any]
) -> list[bytes] | None:
    """Return the keys of a file; None if it is none of this namespace's."""
    try:
        namespace, keys = keys_of(content)
    except RowsFileError:
        return None
    tells_none = namespace is None and not parts.get(store.FORMAT)
    return keys if tells_none or namespace == name else None


def _is_namespace(name: str) -> bool:
    return _NAMESPACE.fullmatch(name) is not None


def _is_there(namespace_folder: str) -> bool:
    return NAMESPACE_FILE in files.list_folder(namespace_folder)


def _read_parts(namespace_folder: str) -> tuple[dict[str, Any], str]:
    """Return the parts of a namespace, and what is wrong with their file or ""."""
    again = "the next run that uses it writes it again"
    if not _is_there(namespace_folder):
        return {}, f"{NAMESPACE_FILE} is missing: {again}"
    try:
        parts = json.loads(
            files.read_small_text(join(namespace_folder, NAMESPACE_FILE))
        )
    except StorageError:
        raise
    except (OSError, ValueError, RecursionError):
        parts = None
    if isinstance(parts, dict) and namespace_of(parts) == name_of(namespace_folder):
        return parts, ""
    return (
        {},
        f"{NAMESPACE_FILE} is damaged: `graft cache prune` removes it, and {again}",
    )


def prune(folder: str, unused_seconds: float) -> list[str]:
    """Remove damaged files, unfinished writes, lone indexes and unused namespaces.

    A namespace that an artifact refers to stays.

    Args:
        folder: Local folder of the store.
        unused_seconds: Remove namespaces that no run has opened for this long.

    Returns:
        The paths removed.
    """
    now = time.time()
    removed = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if not _is_namespace(entry.name) or not entry.is_dir(follow_symlinks=False):
            continue
        readme = os.path.join(entry.path, NAMESPACE_FILE)
        if not os.path.lexists(readme):
            continue  # It may be a folder of somebody else.
        is_unused = now - os.lstat(readme).st_mtime > unused_seconds
        if is_unused and not release_pins(folder, entry.name):
            shutil.rmtree(entry.path)
            removed.append(entry.path)
            continue
        if _read_parts(entry.path)[1]:
            _remove(readme)
            removed.append(readme)
        for graph in _damaged_graphs(entry.path):
            _remove(join(entry.path, graph))
            removed.append(join(entry.path, graph))
        for file in sorted(os.scandir(entry.path), key=lambda file: file.name):
            is_torn = file.name.endswith(PARTIAL_SUFFIX) and (
                now - file.stat(follow_symlinks=False).st_mtime > _TORN_AFTER_SECONDS
            )
            is_alone = file.name.endswith(INDEX_SUFFIX) and not os.path.lexists(
                file.path.removesuffix(INDEX_SUFFIX) + FILE_SUFFIX
            )
            if is_torn or is_alone or file.name.endswith(DAMAGED_SUFFIX):
                _remove(file.path)
                removed.append(file.path)
    return removed


def pinned(folder: str) -> dict[str, list[str]]:
    """Return the namespaces that artifacts refer to, with the artifacts.

    Args:
        folder: Local folder of the store.
    """
    found = {
        name: release_pins(folder, name)
        for name in files.list_folder(folder)
        if _is_namespace(name)
    }
    return {name: artifacts for name, artifacts in found.items() if artifacts}


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)
