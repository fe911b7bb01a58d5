"""A model store: numbered version folders with a manifest each, published atomically.

    <store>/<model name>/
        1732233600/                 a version that TensorFlow Serving may load
            saved_model.pb, variables/, assets.extra/
            graft_manifest.json     what it is, and the SHA-256 of every file
        .1732237200.partial/        a push under way; servers skip names like this
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import time
from dataclasses import dataclass
from typing import Any

from tfx.dsl.io import fileio

MANIFEST_NAME = "graft_manifest.json"
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Version:
    """A version folder.

    Attributes:
        number: Its name as an integer; the greatest is served by default.
        path: Where it lies.
        manifest: What was recorded when it was published; empty when it has none.
    """

    number: int
    path: str
    manifest: dict[str, Any]


def list_versions(model_folder: str) -> list[Version]:
    """Return the published versions, oldest first; none for a missing folder."""
    if not fileio.exists(model_folder):
        return []
    versions = []
    for name in fileio.listdir(model_folder):
        name = name.rstrip("/")
        if not name.isdecimal():
            continue
        path = os.path.join(model_folder, name)
        manifest_path = os.path.join(path, MANIFEST_NAME)
        manifest = {}
        if fileio.exists(manifest_path):
            with fileio.open(manifest_path, "r") as file:
                manifest = json.loads(file.read())
        versions.append(Version(int(name), path, manifest))
    return sorted(versions, key=lambda version: version.number)


def hash_files(folder: str) -> dict[str, str]:
    """Return relative path to SHA-256 (hexadecimal) of every file below `folder`."""
    hashes = {}
    for parent, _, names in fileio.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            digest = hashlib.sha256()
            with fileio.open(path, "rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
            relative = posixpath.relpath(path, folder)
            if relative != MANIFEST_NAME:
                hashes[relative] = digest.hexdigest()
    return dict(sorted(hashes.items()))


def publish(
    model_path: str, model_folder: str, record: dict[str, Any], keep_versions: int
) -> Version:
    """Publish a SavedModel as a new version; publishing the newest one again is no work.

    Args:
        model_path: The SavedModel.
        model_folder: `<store>/<model name>`.
        record: What the manifest shall say beside the hashes.
        keep_versions: How many versions to keep, the new one included.

    Returns:
        The version that now is the newest.
    """
    hashes = hash_files(model_path)
    fileio.makedirs(model_folder)
    _remove_partial(model_folder)
    versions = list_versions(model_folder)
    if versions and versions[-1].manifest.get("files") == hashes:
        return versions[-1]
    latest = versions[-1].number if versions else 0
    number = max(int(time.time()), latest + 1)
    partial = os.path.join(model_folder, f".{number}.partial")
    for relative in hashes:
        target = os.path.join(partial, relative)
        fileio.makedirs(os.path.dirname(target))
        fileio.copy(os.path.join(model_path, relative), target, overwrite=True)
    manifest = {**record, "version": number, "files": hashes}
    with fileio.open(os.path.join(partial, MANIFEST_NAME), "w") as file:
        file.write(json.dumps(manifest, indent=1, sort_keys=True))
    final = os.path.join(model_folder, str(number))
    fileio.rename(partial, final)
    for old in versions[: max(0, len(versions) + 1 - keep_versions)]:
        fileio.rmtree(old.path)
    return Version(number, final, manifest)


def _remove_partial(model_folder: str) -> None:
    """Remove what a killed push left; no server ever saw it."""
    for name in fileio.listdir(model_folder):
        name = name.rstrip("/")
        if name.startswith(".") and name.endswith(".partial"):
            fileio.rmtree(os.path.join(model_folder, name))
