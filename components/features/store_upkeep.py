"""The work of `graft cache`: summarise, verify and prune a feature store."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from graft.components.features.store import keys_of
from graft.components.features.store_files import (
    DAMAGED_SUFFIX,
    FILE_SUFFIX,
    NAMESPACE_FILE,
    read_verified,
)
from graft.storage import files
from graft.storage.atomic import PARTIAL_SUFFIX
from graft.storage.paths import join

_TORN_AFTER_SECONDS = 3600.0  # a newer partial file may still be written


@dataclass(frozen=True)
class NamespaceSummary:
    """The summary of a namespace that `graft cache` shows.

    Attributes:
        name: The namespace's folder.
        parts: Everything that decides a feature except the image.
        num_files: Number of files of features.
        num_images: Number of images in them; -1 if not counted.
        num_bytes: Size of the files.
        num_damaged: Number of files that do not match the hash in their name.
    """

    name: str
    parts: dict[str, Any]
    num_files: int
    num_images: int
    num_bytes: int
    num_damaged: int


def summarise(folder: str) -> Iterable[NamespaceSummary]:
    """Verify every file of a store, and yield a summary of each namespace.

    Args:
        folder: Folder of the store. It may be missing.
    """
    if not files.exists(folder):
        return
    for name in files.list_folder(folder):
        path = join(folder, name)
        readme = join(path, NAMESPACE_FILE)
        if not files.exists(readme):
            continue
        parts = json.loads(files.read_text(readme))
        paths = [
            join(path, entry)
            for entry in files.list_folder(path)
            if entry.endswith(FILE_SUFFIX)
        ]
        keys: set[bytes] = set()
        num_bytes = num_damaged = 0
        for entry in paths:
            try:
                content = read_verified(entry)
            except FileNotFoundError:
                continue  # a run has renamed it as damaged
            if content is None:
                num_damaged += 1
                continue
            num_bytes += len(content)
            keys.update(keys_of(content))
        yield NamespaceSummary(
            name, parts, len(paths), len(keys), num_bytes, num_damaged
        )


def prune(folder: str, unused_seconds: float) -> list[str]:
    """Remove damaged files, unfinished writes and unused namespaces.

    Args:
        folder: Local folder of the store.
        unused_seconds: Remove namespaces that no run has opened for this long.

    Returns:
        The paths removed.
    """
    now = time.time()
    removed = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        readme = os.path.join(entry.path, NAMESPACE_FILE)
        if not os.path.exists(readme):
            continue
        if now - os.path.getmtime(readme) > unused_seconds:
            shutil.rmtree(entry.path)
            removed.append(entry.path)
            continue
        for file in sorted(os.scandir(entry.path), key=lambda file: file.name):
            is_torn = file.name.endswith(PARTIAL_SUFFIX) and (
                now - file.stat().st_mtime > _TORN_AFTER_SECONDS
            )
            if is_torn or file.name.endswith(DAMAGED_SUFFIX):
                os.unlink(file.path)
                removed.append(file.path)
    return removed
