"""Change a model store: publish, roll back, promote, remove old versions.

A change holds the store's lock. After a kill at any time a server still sees whole
versions only, and the next change cleans up.
"""

from __future__ import annotations

from typing import Any

from graft.components.publishing.audit import (
    append_audit,
    complete_audit,
    withdrawals,
)
from graft.components.publishing.labels import read_labels, write_labels
from graft.components.publishing.store_lock import locked
from graft.components.publishing.version_folders import add_version, remove_version
from graft.components.publishing.versions import (
    Version,
    find_damage,
    hash_files,
    list_versions,
)
from graft.contract.errors import UserError
from graft.storage import hashing


def publish(
    model_path: str,
    model_folder: str,
    record: dict[str, Any],
    *,
    keep_versions: int,
    label: str = "stable",
    is_forced: bool = False,
) -> Version:
    """Publish a SavedModel as a new version.

    If the newest version has the same files, only its label is set.

    Args:
        model_path: The SavedModel.
        model_folder: `<store>/<model name>`.
        record: Goes into the manifest, beside version, time, parent and hashes.
        keep_versions: Number of versions to keep, with the new one.
        label: The new version's label: `stable` or `canary`.
        is_forced: Publish even a model that was rolled back.

    Returns:
        The version that holds this model.

    Raises:
        UserError: The model was rolled back before.
    """
    hashes = hash_files(model_path)
    with locked(model_folder):
        versions = list_versions(model_folder)
        newest = versions[-1] if versions else None
        if newest is not None and newest.manifest.get("files") == hashes:
            version = newest
        else:
            reason = withdrawals(model_folder).get(hashing.hash_json(hashes))
            if reason is not None and not is_forced:
                raise UserError(
                    f"This very model was rolled back: {reason!r}. It is not pushed "
                    "again. `graft bless --force --reason TEXT` pushes it nonetheless."
                )
            production = served_version(model_folder)
            version = add_version(
                model_path,
                model_folder,
                {"parent_version": production.number if production else None, **record},
                hashes,
                after=newest.number if newest else 0,
            )
        labels = read_labels(model_folder)
        labels[label] = version.number
        if label == "stable" and labels.get("canary", 0) <= version.number:
            labels.pop("canary", None)
        write_labels(model_folder, labels, _numbers(model_folder))
        complete_audit(model_folder)
        _prune(model_folder, keep_versions)
    return version


def roll_back(model_folder: str, number: int | None, reason: str) -> Version:
    """Publish the files of an earlier version again, as a new version.

    A server that takes the greatest number follows, and so does one that reads labels.
    The next run does not push the withdrawn model again.

    Args:
        model_folder: `<store>/<model name>`.
        number: The version to go back to; None: the one before the served one.
        reason: Goes into the manifest and the audit log.

    Returns:
        The new version.

    Raises:
        UserError: There is no such version, it is served already, or it is damaged.
    """
    if not reason.strip():
        raise UserError("`--reason` must say why. Received: an empty text")
    with locked(model_folder):
        versions = list_versions(model_folder)
        served = served_version(model_folder)
        if served is None:
            raise UserError(f"There is no version in {model_folder!r} to roll back.")
        target = _rollback_target(versions, served, number, withdrawals(model_folder))
        damage = find_damage(target)
        if damage:
            raise UserError(
                f"Version {target.number} is damaged: {'; '.join(damage)}. "
                "`graft models --verify` shows which versions are sound."
            )
        # Versions newer than the served one are withdrawn, too.
        left = [v for v in versions if v.number >= served.number]
        record = {
            **target.manifest,
            "parent_version": served.number,
            "rollback": {
                "from_version": served.number,
                "to_version": target.number,
                "reason": reason,
                "withdrawn": sorted({v.files_hash for v in left} - {target.files_hash}),
            },
        }
        record.pop("forced", None)
        version = add_version(
            target.path,
            model_folder,
            record,
            target.manifest["files"],
            after=versions[-1].number,
        )
        write_labels(model_folder, {"stable": version.number}, _numbers(model_folder))
        complete_audit(model_folder)
    return version


def promote(model_folder: str, number: int) -> None:
    """Give a version the label `stable`, and remove its label `canary`.

    Raises:
        UserError: There is no such version.
    """
    with locked(model_folder):
        numbers = _numbers(model_folder)
        if number not in numbers:
            raise UserError(
                f"There is no version {number} in {model_folder!r}. "
                f"Versions: {', '.join(map(str, numbers)) or 'none'}."
            )
        before = read_labels(model_folder)
        labels = {"stable": number, **before}
        labels["stable"] = number
        if labels.get("canary") == number:
            del labels["canary"]
        write_labels(model_folder, labels, numbers)
        append_audit(
            model_folder,
            {"action": "promote", "version": number, "labels_before": before},
        )


def served_version(model_folder: str) -> Version | None:
    """Return the version in production: labelled `stable`, or else the newest."""
    versions = {version.number: version for version in list_versions(model_folder)}
    if not versions:
        return None
    stable = read_labels(model_folder).get("stable")
    return versions.get(stable or 0) or versions[max(versions)]


def _numbers(model_folder: str) -> list[int]:
    return [version.number for version in list_versions(model_folder)]


def _prune(model_folder: str, keep_versions: int) -> None:
    versions = list_versions(model_folder)
    labelled = set(read_labels(model_folder).values())
    for old in versions[: max(0, len(versions) - keep_versions)]:
        if old.number not in labelled:
            remove_version(model_folder, old)


def _rollback_target(
    versions: list[Version],
    served: Version,
    number: int | None,
    withdrawn: dict[str, str],
) -> Version:
    older = [
        version
        for version in versions
        if version.number < served.number
        and version.files_hash != served.files_hash
        and version.files_hash not in withdrawn
    ]
    if number is None:
        if not older:
            raise UserError(
                f"There is no version before {served.number}, which is served, to "
                "restore. `graft models` lists the versions."
            )
        return older[-1]
    if number == served.number:
        raise UserError(f"Version {number} is served already.")
    for version in versions:
        if version.number == number:
            return version
    raise UserError(
        f"There is no version {number}. "
        f"Versions: {', '.join(str(version.number) for version in versions)}."
    )
