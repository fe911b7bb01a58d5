"""The change that is under way, noted in the store so that a kill loses none of it.

A change has up to three steps that others can see: the version, the labels, the line of
the audit log. It is noted first, and the note is removed last. If a process is killed
in between, the next one that takes the lock finishes the change if its version is
there, and drops it else.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from graft.components.publishing.audit import Line, append_audit, read_audit
from graft.components.publishing.labels import write_labels
from graft.components.publishing.store_files import read_json, set_aside, write_text
from graft.components.publishing.versions import list_versions
from graft.storage import files
from graft.storage.paths import is_remote, join

JOURNAL_NAME = "graft_change.json"


@dataclass(frozen=True)
class Change:
    """A change of a model store.

    Attributes:
        version: Number of the version that it adds; None if it adds none.
        labels: All labels afterwards.
        line: Its line in the audit log, with an `id`.
    """

    version: int | None
    labels: dict[str, int]
    line: Line


def begin(model_folder: str, change: Change) -> None:
    """Note a change. The caller holds the lock and has changed nothing yet."""
    write_text(join(model_folder, JOURNAL_NAME), json.dumps(asdict(change)))


def finish(model_folder: str, change: Change) -> None:
    """Do what follows on the version: the labels and the audit log's line."""
    numbers = [version.number for version in list_versions(model_folder)]
    write_labels(model_folder, change.labels, numbers)
    if not is_logged(model_folder, change):
        append_audit(model_folder, change.line)
    drop(model_folder)


def drop(model_folder: str) -> None:
    """Remove the note."""
    path = join(model_folder, JOURNAL_NAME)
    if files.exists(path):
        files.remove_file(path)


def is_under_way(model_folder: str) -> bool:
    """Return whether a change has been noted and not finished."""
    return files.exists(join(model_folder, JOURNAL_NAME))


def recover(model_folder: str) -> None:
    """Finish or drop a change that was killed. The caller holds the lock."""
    if not is_under_way(model_folder):
        return
    change = _read(model_folder)
    if change is None:
        # The manifest still tells the version's line.
        set_aside(join(model_folder, JOURNAL_NAME))
        return
    numbers = [version.number for version in list_versions(model_folder)]
    if change.version is None or change.version in numbers:
        finish(model_folder, change)
        return
    if is_remote(model_folder):
        files.remove_folder(join(model_folder, str(change.version)))
    drop(model_folder)


def is_logged(model_folder: str, change: Change) -> bool:
    """Return whether the audit log has a change's line."""
    return any(
        line.get("id") == change.line["id"]
        or (line["action"] != "promote" and line.get("version") == change.version)
        for line in read_audit(model_folder)
    )


def _read(model_folder: str) -> Change | None:
    values: Any
    values, _ = read_json(join(model_folder, JOURNAL_NAME), dict)
    try:
        change = Change(**values)
        is_valid = change.line["action"] and change.line["id"] and change.labels.keys()
    except (TypeError, KeyError, AttributeError):
        return None
    return change if is_valid is not None else None
