"""Read the versions of a model store: numbered folders with a manifest each.

<store>/<model name>/
    1732233600/                 a version that TensorFlow Serving may load
        saved_model.pb, variables/, assets.extra/
        graft_manifest.json     origin, verdict, and the SHA-256 of every file
    .1732237200.partial/        an unfinished push; servers skip such names
    .1732100000.removed/        an old version that is being removed
    .lock                       held by a process that changes the store
    .17.damaged-20261129-120000/  set aside by `graft models --repair`
    graft_audit.jsonl           who changed what, and why
    graft_change.json           the change that is under way
    graft_labels.json           version labels
    models.config               the same for TensorFlow Serving
    drift.json                  whether the data have drifted

A folder is a version if its name is a number and it holds `saved_model.pb`.
"""

from __future__ import annotations

import json
import logging
import os
import posixpath
from dataclasses import dataclass
from typing import Any

from graft.components.publishing.store_files import read_json
from graft.contract.errors import UserError
from graft.storage import files, hashing
from graft.storage.drivers import StorageError
from graft.storage.paths import join

MANIFEST_NAME = "graft_manifest.json"
GRAPH_NAME = "saved_model.pb"
"""A server loads no version without this file. Object storage gets it last."""
MANIFEST_HASH = "manifest_hash"
"""Key of a manifest: the hash of its other values."""
UNREADABLE = ""
"""In place of the hash of a file that can't be read."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Version:
    """A version folder.

    Attributes:
        number: Its name as an integer. The greatest is served by default.
        path: Path or URI of the folder.
        manifest: Content of its manifest; empty if it has none or a damaged one.
        manifest_damage: What is wrong with its manifest; None for a sound or missing
            one.
    """

    number: int
    path: str
    manifest: dict[str, Any]
    manifest_damage: str | None = None

    @property
    def files_hash(self) -> str:
        """Hash of the hashes of its files. It identifies the model."""
        return hashing.hash_json(self.manifest.get("files"))

    def hash_files(self) -> dict[str, str]:
        """Return `hash_files` of its folder, with the sizes that its manifest knows."""
        sizes = self.manifest.get("sizes")
        return hash_files(self.path, sizes if isinstance(sizes, dict) else None)


def list_versions(model_folder: str) -> list[Version]:
    """Return the complete versions, oldest first; none for a missing folder."""
    versions = []
    for name in files.list_folder(model_folder) if files.exists(model_folder) else ():
        path = join(model_folder, name)
        if not is_version_name(name) or not files.is_file(join(path, GRAPH_NAME)):
            continue
        manifest, damage = _manifest_of(path)
        versions.append(Version(int(name), path, manifest, damage))
    return sorted(versions, key=lambda version: version.number)


def is_version_name(name: str) -> bool:
    """Return whether a server would take a folder of this name for a version."""
    return name.isascii() and name.isdecimal() and int(name) < 2**63


def read_manifest(path: str) -> dict[str, Any]:
    """Return a version's manifest; empty if it has none, or a damaged one."""
    return _manifest_of(path)[0]


def _manifest_of(path: str) -> tuple[dict[str, Any], str | None]:
    manifest, damage = read_json(os.path.join(path, MANIFEST_NAME), dict)
    if manifest is None:
        return {}, damage
    promised = manifest.get("files")
    if promised is not None and not _are_hashes(promised):
        return {}, "lists its files in no valid way"
    return manifest, None


def _are_hashes(promised: Any) -> bool:
    return isinstance(promised, dict) and all(
        isinstance(each, str) for each in promised.values()
    )


def hash_files(folder: str, sizes: dict[str, int] | None = None) -> dict[str, str]:
    """Return relative path to SHA-256 (hexadecimal) of every file but the manifest.

    A file that can't be read has `UNREADABLE` instead: a pipe, a link to nowhere.

    Args:
        folder: The version, or a SavedModel.
        sizes: Relative path to expected size, if it is known. A file of another size is
            not read, since it may be huge. Its size stands for its hash.

    Raises:
        UserError: The folder can't be reached, or a file may not be read.
    """
    hashes = {}
    try:
        for path in files.files_below(folder):
            relative = posixpath.relpath(path, folder)
            if relative != MANIFEST_NAME:
                hashes[relative] = _identify(path, (sizes or {}).get(relative))
    except (StorageError, PermissionError) as error:
        raise UserError(f"{folder!r} can't be read: {error}") from error
    return hashes


def _identify(path: str, expected_size: int | None) -> str:
    try:
        if expected_size is not None:
            size = files.size_of(path)
            if size != expected_size:
                return f"{size} bytes"
        return hashing.hash_file(path)
    except (StorageError, PermissionError):
        raise
    except OSError as error:
        logger.warning("%s can't be read: %s", path, error)
        return UNREADABLE


def with_hash(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest as JSON reads it, with a hash of all its other values."""
    values = json.loads(json.dumps(manifest))
    values.pop(MANIFEST_HASH, None)
    return {**values, MANIFEST_HASH: hashing.hash_json(values)}


def is_changed(manifest: dict[str, Any]) -> bool:
    """Return whether a manifest has changed since it was written.

    One of an older version of graft has no hash: nothing tells whether it has.
    """
    return MANIFEST_HASH in manifest and with_hash(manifest) != manifest


def find_damage(version: Version) -> list[str]:
    """Return a sentence per file of a version that is not as it was published."""
    changed = [f"{MANIFEST_NAME} is not what was published"]
    return [
        *(changed if is_changed(version.manifest) else []),
        *find_file_damage(version),
    ]


def find_file_damage(version: Version) -> list[str]:
    """Return one line per difference between a version's files and its manifest."""
    promised: dict[str, str] = version.manifest.get("files") or {}
    if not promised:
        if version.manifest_damage is not None:
            return [f"{MANIFEST_NAME} {version.manifest_damage}"]
        return [f"version {version.number} has no manifest"]
    return compare_files(promised, version.hash_files(), "published")


def compare_files(
    expected: dict[str, str], found: dict[str, str], verb: str
) -> list[str]:
    """Return a sentence per file that differs.

    Args:
        expected: Relative path to hash.
        found: The same of the files that are there.
        verb: What was done with the expected files: `published`, `judged`.
    """
    common = expected.keys() & found.keys()
    unreadable = {name for name in common if found[name] == UNREADABLE}
    return [
        *(f"{name} can't be read" for name in sorted(unreadable)),
        *(f"{name} is missing" for name in sorted(expected.keys() - common)),
        *(
            f"{name} is not what was {verb}"
            for name in sorted(common)
            if expected[name] != found[name] and name not in unreadable
        ),
        *(f"{name} was not {verb}" for name in sorted(found.keys() - common)),
    ]
