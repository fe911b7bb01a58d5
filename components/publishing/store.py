"""Changes of a model store: publish, roll back, label, prune; each is whole or nothing.

A local version is copied beside its place, flushed to the disk, and renamed, which is
one step to whoever polls the folder. Object storage has no rename: there
`saved_model.pb`, without which no server tries a version, is written last.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import hashlib
import json
import os
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from graft.components.publishing.labels import (
    LABELS_NAME,
    SERVING_CONFIG_NAME,
    read_labels,
    write_labels,
)
from graft.components.publishing.versions import (
    GRAPH_NAME,
    MANIFEST_NAME,
    Version,
    find_damage,
    hash_files,
    list_versions,
)
from graft.contract.errors import UserError
from graft.storage import atomic, files, hashing
from graft.storage.paths import is_remote

AUDIT_NAME = "graft_audit.jsonl"

_PARTIAL = ".partial"
_REMOVED = ".removed"
# On object storage a push that nobody finished in a day was killed.
_ABANDONED_SECONDS = 24 * 3600
_TORN_SECONDS = 3600


def publish(
    model_path: str,
    model_folder: str,
    record: dict[str, Any],
    *,
    keep_versions: int,
    label: str = "stable",
    is_forced: bool = False,
) -> Version:
    """Publish a SavedModel as a new version; publishing production again is no work.

    Args:
        model_path: The SavedModel.
        model_folder: `<store>/<model name>`.
        record: What the manifest shall say beside version, time, parent and hashes.
        keep_versions: How many versions to keep, the new one included.
        label: Version label that it gets: `stable` or `canary`.
        is_forced: Publish even a model that was rolled back.

    Returns:
        The version that holds this model.

    Raises:
        UserError: The model was rolled back before.
    """
    hashes = hash_files(model_path)
    with changing(model_folder):
        versions = list_versions(model_folder)
        newest = versions[-1] if versions else None
        if newest is not None and newest.manifest.get("files") == hashes:
            version = newest
        else:
            reason = withdrawals(model_folder).get(hashing.hash_json(hashes))
            if reason is not None and not is_forced:
                raise UserError(
                    f"This very model was rolled back: {reason!r}. It is not pushed "
                    "again; `graft bless --force --reason TEXT` does so nonetheless."
                )
            production = served_version(model_folder)
            version = _add(
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
        _complete_audit(model_folder)
        _prune(model_folder, keep_versions)
    return version


def roll_back(model_folder: str, number: int | None, reason: str) -> Version:
    """Put an earlier version back in its place, as a new version with the same files.

    So a server that takes the greatest number, and one that goes by labels, both
    follow; and the model that is left behind is not pushed again by the next run.

    Args:
        model_folder: `<store>/<model name>`.
        number: The version to go back to; None: the one before the served one.
        reason: Why; it goes into the manifest and the audit log.

    Returns:
        The new version.

    Raises:
        UserError: There is no such version, it is served already, or it is damaged.
    """
    if not reason.strip():
        raise UserError("`--reason` must say why. Received: an empty text")
    with changing(model_folder):
        versions = list_versions(model_folder)
        served = served_version(model_folder)
        if served is None:
            raise UserError(f"There is no version in {model_folder!r} to roll back.")
        target = _rollback_target(versions, served, number, withdrawals(model_folder))
        damage = find_damage(target)
        if damage:
            raise UserError(
                f"Version {target.number} can't be gone back to: {'; '.join(damage)}. "
                "`graft models --verify` tells which versions are sound."
            )
        # A version that is newer than the served one is left behind, too.
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
        version = _add(
            target.path,
            model_folder,
            record,
            target.manifest["files"],
            after=versions[-1].number,
        )
        write_labels(model_folder, {"stable": version.number}, _numbers(model_folder))
        _complete_audit(model_folder)
    return version


def promote(model_folder: str, number: int) -> None:
    """Give a version the label `stable`; the label `canary` goes if it was there.

    Raises:
        UserError: There is no such version.
    """
    with changing(model_folder):
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
        _append_audit(
            model_folder,
            {"action": "promote", "version": number, "labels_before": before},
        )


def served_version(model_folder: str) -> Version | None:
    """Return what production serves: what is labelled `stable`, or else the newest."""
    versions = {version.number: version for version in list_versions(model_folder)}
    if not versions:
        return None
    stable = read_labels(model_folder).get("stable")
    return versions.get(stable or 0) or versions[max(versions)]


def withdrawals(model_folder: str) -> dict[str, str]:
    """Return `files_hash` to reason of every model that was rolled back."""
    found: dict[str, str] = {}
    for line in read_audit(model_folder):
        if line["action"] == "rollback":
            found.update(dict.fromkeys(line["withdrawn"], line["reason"]))
        elif line.get("forced"):
            found.pop(line["files_hash"], None)
    return found


def read_audit(model_folder: str) -> list[dict[str, Any]]:
    """Return the lines of the audit log, oldest first."""
    path = os.path.join(model_folder, AUDIT_NAME)
    if not files.exists(path):
        return []
    lines = []
    for line in files.read_text(path).splitlines():
        # The last line may have been cut short by a crash; it is written anew.
        with contextlib.suppress(json.JSONDecodeError):
            lines.append(json.loads(line))
    return lines


@contextlib.contextmanager
def changing(model_folder: str) -> Iterator[None]:
    """Hold the store's lock, after what a killed change left has been cleared away.

    The lock is the kernel's, so it ends with its process. Object storage has none.
    """
    files.make_folder(model_folder)
    if is_remote(model_folder):
        _clear_abandoned(model_folder)
        yield
        return
    with open(os.path.join(model_folder, ".lock"), "a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for entry in os.listdir(model_folder):
            path = os.path.join(model_folder, entry)
            if entry.startswith(".") and entry.endswith((_PARTIAL, _REMOVED)):
                files.remove_folder(path)
            elif entry.endswith(atomic.PARTIAL_SUFFIX) and _is_torn(path):
                files.remove_file(path)
        _complete_audit(model_folder)
        yield


def _is_torn(path: str) -> bool:
    """Return whether nobody writes a partial file any more; the lock is held."""
    name = os.path.basename(path)
    if name.startswith((LABELS_NAME, SERVING_CONFIG_NAME)):
        return True
    # Others write without the lock: what a run found out about drift.
    return files.modified_at(path) < time.time() - _TORN_SECONDS


# --- One version ----------------------------------------------------------------------
def _add(
    source: str,
    model_folder: str,
    record: dict[str, Any],
    hashes: dict[str, str],
    *,
    after: int,
) -> Version:
    number = max(int(time.time()), after + 1)
    manifest = {
        **record,
        "version": number,
        "published_at": _now(),
        "published_by": _user(),
        "files": hashes,
    }
    text = json.dumps(manifest, indent=1, sort_keys=True)
    final = os.path.join(model_folder, str(number))
    # The graph last: with it the version is whole.
    names = sorted(hashes, key=lambda name: (name == GRAPH_NAME, name))
    if is_remote(model_folder):
        atomic.write_text(os.path.join(final, MANIFEST_NAME), text)
        for name in names:
            _copy(os.path.join(source, name), os.path.join(final, name), hashes[name])
        return Version(number, final, manifest)
    partial = os.path.join(model_folder, f".{number}{_PARTIAL}")
    for name in names:
        _copy(os.path.join(source, name), os.path.join(partial, name), hashes[name])
    atomic.write_text(os.path.join(partial, MANIFEST_NAME), text)
    for parent, _, _ in os.walk(partial):
        atomic.flush(parent)
    os.rename(partial, final)
    atomic.flush(model_folder)
    return Version(number, final, manifest)


def _copy(source: str, target: str, expected_hash: str) -> None:
    """Copy a file that is what was promised; it appears whole or not at all."""
    digest = hashlib.sha256()
    with atomic.replacing(target) as written:
        with files.open_for_reading(source) as reader, open(written, "wb") as writer:
            while block := reader.read(hashing.BLOCK_BYTES):
                digest.update(block)
                writer.write(block)
        if digest.hexdigest() != expected_hash:
            raise OSError(f"{source!r} changed while it was copied to {target!r}")


# --- Keeping house --------------------------------------------------------------------
def _numbers(model_folder: str) -> list[int]:
    return [version.number for version in list_versions(model_folder)]


def _prune(model_folder: str, keep_versions: int) -> None:
    versions = list_versions(model_folder)
    labelled = set(read_labels(model_folder).values())
    for old in versions[: max(0, len(versions) - keep_versions)]:
        if old.number not in labelled:
            _remove(model_folder, old)


def _remove(model_folder: str, version: Version) -> None:
    if is_remote(model_folder):
        files.remove_file(os.path.join(version.path, GRAPH_NAME))
        files.remove_folder(version.path)
        return
    hidden = os.path.join(model_folder, f".{version.number}{_REMOVED}")
    os.rename(version.path, hidden)
    files.remove_folder(hidden)


def _clear_abandoned(model_folder: str) -> None:
    if not files.exists(model_folder):
        return
    for name in files.list_folder(model_folder):
        path = os.path.join(model_folder, name)
        if (
            name.isdecimal()
            and int(name) < time.time() - _ABANDONED_SECONDS
            and not files.exists(os.path.join(path, GRAPH_NAME))
        ):
            files.remove_folder(path)


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
                f"There is no version before {served.number}, which is served, to go "
                "back to. `graft models` lists what there is."
            )
        return older[-1]
    if number == served.number:
        raise UserError(f"Version {number} is what is served already.")
    for version in versions:
        if version.number == number:
            return version
    raise UserError(
        f"There is no version {number}. "
        f"Versions: {', '.join(str(version.number) for version in versions)}."
    )


# --- The audit log --------------------------------------------------------------------
def _complete_audit(model_folder: str) -> None:
    """Add a line for every version that has none: a kill may come after the rename."""
    audited = {
        line["version"]
        for line in read_audit(model_folder)
        if line["action"] != "promote"
    }
    for version in list_versions(model_folder):
        manifest = version.manifest
        if version.number in audited or not manifest:
            continue
        rollback = manifest.get("rollback")
        line: dict[str, Any] = {
            "action": "rollback" if rollback else "publish",
            "version": version.number,
            "files_hash": version.files_hash,
            "parent_version": manifest.get("parent_version"),
            "time": manifest.get("published_at"),
            "user": manifest.get("published_by"),
        }
        if rollback:
            line |= rollback
        if manifest.get("forced"):
            line["forced"] = manifest["forced"]
        _append_audit(model_folder, line)


def _append_audit(model_folder: str, line: dict[str, Any]) -> None:
    line = {"time": _now(), "user": _user(), **line}
    path = os.path.join(model_folder, AUDIT_NAME)
    text = json.dumps(line, sort_keys=True)
    if is_remote(model_folder):
        lines = [json.dumps(each, sort_keys=True) for each in read_audit(model_folder)]
        atomic.write_text(path, "\n".join([*lines, text]) + "\n")
        return
    with open(path, "ab+") as file:
        file.seek(0, os.SEEK_END)
        is_cut_short = False
        if file.tell():
            file.seek(-1, os.SEEK_END)
            is_cut_short = file.read(1) != b"\n"
        file.write((b"\n" if is_cut_short else b"") + text.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A pod runs under a number that no account has.
        return f"uid {os.getuid()}"
