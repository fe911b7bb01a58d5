"""Change a model store: publish, roll back, promote, remove old versions.

A change holds the store's lock. After a kill at any time a server still sees whole
versions only, and the next change finishes what was begun. A change acts on what its
caller saw: if production has changed since, nothing is done.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from graft.components.evaluation.baseline import Production
from graft.components.publishing import journal
from graft.components.publishing.audit import (
    current_time,
    current_user,
    line_of,
    withdrawals,
)
from graft.components.publishing.judgement import check_model
from graft.components.publishing.labels import read_labels, write_labels
from graft.components.publishing.production import (
    STABLE,
    check_unchanged,
    lost_production,
    served_version,
)
from graft.components.publishing.store_lock import StoreLock, locked
from graft.components.publishing.version_choice import (
    check_promotion,
    check_sound,
    rollback_target,
)
from graft.components.publishing.version_folders import (
    add_version,
    make_manifest,
    next_number,
    remove_version,
)
from graft.components.publishing.versions import (
    Version,
    find_damage,
    hash_files,
    list_versions,
)
from graft.contract.errors import RolledBackError, UserError
from graft.storage import hashing
from graft.storage.leases import LeaseLostError

_LOOK_AGAIN = "Nothing was changed: look at `graft models` and run the command again."


def publish(
    model_path: str,
    model_folder: str,
    record: dict[str, Any],
    *,
    against: Production,
    keep_versions: int,
    label: str = STABLE,
    judged_files: dict[str, str] | None = None,
) -> Version:
    """Publish a SavedModel as a new version.

    If the newest version has the same files, only its label is set.

    Args:
        model_path: The SavedModel.
        model_folder: `<store>/<model name>`.
        record: Goes into the manifest, beside version, time, parent and hashes. With
            `forced`, an object with a `reason`, even a model that was rolled back is
            published.
        against: What the model was judged against; if it is forced, what the user saw
            in production.
        keep_versions: Number of versions to keep, with the new one.
        label: The new version's label: `stable` or `canary`.
        judged_files: Relative path to hash of the files that the gate judged; the model
            must have these files. None: the caller answers for the model.

    Returns:
        The version that holds this model.

    Raises:
        StoreChangedError: Something else is in production than `against`.
        RolledBackError: The model was rolled back before.
        UserError: The model's files are not those that were judged.
    """
    hashes = hash_files(model_path)
    check_model(model_path, hashes, judged_files)
    forced = record.get("forced")
    with locked(model_folder) as lock:
        labels = read_labels(model_folder)
        same = _newest_if_same(model_folder, hashes)
        if same is not None and labels.get(label) == same.number:
            write_labels(model_folder, labels, _numbers(model_folder), lock.confirm)
            return same
        reason = withdrawals(model_folder).get(hashing.hash_json(hashes))
        if reason is not None and forced is None:
            raise RolledBackError(
                f"This very model was rolled back: {reason!r}. It is not pushed again."
            )
        now = check_unchanged(
            model_folder,
            against,
            found="Nothing was pushed: the model was judged against {}"
            if forced is None
            else "Nothing was pushed: {} was served when this command began",
            remedy="Run it again, and the gate compares with what is served; `graft "
            "bless --force --reason TEXT` pushes this model as it is."
            if forced is None
            else _LOOK_AGAIN,
        )
        record = {
            **record,
            "parent_version": against.version,
            "judged_against": against.to_dict(),
            # The first version is in production, whatever its label.
            "label": STABLE if now.version is None else label,
        }
        labels_of = _labels_with(labels, label, now)
        if same is None:
            version = _add(lock, model_path, model_folder, record, hashes, labels_of)
        else:
            version = same
            move_labels(lock, model_folder, same.number, labels_of(same.number), record)
        _prune(model_folder, keep_versions)
    return version


def roll_back(
    model_folder: str, number: int | None, reason: str, *, seen: Production
) -> Version:
    """Publish the files of an earlier version again, as a new version.

    A server that takes the greatest number follows, and so does one that reads labels.
    The next run does not push the withdrawn model again.

    Args:
        model_folder: `<store>/<model name>`.
        number: The version to go back to; None: the newest sound one before the served
            one.
        reason: Goes into the manifest and the audit log.
        seen: What the user saw in production.

    Returns:
        The new version.

    Raises:
        StoreChangedError: Something else is in production than `seen`.
        UserError: There is no such version, it is served already, or it is damaged.
    """
    if not reason.strip():
        raise UserError("`--reason` must say why. Received: an empty text")
    with locked(model_folder) as lock:
        check_unchanged(
            model_folder,
            seen,
            found="Not rolled back: {} was served when this command began",
            remedy=_LOOK_AGAIN,
        )
        versions = list_versions(model_folder)
        served = served_version(model_folder)
        if served is None:
            raise UserError(f"There is no version in {model_folder!r} to roll back.")
        lost = lost_production(model_folder)
        target, passed_over = rollback_target(
            versions,
            served,
            number,
            withdrawals(model_folder),
            is_lost=lost is not None,
        )
        left_number = served.number if lost is None else int(lost["version"])
        # Versions newer than the served one are withdrawn, too.
        left = {
            v.files_hash for v in versions if v.number >= left_number and v.manifest
        }
        if lost is not None and lost.get("files_hash"):
            left.add(str(lost["files_hash"]))
        record = {
            **target.manifest,
            "parent_version": left_number,
            "rollback": {
                "from_version": left_number,
                "to_version": target.number,
                "reason": reason,
                "withdrawn": sorted(left - {target.files_hash}),
                "passed_over": passed_over,
            },
        }
        for key in ("forced", "label", "judged_against"):
            record.pop(key, None)
        return _add(
            lock,
            target.path,
            model_folder,
            record,
            target.manifest["files"],
            lambda new: {STABLE: new},
        )


def promote(
    model_folder: str, number: int, *, seen: Production, reason: str = ""
) -> None:
    """Give a version the label `stable`, and remove its label `canary`.

    Args:
        model_folder: `<store>/<model name>`.
        number: The version.
        seen: What the user saw in production.
        reason: Why the version is promoted although it was not judged against what is
            in production, or was rolled back.

    Raises:
        StoreChangedError: Something else is in production than `seen`, or than what the
            version was judged against.
        UserError: There is no such version, it is damaged or was rolled back.
    """
    with locked(model_folder) as lock:
        versions = {version.number: version for version in list_versions(model_folder)}
        if number not in versions:
            raise UserError(
                f"There is no version {number} in {model_folder!r}. "
                f"Versions: {', '.join(map(str, versions)) or 'none'}."
            )
        now = check_unchanged(
            model_folder,
            seen,
            found="Not promoted: {} was served when this command began",
            remedy=_LOOK_AGAIN,
        )
        version = versions[number]
        check_sound(version)
        if number != now.version and not reason.strip():
            check_promotion(model_folder, version, now)
        labels = {**read_labels(model_folder), STABLE: number}
        if labels.get("canary") == number:
            del labels["canary"]
        record = {"judged_against": version.manifest.get("judged_against")}
        if reason.strip():
            record["forced"] = {"reason": reason, "against": now.to_dict()}
        move_labels(lock, model_folder, number, labels, record)


def _add(  # noqa: PLR0917 - the parts of one change
    lock: StoreLock,
    source: str,
    model_folder: str,
    record: dict[str, Any],
    hashes: dict[str, str],
    labels_of: Callable[[int], dict[str, int]],
) -> Version:
    """Add a version with its labels and its line in the audit log."""
    number = next_number(model_folder)
    record = {**record, "change": uuid.uuid4().hex}
    manifest = make_manifest(source, number, record, hashes)
    line = line_of(Version(number, "", manifest)) | {"id": record["change"]}
    change = journal.Change(number, labels_of(number), line)
    journal.begin(model_folder, change, lock.confirm)
    try:
        version = add_version(source, model_folder, manifest, confirm=lock.confirm)
        _confirm_afterwards(lock, model_folder, version, change)
    except LeaseLostError:
        # The process that took over has dealt with the note of this change.
        raise
    except Exception:
        journal.drop(model_folder, change)
        raise
    journal.finish(model_folder, change, lock.confirm)
    return version


def _confirm_afterwards(
    lock: StoreLock, model_folder: str, version: Version, change: journal.Change
) -> None:
    """Take back a version that appeared after another process had taken the lock."""
    try:
        lock.confirm()
    except LeaseLostError:
        if not journal.is_logged(model_folder, change):
            remove_version(model_folder, version)
            raise


def move_labels(
    lock: StoreLock,
    model_folder: str,
    number: int,
    labels: dict[str, int],
    record: dict[str, Any],
) -> None:
    """Move labels, with a line in the audit log.

    Args:
        lock: The store's lock.
        model_folder: `<store>/<model name>`.
        number: The version that gets a label.
        labels: All labels afterwards.
        record: `forced`, `judged_against` and `reason` of it go into the line.
    """
    version = next(v for v in list_versions(model_folder) if v.number == number)
    line: dict[str, Any] = {
        "action": "promote",
        "version": number,
        "files_hash": version.files_hash,
        "labels_before": read_labels(model_folder),
        "labels": labels,
        "id": uuid.uuid4().hex,
        "time": current_time(),
        "user": current_user(),
    }
    for key in ("forced", "judged_against", "reason"):
        if record.get(key):
            line[key] = record[key]
    change = journal.Change(None, labels, line)
    journal.begin(model_folder, change, lock.confirm)
    journal.finish(model_folder, change, lock.confirm)


def _labels_with(
    labels: dict[str, int], label: str, now: Production
) -> Callable[[int], dict[str, int]]:
    """Return a function from a new version's number to all labels.

    Without a label `stable`, the version in production gets it. Else a canary, which is
    the newest version, would be in production.
    """

    def labels_of(number: int) -> dict[str, int]:
        after = {**labels, label: number}
        if label == STABLE and after.get("canary", 0) <= number:
            after.pop("canary", None)
        if now.label is None and label != STABLE:
            after[STABLE] = number if now.version is None else now.version
        return after

    return labels_of


def _newest_if_same(model_folder: str, hashes: dict[str, str]) -> Version | None:
    """Return the newest version if it has these files, undamaged."""
    versions = list_versions(model_folder)
    if not versions or versions[-1].manifest.get("files") != hashes:
        return None
    return None if find_damage(versions[-1]) else versions[-1]


def _numbers(model_folder: str) -> list[int]:
    return [version.number for version in list_versions(model_folder)]


def _prune(model_folder: str, keep_versions: int) -> None:
    versions = list_versions(model_folder)
    kept = set(read_labels(model_folder).values())
    served = served_version(model_folder)
    if served is not None:
        kept.add(served.number)
    for old in versions[: max(0, len(versions) - keep_versions)]:
        if old.number not in kept:
            remove_version(model_folder, old)
