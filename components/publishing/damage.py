"""Find every damaged file of a model store, and mend what can be mended.

Nothing is deleted: what is in the way is renamed (`store_files.set_aside`).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field

from graft.components.publishing import journal
from graft.components.publishing.audit import (
    AUDIT_NAME,
    Line,
    append_audit,
    complete_audit,
    log_damage,
    logged_hashes,
    mark_unreadable,
    read_lines,
)
from graft.components.publishing.drift import DRIFT_FILE
from graft.components.publishing.labels import (
    LABELS_NAME,
    SERVING_CONFIG_NAME,
    config_damage,
    describe_other_folder,
    read_label_file,
    read_labels,
    write_labels,
)
from graft.components.publishing.last_run import NOTES_FILE
from graft.components.publishing.manifest_recovery import (
    has_logged_manifest,
    line_about,
    restored_manifest,
)
from graft.components.publishing.production import (
    STABLE,
    last_change,
    lost_production,
    served_version,
)
from graft.components.publishing.store import move_labels
from graft.components.publishing.store_files import (
    is_there,
    read_json,
    read_text,
    set_aside,
    write_text,
)
from graft.components.publishing.store_lock import StoreLock, locked
from graft.components.publishing.versions import (
    GRAPH_NAME,
    MANIFEST_HASH,
    MANIFEST_NAME,
    UNREADABLE,
    Version,
    find_damage,
    is_changed,
    is_version_name,
    list_versions,
    read_manifest,
)
from graft.storage import copying, files
from graft.storage.paths import join


def find_store_damage(model_folder: str) -> dict[str, list[str]]:
    """Return what is damaged in a store: a file's or version's name to sentences."""
    damage: dict[str, list[str]] = {}
    logged = logged_hashes(model_folder)
    for version in list_versions(model_folder):
        if found := _damage_of(version, logged):
            damage[str(version.number)] = found
    for name in _no_versions(model_folder):
        damage[name] = [f"holds no {GRAPH_NAME}, so no server loads it"]
    single = {
        **_label_damage(model_folder),
        AUDIT_NAME: log_damage(model_folder),
        **_damaged_notes(model_folder),
    }
    return damage | {name: [what] for name, what in single.items() if what}


def _damage_of(version: Version, logged: dict[int, str]) -> list[str]:
    """Return what is wrong with a version, its manifest compared with the log, too."""
    found = find_damage(version)
    if not found and not has_logged_manifest(version, logged):
        found = [f"{MANIFEST_NAME} is not what {AUDIT_NAME} says"]
    return found


@dataclass
class Repair:
    """What a repair has done, and what it could not mend."""

    done: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What is no damage, and may still need a command."""
    restored: dict[str, str] = field(default_factory=dict)
    """Version to hash of its manifest, of those that were written again."""


def repair(model_folder: str) -> Repair:
    """Mend a store: files from other versions, manifests from the audit log, labels.

    A version that can't be mended is set aside, unless it is in production.

    Returns:
        What was done, and what is left to do, a sentence each.
    """
    result = Repair()
    before = find_store_damage(model_folder)
    with locked(model_folder) as lock:
        for name in _no_versions(model_folder):
            _mend_folder(model_folder, name, result)
        # Now, since the graph of the version in production may be back.
        served = served_version(model_folder)
        lost = lost_production(model_folder)
        for version in list_versions(model_folder):
            _mend_version(model_folder, version, served, result)
        for name, what in _damaged_notes(model_folder).items():
            if what:
                _set_aside(model_folder, name, result)
        _mend_log(model_folder, result)
        if lost is None:
            _mend_labels(model_folder, served, lock, result)
        else:
            _mend_production(model_folder, lost, lock, result)
        told = "\n".join(result.done + result.left)
        # The lock completes the audit log, and clears away the note of a change.
        is_sound = find_store_damage(model_folder).keys().isdisjoint
        result.done += [
            f"{name}: written again"
            for name in before
            if name not in told and is_sound([name])
        ]
        if note := describe_other_folder(model_folder):
            result.notes.append(note)
        if result.done:
            line = {"action": "repair", "done": result.done}
            append_audit(model_folder, line | {"restored": result.restored})
    return result


def _no_versions(model_folder: str) -> list[str]:
    """Return the names that look like versions, and aren't."""
    numbers = {version.number for version in list_versions(model_folder)}
    names = files.list_folder(model_folder) if files.exists(model_folder) else []
    return [n for n in names if is_version_name(n) and int(n) not in numbers]


