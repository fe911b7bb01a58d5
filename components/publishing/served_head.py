"""Find the head of the version in production, for a training to start from."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from graft.components.publishing.production import served_version
from graft.components.publishing.versions import (
    Version,
    compare_files,
    is_changed,
)
from graft.contract.errors import UserError
from graft.contract.signature_names import CLASS_NAMES_ASSET, LINEAR_HEAD_FILE
from graft.storage import copying, hashing
from graft.storage.paths import is_remote, join

logger = logging.getLogger(__name__)

_HEAD_FILE = f"assets.extra/{LINEAR_HEAD_FILE}"
_FILES = _HEAD_FILE, f"assets.extra/{CLASS_NAMES_ASSET}"
_VARIABLES = "variables/"


@dataclass(frozen=True)
class ServedHead:
    """Where the head in production is.

    Attributes:
        version: Number of the version; 0 if there is none, or if it can't be read.
        folder: Local folder with the files of the head, in the layout of a SavedModel.
        obstacle: Why there is no head, a sentence without a full stop; else empty.
    """

    version: int
    folder: str = ""
    obstacle: str = ""


def find_served_head(model_folder: str, scratch: str) -> ServedHead:
    """Find the files with the head in production, and verify them by their hashes.

    Those of a local store are used where they are. A training goes without a head, so
    nothing here ends it.

    Args:
        model_folder: `<store>/<model name>`.
        scratch: An empty local folder, for the files of a store in a bucket.
    """
    try:
        version = served_version(model_folder)
        if version is None:
            return ServedHead(0, obstacle="no version is in production")
        folder = scratch if is_remote(version.path) else version.path
        return ServedHead(version.number, folder, _fetch(version, folder))
    except (OSError, UserError) as error:
        logger.warning("No head of %s can be read: %s", model_folder, error)
        return ServedHead(0, obstacle="the model store can't be read here")


def _fetch(version: Version, folder: str) -> str:
    """Bring the files of a head to a folder; return why they can't be used, or ""."""
    if version.manifest_damage is not None or is_changed(version.manifest):
        return f"the manifest of version {version.number} is damaged"
    promised: dict[str, str] = version.manifest.get("files") or {}
    if _HEAD_FILE not in promised:
        return f"version {version.number} holds no head that a solver can start from"
    wanted = {
        name: hash_
        for name, hash_ in promised.items()
        if name in _FILES or name.startswith(_VARIABLES)
    }
    if folder != version.path:
        for name in wanted:
            copying.copy_file(join(version.path, name), join(folder, name))
    found = {name: hashing.hash_file(join(folder, name)) for name in wanted}
    damage = compare_files(wanted, found, "published")
    if damage:
        logger.warning("Version %d: %s", version.number, "; ".join(damage[:3]))
        return f"the files of version {version.number} are damaged"
    return ""
