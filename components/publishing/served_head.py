"""Copy the head of the version in production, for a training to start from."""

from __future__ import annotations

import logging

from graft.components.publishing.production import served_version
from graft.components.publishing.versions import (
    Version,
    compare_files,
    hash_files,
    is_changed,
)
from graft.contract.errors import UserError
from graft.contract.signature_names import CLASS_NAMES_ASSET, LINEAR_HEAD_FILE
from graft.storage import copying
from graft.storage.paths import join

logger = logging.getLogger(__name__)

_HEAD_FILE = f"assets.extra/{LINEAR_HEAD_FILE}"
_FILES = _HEAD_FILE, f"assets.extra/{CLASS_NAMES_ASSET}"
_VARIABLES = "variables/"


def copy_served_head(model_folder: str, target: str) -> tuple[int, str]:
    """Copy the files with the head in production, and verify them by their hashes.

    A training goes without a head, so nothing here ends it.

    Args:
        model_folder: `<store>/<model name>`.
        target: An empty local folder.

    Returns:
        Number of the version, and an empty text. If there is no head to copy, 0 and the
        reason, a sentence without a full stop.
    """
    try:
        version = served_version(model_folder)
        if version is None:
            return 0, "no version is in production"
        return version.number, _copy(version, target)
    except (OSError, UserError) as error:
        logger.warning("No head of %s can be read: %s", model_folder, error)
        return 0, "the model store can't be read here"


def _copy(version: Version, target: str) -> str:
    """Copy the files of a head; return why they can't be used, or an empty text."""
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
    for name in wanted:
        copying.copy_file(join(version.path, *name.split("/")), join(target, name))
    damage = compare_files(wanted, hash_files(target), "published")
    if damage:
        logger.warning("Version %d: %s", version.number, "; ".join(damage[:3]))
        return f"the files of version {version.number} are damaged"
    return ""
