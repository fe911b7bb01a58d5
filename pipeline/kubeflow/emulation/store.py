"""EMULATED: Kubeflow's object store and metadata store, in a folder.

They change data between steps as the real ones do; see docs/kubeflow-facts.md, 20 to
31. They follow the backend's source and were not compared with a cluster.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graft.storage import atomic

logger = logging.getLogger(__name__)

SCHEMES = {"minio": "minio", "s3": "s3", "gs": "gcs"}
"""Scheme to the folder where the launcher mounts such a store."""

SESSION_INFO = json.dumps({"Provider": "minio", "Params": {"fromEnv": "true"}})
"""How an artifact's bucket is reached; the launcher adds it to the metadata."""


class LauncherError(Exception):
    """The launcher would fail the step."""


class ObjectStore:
    """Buckets as folders: `minio://bucket/key` is `<folder>/minio/bucket/key`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, uri: str) -> Path:
        """Return the local path of an object or prefix.

        Raises:
            LauncherError: The launcher does not know the scheme.
        """
        scheme, _, rest = uri.partition("://")
        if scheme not in SCHEMES or not rest:
            raise LauncherError(f"no store for {uri!r}")
        return self._folder / scheme / rest

    def download(self, uri: str, target: Path) -> int:
        """Download an object, or all objects under a prefix; return the bytes."""
        source = self.path(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_file():
            shutil.copyfile(source, target)
            return source.stat().st_size
        num_bytes = 0
        for file in _files(source):
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
            num_bytes += file.stat().st_size
        return num_bytes

    def upload(self, source: Path, uri: str) -> int:
        """Upload a file, or the files of a folder; return the bytes.

        A missing path is only logged, as by the real launcher. Empty folders are
        dropped, because an object store has none.

        Raises:
            LauncherError: There is a link to a folder, which breaks the real upload.
        """
        target = self.path(uri)
        if not source.exists():
            logger.warning("%s does not exist; nothing is uploaded to %s", source, uri)
            return 0
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            return source.stat().st_size
        num_bytes = 0
        for file in _files(source):
            if file.is_symlink() and file.is_dir():
                raise LauncherError(f"{file} is a link to a folder")
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
            num_bytes += file.stat().st_size
        return num_bytes

    def size(self) -> int:
        """Return the total size of all objects, in bytes."""
        return sum(file.stat().st_size for file in _files(self._folder))


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in [*sorted(names), *folders]:
            path = Path(parent) / name
            if name in names or path.is_symlink():
                yield path


@dataclass(frozen=True)
class StoredArtifact:
    """An artifact in the metadata store.

    Attributes:
        number: Id of the artifact.
        uri: URI of its files.
        metadata: Metadata as the store returns it: lists and structs wrapped, booleans
            as numbers.
    """

    number: int
    uri: str
    metadata: dict[str, Any]

    def as_input(self, *, has_type_field: bool = True) -> dict[str, Any]:
        """Return the RuntimeArtifact that the next step receives, without its type."""
        artifact: dict[str, Any] = {
            "name": str(self.number),
            "uri": self.uri,
            "metadata": self.metadata,
        }
        if has_type_field:
            artifact["type"] = {"instanceSchema": ""}
        return artifact


class MetadataStore:
    """Artifacts, and the outputs of executions by cache key, in one JSON file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._state: dict[str, Any] = {"artifacts": [], "executions": {}}
        if path.is_file():
            self._state = json.loads(path.read_text(encoding="utf-8"))

    def add_artifact(
        self, key: str, uri: str, metadata: Mapping[str, Any]
    ) -> StoredArtifact:
        """Store an artifact under the next id.

        Raises:
            LauncherError: The metadata have a null, which fails the real step.
        """
        stored = {name: _to_mlmd(name, value) for name, value in metadata.items()}
        stored.setdefault("display_name", key)
        stored.setdefault("store_session_info", SESSION_INFO)
        with self._lock:
            number = len(self._state["artifacts"]) + 1
            artifact = StoredArtifact(number, uri, stored)
            self._state["artifacts"].append({"uri": uri, "metadata": stored})
            self._save()
        return artifact

    def find_execution(self, cache_key: str) -> dict[str, Any] | None:
        """Return the outputs of an earlier execution; None if there is none."""
        with self._lock:
            found = self._state["executions"].get(cache_key)
            if found is None:
                return None
            artifacts = {
                key: StoredArtifact(number, **self._state["artifacts"][number - 1])
                for key, number in found["artifacts"].items()
            }
        return {"artifacts": artifacts, "parameters": found["parameters"]}

    def add_execution(
        self,
        cache_key: str,
        artifacts: Mapping[str, StoredArtifact],
        parameters: Mapping[str, Any],
    ) -> None:
        """Store the outputs of an execution."""
        with self._lock:
            self._state["executions"][cache_key] = {
                "artifacts": {key: item.number for key, item in artifacts.items()},
                "parameters": dict(parameters),
            }
            self._save()

    def _save(self) -> None:
        atomic.write_text(str(self._path), json.dumps(self._state, indent=1))


def _to_mlmd(name: str, value: Any) -> Any:
    if value is None:
        raise LauncherError(f"metadata {name!r} is null")
    if isinstance(value, bool):
        return 1.0 if value else 0.0
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, list):
        return {"list": value}
    if isinstance(value, dict):
        return {"struct": value}
    return str(value)
