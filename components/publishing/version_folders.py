"""Create and remove version folders so that a server sees a whole version or none.

A local version is copied to a hidden folder, flushed to disk and renamed. Object
storage has no rename. There `saved_model.pb` is written last and removed first: a
server loads no version without it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable
from typing import Any

from graft.components.publishing.audit import current_time, current_user, read_audit
from graft.components.publishing.versions import (
    GRAPH_NAME,
    MANIFEST_NAME,
    Version,
    is_version_name,
    with_hash,
)
from graft.contract.errors import UserError
from graft.storage import atomic, conditional, files, hashing
from graft.storage.leases import LeaseLostError
from graft.storage.paths import is_remote

_PARTIAL = ".partial"
_REMOVED = ".removed"
# On object storage a push that did not finish within a day was killed.
_ABANDONED_SECONDS = 24 * 3600
# A time in nanoseconds is below it, and each later version finds a number above it.
_GREATEST_NUMBER = 2**62


def next_number(model_folder: str) -> int:
    """Return the number of a new version: the time, or greater than all before.

    Raises:
        UserError: A folder has so great a number that later versions would find none.
    """
    names = files.list_folder(model_folder) if files.exists(model_folder) else []
    taken = [int(name) for name in names if is_version_name(name)]
    taken += [line["version"] for line in read_audit(model_folder) if "version" in line]
    number = max(int(time.time()), max(taken, default=0) + 1)
    if number > _GREATEST_NUMBER:
        raise UserError(
            f"Nothing was changed: {model_folder!r} has the version {number - 1}. "
            "graft numbers versions by the time in seconds, each greater than all "
            f"before, and none above {_GREATEST_NUMBER}: servers take no number from "
            "2^63 on. Move that folder away."
        )
    return number


def make_manifest(
    source: str, number: int, record: dict[str, Any], hashes: dict[str, str]
) -> dict[str, Any]:
    """Return the manifest of a new version.

    Args:
        source: The SavedModel.
        number: The version's number, from `next_number`.
        record: Goes into the manifest.
        hashes: Relative path to SHA-256 of the files.
    """
    sizes = {name: files.size_of(os.path.join(source, name)) for name in hashes}
    return with_hash(
        {
            **record,
            "version": number,
            "published_at": current_time(),
            "published_by": current_user(),
            "files": hashes,
            "sizes": sizes,
        }
    )


def add_version(
    source: str,
    model_folder: str,
    manifest: dict[str, Any],
    *,
    confirm: Callable[[], None],
) -> Version:
    """Copy a SavedModel into a new version folder and write its manifest.

    After an error nothing of the version is left.

    Args:
        source: The SavedModel.
        model_folder: `<store>/<model name>`.
        manifest: From `make_manifest`.
        confirm: Called right before the version appears, on object storage before each
            file. It raises if the version must not appear.

    Raises:
        OSError: A file no longer has its hash, or the store isn't writable.
    """
    number: int = manifest["version"]
    hashes: dict[str, str] = manifest["files"]
    text = json.dumps(manifest, indent=1, sort_keys=True)
    final = os.path.join(model_folder, str(number))
    # The graph comes last: it makes the version complete.
    names = sorted(hashes, key=lambda name: (name == GRAPH_NAME, name))
    is_at_hand = not is_remote(model_folder)
    folder = os.path.join(model_folder, f".{number}{_PARTIAL}") if is_at_hand else final
    try:
        _write_manifest(os.path.join(folder, MANIFEST_NAME), text)
        for name in names:
            if not is_at_hand:
                confirm()
            _copy(os.path.join(source, name), os.path.join(folder, name), hashes[name])
        if is_at_hand:
            for parent, _, _ in os.walk(folder):
                atomic.flush(parent)
            confirm()
            os.rename(folder, final)
    except LeaseLostError:
        # The process that took the lock over has removed the folder.
        raise
    except BaseException:
        with contextlib.suppress(OSError):
            files.remove_folder(folder)
        raise
    if is_at_hand:
        atomic.flush(model_folder)
    return Version(number, final, manifest)


def _write_manifest(path: str, text: str) -> None:
    """Write the manifest. On object storage it takes the number, once for all."""
    if not is_remote(path):
        atomic.write_text(path, text)
    elif not conditional.write(path, text.encode(), None):
        raise LeaseLostError(f"Another process publishes {path!r} now.")


def remove_version(model_folder: str, version: Version) -> None:
    """Remove a version in one step, as seen by a server."""
    if is_remote(model_folder):
        files.remove_file(os.path.join(version.path, GRAPH_NAME))
        files.remove_folder(version.path)
        return
    hidden = os.path.join(model_folder, f".{version.number}{_REMOVED}")
    os.rename(version.path, hidden)
    files.remove_folder(hidden)


def is_unfinished(name: str) -> bool:
    """Return whether a local folder's name marks an unfinished copy or removal."""
    return name.startswith(".") and name.endswith((_PARTIAL, _REMOVED))


def remove_abandoned(model_folder: str) -> None:
    """Remove what killed pushes have left on object storage."""
    if not files.exists(model_folder):
        return
    for name in files.list_folder(model_folder):
        path = os.path.join(model_folder, name)
        if (
            name.isdecimal()
            and int(name) < time.time() - _ABANDONED_SECONDS
            and not files.exists(os.path.join(path, GRAPH_NAME))
            and files.is_folder(path)
        ):
            files.remove_folder(path)


def _copy(source: str, target: str, expected_hash: str) -> None:
    """Copy a file atomically and check its hash."""
    digest = hashlib.sha256()
    with atomic.replacing(target) as written:
        with files.open_for_reading(source) as reader, open(written, "wb") as writer:
            while block := reader.read(hashing.BLOCK_BYTES):
                digest.update(block)
                writer.write(block)
        if digest.hexdigest() != expected_hash:
            raise OSError(f"{source!r} changed while it was copied to {target!r}")
