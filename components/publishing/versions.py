"""Read the versions of a model store: numbered folders with a manifest each.

<store>/<model name>/
    1732233600/                 a version that TensorFlow Serving may load
        saved_model.pb, variables/, assets.extra/
        graft_manifest.json     origin, verdict, and the SHA-256 of every file
    .1732237200.partial/        an unfinished push; servers skip such names
    .1732100000.removed/        an old version that is being removed
    .lock                       held by a process that changes the store (local only)
    graft_audit.jsonl           who changed what, and why
    graft_labels.json           version labels
    models.config               the same for TensorFlow Serving
    drift.json                  whether the data have drifted

A folder is a version if its name is a number and it holds `saved_model.pb`.
"""

from __future__ import annotations

import json
import os
import posixpath
from dataclasses import dataclass
from typing import Any

from graft.storage import files, hashing

MANIFEST_NAME = "graft_manifest.json"
GRAPH_NAME = "saved_model.pb"
"""A server loads no version without this file. Object storage gets it last."""


@dataclass(frozen=True)
class Version:
    """A version folder.

    Attributes:
        number: Its name as an integer. The greatest is served by default.
        path: Path or URI of the folder.
        manifest: Content of its manifest; empty if it has none.
    """

    number: int
    path: str
    manifest: dict[str, Any]

    @property
    def files_hash(self) -> str:
        """Hash of the hashes of its files. It identifies the model."""
        return hashing.hash_json(self.manifest.get("files"))


def list_versions(model_folder: str) -> list[Version]:
    """Return the complete versions, oldest first; none for a missing folder."""
    versions = []
    for name in files.list_folder(model_folder) if files.exists(model_folder) else ():
        path = os.path.join(model_folder, name)
        if not name.isdecimal() or not files.exists(os.path.join(path, GRAPH_NAME)):
            continue
        versions.append(Version(int(name), path, read_manifest(path)))
    return sorted(versions, key=lambda version: version.number)


def read_manifest(path: str) -> dict[str, Any]:
    """Return a version's manifest, or an empty dict if graft did not publish it."""
    manifest_path = os.path.join(path, MANIFEST_NAME)
    if not files.exists(manifest_path):
        return {}
    manifest: dict[str, Any] = json.loads(files.read_text(manifest_path))
    return manifest


def hash_files(folder: str) -> dict[str, str]:
    """Return relative path to SHA-256 (hexadecimal) of every file but the manifest."""
    hashes = {}
    for path in files.files_below(folder):
        relative = posixpath.relpath(path, folder)
        if relative != MANIFEST_NAME:
            hashes[relative] = hashing.hash_file(path)
    return dict(sorted(hashes.items()))


def find_damage(version: Version) -> list[str]:
    """Return one line per difference between a version's files and its manifest."""
    promised: dict[str, str] = version.manifest.get("files", {})
    if not promised:
        return [f"version {version.number} has no manifest"]
    found = hash_files(version.path)
    damage = [f"{name} is missing" for name in sorted(set(promised) - set(found))]
    damage += [
        f"{name} is not what was published"
        for name in sorted(set(promised) & set(found))
        if promised[name] != found[name]
    ]
    damage += [
        f"{name} was not published" for name in sorted(set(found) - set(promised))
    ]
    return damage