def _damaged_notes(model_folder: str) -> dict[str, str | None]:
    """Return what is wrong with the files that only inform people and schedules."""
    kinds = {DRIFT_FILE: dict, NOTES_FILE: list, journal.JOURNAL_NAME: dict}
    return {
        name: read_json(join(model_folder, name), k)[1] for name, k in kinds.items()
    }


def find_label_damage(model_folder: str) -> dict[str, str]:
    """Return what is wrong with the files that hold labels; reads no model."""
    found = _label_damage(model_folder)
    return {name: what for name, what in found.items() if what is not None}


def _label_damage(model_folder: str) -> dict[str, str | None]:
    """Return what is wrong with the labels and with TensorFlow Serving's config."""
    labels, damage = read_label_file(model_folder)
    gone = _gone(model_folder, labels)
    if damage is None and gone:
        damage = f"names what is gone: {gone}{_stand_in(model_folder)}"
    if damage is None and not labels:
        config = join(model_folder, SERVING_CONFIG_NAME)
        if files.exists(config) or last_change(model_folder) is not None:
            damage = "is missing or names no version"
    other = config_damage(model_folder)
    if damage and not files.exists(join(model_folder, SERVING_CONFIG_NAME)):
        other = "is missing"
    return {LABELS_NAME: damage, SERVING_CONFIG_NAME: other}


def _stand_in(model_folder: str) -> str:
    """Say what a server without labels serves while the one in production is gone."""
    versions = list_versions(model_folder)
    if lost_production(model_folder) is None or not versions:
        return ""
    number = versions[-1].number
    return f"; a server that does not follow labels serves version {number} meanwhile"


def _gone(model_folder: str, labels: dict[str, int]) -> str:
    """Name the labels whose version is gone; "" if there are none."""
    numbers = {version.number for version in list_versions(model_folder)}
    return ", ".join(
        f"version {number} ({label})"
        for label, number in sorted(labels.items())
        if number not in numbers
    )


def _mend_folder(model_folder: str, name: str, result: Repair) -> None:
    """Restore the graph of a version that lacks it, or set the version aside."""
    path = join(model_folder, name)
    version = Version(int(name), path, read_manifest(path))
    if version.manifest and _restore_files(model_folder, version, result):
        return
    lost = lost_production(model_folder)
    if lost is None or lost["version"] != version.number:
        _set_aside(model_folder, name, result)


def _mend_version(
    model_folder: str, version: Version, served: Version | None, result: Repair
) -> None:
    logged = logged_hashes(model_folder)
    if not _damage_of(version, logged):
        return
    is_altered = is_changed(version.manifest) or not has_logged_manifest(
        version, logged
    )
    if version.manifest and not is_altered:
        is_mended = _restore_files(model_folder, version, result)
    elif version.manifest_damage is None and line_about(model_folder, version) is None:
        # It may be a version that graft did not publish.
        result.left.append(
            f"version {version.number} has no manifest, and the audit log does not "
            "know it: nothing tells whether its files are sound. Rename its folder if "
            "you did not put it there"
        )
        return
    else:
        is_mended = _restore_manifest(model_folder, version, result)
    if is_mended:
        return
    if served is not None and version.number == served.number:
        result.left.append(
            f"version {version.number} is in production and can't be mended: "
            "`graft rollback --reason TEXT` puts the sound version before it in its "
            "place"
        )
    else:
        _set_aside(model_folder, str(version.number), result)


def _restore_files(model_folder: str, version: Version, result: Repair) -> bool:
    """Copy damaged files from versions that have the same files, undamaged."""
    promised: dict[str, str] = version.manifest.get("files") or {}
    found = version.hash_files()
    donors = _donors(model_folder, version)
    wrong = {name for name in promised if found.get(name) != promised[name]}
    if not promised or any(promised[name] not in donors for name in wrong):
        return False
    for name in sorted({*wrong, *(found.keys() - promised.keys())}):
        path = join(version.path, name)
        if is_there(path):
            set_aside(path, model_folder)
    # The graph comes last: it makes the version complete.
    for name in sorted(wrong, key=lambda name: (name == GRAPH_NAME, name)):
        copying.copy_file(donors[promised[name]], join(version.path, name))
        result.done.append(
            f"version {version.number}: {name} copied from another version that has "
            "the same file"
        )
    return not find_damage(version)


