"""The audit log of a model store: a JSON line for each change, and who made it.

Several processes may append at the same time. A local append is one write. On object
storage the file is replaced only if nobody else has replaced it since it was read.
"""

from __future__ import annotations

import getpass
import json
import os
import uuid
from datetime import UTC, datetime
from typing import Any

from graft.components.publishing.store_files import (
    copy_aside,
    make_way,
    parse,
    read_text,
    write_text,
)
from graft.components.publishing.versions import MANIFEST_HASH, Version, list_versions
from graft.storage import conditional, files
from graft.storage.paths import is_remote, join

AUDIT_NAME = "graft_audit.jsonl"

Line = dict[str, Any]

_ACTIONS = {"publish", "rollback", "promote", "abandon", "repair", "unreadable"}


def read_audit(model_folder: str) -> list[Line]:
    """Return the readable lines of the audit log, oldest first."""
    return [line for line in read_lines(model_folder) if line is not None]


def read_lines(model_folder: str) -> list[Line | None]:
    """Return all lines of the audit log, oldest first; None for an unreadable one.

    A kill may have cut the last line short. `complete_audit` writes it again.
    """
    text, _ = read_text(join(model_folder, AUDIT_NAME))
    return [_valid(parse(line)) for line in (text or "").splitlines()]


def log_damage(model_folder: str) -> str | None:
    """Return what is wrong with the audit log, or None."""
    _, damage = read_text(join(model_folder, AUDIT_NAME))
    if damage is not None:
        return damage
    bad = [n for n, line in enumerate(read_lines(model_folder), 1) if line is None]
    if bad:
        return f"has unreadable lines: {', '.join(map(str, bad))}"
    missing = [str(line["version"]) for line in missing_lines(model_folder)]
    return f"has no line for: {', '.join(missing)}" if missing else None


def production_position(model_folder: str) -> int:
    """Return the number of the line that last changed production; 0 if none did.

    A line that a kill prevented counts as if `complete_audit` had written it.
    """
    lines = [*read_lines(model_folder), *missing_lines(model_folder)]
    position = 0
    for number, line in enumerate(lines, 1):
        if line is not None and changes_production(line):
            position = number
    return position


def changes_production(line: Line) -> bool:
    """Return whether a line is about the version in production."""
    if line["action"] == "publish":
        return bool(line.get("label") != "canary")
    return line["action"] in ("rollback", "promote")


def withdrawals(model_folder: str) -> dict[str, str]:
    """Return `files_hash` to reason for every model that was rolled back."""
    found: dict[str, str] = {}
    for line in read_audit(model_folder):
        if line["action"] == "rollback":
            withdrawn = line.get("withdrawn")
            for each in withdrawn if isinstance(withdrawn, list) else ():
                found[str(each)] = str(line.get("reason", ""))
        elif line.get("forced"):
            found.pop(str(line.get("files_hash")), None)
    return found


def logged_hashes(model_folder: str) -> dict[int, str]:
    """Return version to hash of its manifest, of those that the log has a hash of."""
    found: dict[int, str] = {}
    for line in read_audit(model_folder):
        if line["action"] in ("publish", "rollback") and MANIFEST_HASH in line:
            found[line["version"]] = str(line[MANIFEST_HASH])
        restored = line.get("restored") if line["action"] == "repair" else None
        if isinstance(restored, dict):
            found |= {
                int(n): str(each) for n, each in restored.items() if n.isdecimal()
            }
    return found


def complete_audit(model_folder: str) -> None:
    """Add the missing lines: a kill may come between a version and its line."""
    for line in missing_lines(model_folder):
        append_audit(model_folder, line)


def missing_lines(model_folder: str) -> list[Line]:
    """Return the lines that the log lacks, as the manifests of the versions tell."""
    audited = {
        line["version"]
        for line in read_audit(model_folder)
        if line["action"] in ("publish", "rollback")
    }
    return [
        line_of(version)
        for version in list_versions(model_folder)
        if version.number not in audited and version.manifest
    ]


def line_of(version: Version) -> Line:
    """Return the line about the publication of a version."""
    manifest = version.manifest
    rollback = manifest.get("rollback")
    line: Line = {
        "action": "rollback" if rollback else "publish",
        "version": version.number,
        "files_hash": version.files_hash,
        "parent_version": manifest.get("parent_version"),
        "time": manifest.get("published_at"),
        "user": manifest.get("published_by"),
    }
    if isinstance(rollback, dict):
        line |= rollback
    for key in ("forced", "label", "judged_against", MANIFEST_HASH):
        if manifest.get(key):
            line[key] = manifest[key]
    return line


def append_audit(model_folder: str, line: Line) -> None:
    """Append a line. Time, user and an id are added unless the line has them."""
    line = {
        "time": current_time(),
        "user": current_user(),
        "id": uuid.uuid4().hex,
        **line,
    }
    text = json.dumps(line, sort_keys=True) + "\n"
    if is_remote(model_folder):
        _append_remotely(
            join(model_folder, AUDIT_NAME), text.encode(), str(line["id"]).encode()
        )
        return
    path = os.path.join(model_folder, AUDIT_NAME)
    make_way(path)
    with open(path, "ab+") as file:
        file.seek(0, os.SEEK_END)
        is_cut_short = False
        if file.tell():
            file.seek(-1, os.SEEK_END)
            is_cut_short = file.read(1) != b"\n"
        file.write((b"\n" if is_cut_short else b"") + text.encode())
        file.flush()
        os.fsync(file.fileno())


def _append_remotely(path: str, line: bytes, line_id: bytes) -> None:
    while True:
        before, tag = conditional.read(path)
        text = before or b""
        if line_id in text:
            return  # Another process finished the change of this one.
        if text and not text.endswith(b"\n"):
            text += b"\n"
        if conditional.write(path, text + line, tag):
            return


def mark_unreadable(model_folder: str) -> str:
    """Replace unreadable lines by lines that hold their text.

    The log is there at any time: it alone tells which models were rolled back.

    Returns:
        Path of a copy of the log as it was.
    """
    path = join(model_folder, AUDIT_NAME)
    copy = copy_aside(path)
    if not is_remote(path):
        write_text(path, _marked(files.read_text(path)))
        return copy
    while True:
        content, tag = conditional.read(path)
        text = _marked((content or b"").decode(errors="replace"))
        if conditional.write(path, text.encode(), tag):
            return copy


def _marked(text: str) -> str:
    lines = [(raw, _valid(parse(raw))) for raw in text.splitlines()]
    return "".join(
        json.dumps(line or {"action": "unreadable", "text": raw}, sort_keys=True) + "\n"
        for raw, line in lines
    )


def current_time() -> str:
    """Return the time in UTC, ISO 8601, in seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def current_user() -> str:
    """Return the user's name, or `uid` and the number if the user has no account."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # In a pod the user ID often has no account.
        return f"uid {os.getuid()}"


def _valid(line: Any) -> Line | None:
    """Return a line if it is one; None for anything else that is valid JSON."""
    if not isinstance(line, dict) or line.get("action") not in _ACTIONS:
        return None
    if line["action"] in ("repair", "unreadable"):
        return line
    return line if type(line.get("version")) is int else None
