"""Make the manifest of a version again, from what the store vouches for.

The audit log vouches for files, time, user and judgement. Metrics and config are in the
manifest alone. They come from a version with the same files and an unchanged manifest,
which a rollback makes. Else they are lost, and the new manifest says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graft.components.publishing.audit import (
    Line,
    current_time,
    logged_hashes,
    read_audit,
)
from graft.components.publishing.versions import (
    MANIFEST_HASH,
    Version,
    hash_files,
    is_changed,
    list_versions,
    with_hash,
)
from graft.storage import files, hashing
from graft.storage.paths import join

LOST = "lost"
"""Key of a manifest that was made again: the keys of the one before that are lost."""
_OF_ONE_VERSION = {
    *("version", "files", "sizes", "published_at", "published_by", "parent_version"),
    *("rollback", "forced", "label", "judged_against", "change", "restored_at"),
    MANIFEST_HASH,
}
"""Keys whose values are not those of another version with the same files."""
_RECORDED = {"config", "data_fingerprint", "data_profile", "metrics", "verdict"}
"""Keys that each manifest of a run has."""


@dataclass(frozen=True)
class Recovery:
    """A manifest that was made again.

    Attributes:
        manifest: The manifest, with its hash.
        twin: The version whose record it has; None for none.
    """

    manifest: dict[str, Any]
    twin: int | None

    def describe(self) -> str:
        """Return the end of a sentence: where the record is from, or what is lost."""
        text = ""
        if self.twin is not None:
            text = f", with the metrics and the config of version {self.twin}, which "
            text += "has the same files"
        if lost := self.manifest.get(LOST):
            text += f"; these fields are lost: {', '.join(lost)}"
        return text


def line_about(model_folder: str, version: Version) -> Line | None:
    """Return the line of the audit log about the publication of a version."""
    for line in read_audit(model_folder):
        is_of_version = line.get("version") == version.number
        if is_of_version and line["action"] in ("publish", "rollback"):
            return line
    return None


def restored_manifest(model_folder: str, version: Version) -> Recovery | None:
    """Return a version's manifest, made again; None if nothing vouches for its files.

    Args:
        model_folder: `<store>/<model name>`.
        version: The version. Its manifest is damaged, changed or missing.
    """
    found = hash_files(version.path)
    line = line_about(model_folder, version) or {}
    twins = [
        other
        for other in _with_sound_manifest(model_folder, version)
        if other.manifest.get("files") == found
    ]
    if line.get("files_hash") != hashing.hash_json(found) and not twins:
        return None
    manifest: dict[str, Any] = {
        "version": version.number,
        "files": found,
        "sizes": {name: files.size_of(join(version.path, name)) for name in found},
        "published_at": line.get("time"),
        "published_by": line.get("user"),
        "parent_version": line.get("parent_version"),
        "restored_at": current_time(),
    }
    rollback = ("from_version", "to_version", "reason", "withdrawn", "passed_over")
    if line.get("action") == "rollback":
        manifest["rollback"] = {key: line[key] for key in rollback if key in line}
    for key in ("forced", "label", "judged_against"):
        if line.get(key):
            manifest[key] = line[key]
    twin = min(twins, key=lambda each: LOST in each.manifest, default=None)
    if twin is not None:
        values = twin.manifest.items()
        manifest |= {k: value for k, value in values if k not in _OF_ONE_VERSION}
    else:
        # Their values may have been changed, but not the fact that there were some.
        known = version.manifest.keys() or _RECORDED
        manifest[LOST] = sorted(known - _OF_ONE_VERSION - {LOST})
        if not manifest[LOST]:
            del manifest[LOST]
    return Recovery(with_hash(manifest), None if twin is None else twin.number)


def _with_sound_manifest(model_folder: str, version: Version) -> list[Version]:
    """Return the other versions whose manifest is as it was written, oldest first."""
    logged = logged_hashes(model_folder)
    return [
        other
        for other in list_versions(model_folder)
        if other.number != version.number
        and not is_changed(other.manifest)
        and has_logged_manifest(other, logged)
    ]


def has_logged_manifest(version: Version, logged: dict[int, str]) -> bool:
    """Return whether a manifest is the one that the audit log has the hash of, if any.

    Args:
        version: The version.
        logged: What `logged_hashes` returned.
    """
    manifest = version.manifest
    return manifest.get(MANIFEST_HASH) == logged.get(
        version.number, manifest.get(MANIFEST_HASH)
    )