def _donors(model_folder: str, damaged: Version) -> dict[str, str]:
    """Return hash to path of every file of the other versions."""
    return {
        found: join(version.path, name)
        for version in list_versions(model_folder)
        if version.number != damaged.number
        for name, found in version.hash_files().items()
        if found != UNREADABLE
    }


def _restore_manifest(model_folder: str, version: Version, result: Repair) -> bool:
    """Write a manifest again, if the audit log or another version vouches for it."""
    again = restored_manifest(model_folder, version)
    if again is None:
        return False
    path = join(version.path, MANIFEST_NAME)
    if is_there(path):
        set_aside(path, model_folder)
    write_text(path, json.dumps(again.manifest, indent=1, sort_keys=True))
    result.restored[str(version.number)] = again.manifest[MANIFEST_HASH]
    result.done.append(
        f"version {version.number}: {MANIFEST_NAME} written again{again.describe()}"
    )
    return True


def _mend_log(model_folder: str, result: Repair) -> None:
    """Mark unreadable lines, and add missing ones."""
    if log_damage(model_folder) is None:
        return
    _, damage = read_text(join(model_folder, AUDIT_NAME))
    if damage is not None:
        _set_aside(model_folder, AUDIT_NAME, result)
    elif None in read_lines(model_folder):
        name = os.path.basename(mark_unreadable(model_folder))
        result.done.append(
            f"{AUDIT_NAME}: unreadable lines kept as text, and skipped from now on; "
            f"the file as it was is {name}"
        )
    complete_audit(model_folder)


def _mend_labels(
    model_folder: str, served: Version | None, lock: StoreLock, result: Repair
) -> None:
    damaged = any(_label_damage(model_folder).values())
    numbers = [version.number for version in list_versions(model_folder)]
    labels = {k: n for k, n in read_labels(model_folder).items() if n in numbers}
    if served is not None and served.number in numbers:
        labels[STABLE] = served.number
    if not damaged and labels == read_labels(model_folder):
        return
    _clear_labels(model_folder, result)
    write_labels(model_folder, labels, numbers, lock.confirm)
    result.done.append(f"{LABELS_NAME} and {SERVING_CONFIG_NAME} written again")


def _clear_labels(model_folder: str, result: Repair) -> None:
    """Set aside the damaged ones of the two files that hold labels."""
    for name, what in _label_damage(model_folder).items():
        if what and is_there(join(model_folder, name)):
            _set_aside(model_folder, name, result)


def _mend_production(
    model_folder: str, lost: Line, lock: StoreLock, result: Repair
) -> None:
    """Label the newest version with the files of the one that is gone.

    No other version may come into production by a repair: it may have been withdrawn.
    """
    sound = [v for v in list_versions(model_folder) if not find_damage(v)]
    same = [v for v in sound if v.files_hash == lost.get("files_hash")]
    if not same:
        result.left.append(
            f"version {lost['version']} is in production and gone, and no version has "
            "its files. Put another in its place: `graft rollback VERSION --reason "
            "TEXT`, or `graft models --promote VERSION --reason TEXT`"
        )
        return
    number = same[-1].number
    reason = f"version {lost['version']} is gone; version {number} has the same files"
    numbers = {version.number for version in list_versions(model_folder)}
    labels = {k: n for k, n in read_labels(model_folder).items() if n in numbers}
    record = {"reason": reason, "judged_against": lost.get("judged_against")}
    _clear_labels(model_folder, result)
    move_labels(lock, model_folder, number, {**labels, STABLE: number}, record)
    result.done.append(f"{LABELS_NAME}: `{STABLE}` is version {number}, since {reason}")
    if number != max(numbers) and "canary" not in labels:
        result.notes.append(
            f"a server that does not follow labels serves version {max(numbers)}, the "
            f"newest: `graft rollback {number} --reason TEXT` gives the files of "
            f"version {number} the greatest number"
        )
    if str(lost["version"]) in _no_versions(model_folder):
        _set_aside(model_folder, str(lost["version"]), result)


def _set_aside(model_folder: str, name: str, result: Repair) -> None:
    aside = os.path.basename(set_aside(join(model_folder, name)))
    what = f"version {name}" if is_version_name(name) else name
    result.done.append(
        f"{what} can't be mended: renamed to {aside}, which nothing reads or serves"
    )
