"""The audit log of a model store: one JSON line for each change, and who made it."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
from datetime import datetime, timezone
from typing import Any

from graft.components.publishing.versions import list_versions
from graft.storage import atomic, files
from graft.storage.paths import is_remote

AUDIT_NAME = "graft_audit.jsonl"


def read_audit(model_folder: str) -> list[dict[str, Any]]:
    """Return the lines of the audit log, oldest first."""
    path = os.path.join(model_folder, AUDIT_NAME)
    if not files.exists(path):
        return []
    lines = []
    for line in files.read_text(path).splitlines():
        # A crash may have cut the last line short. `complete_audit` writes it again.
        with contextlib.suppress(json.JSONDecodeError):
            lines.append(json.loads(line))
    return lines


def withdrawals(model_folder: str) -> dict[str, str]:
    """Return `files_hash` to reason for every model that was rolled back."""
    found: dict[str, str] = {}
    for line in read_audit(model_folder):
        if line["action"] == "rollback":
            found.update(dict.fromkeys(line["withdrawn"], line["reason"]))
        elif line.get("forced"):
            found.pop(line["files_hash"], None)
    return found


def complete_audit(model_folder: str) -> None:
    """Add the missing lines: a kill may come between a version and its line."""
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
        append_audit(model_folder, line)


def append_audit(model_folder: str, line: dict[str, Any]) -> None:
    """Append a line. The current time and user are added unless the line has them."""
    line = {"time": current_time(), "user": current_user(), **line}
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


def current_time() -> str:
    """Return the time in UTC, ISO 8601, in seconds."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def current_user() -> str:
    """Return the user's name, or `uid` and the number if the user has no account."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # In a pod the user ID often has no account.
        return f"uid {os.getuid()}"
