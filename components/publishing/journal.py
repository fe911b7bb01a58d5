"""The change that is under way, noted in the store so that a kill loses none of it.

A change has up to three steps that others can see: the version, the labels, the line of
the audit log. It is noted first, and the note is removed last. If a process is killed
in between, the next one that takes the lock finishes the change if its version is
there, and drops it else.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from graft.components.publishing.audit import Line, append_audit, read_audit
from graft.components.publishing.labels import read_labels, write_labels
from graft.components.publishing.store_files import read_json, set_aside, write_text
from graft.components.publishing.versions import GRAPH_NAME, list_versions
from graft.storage import conditional, files
from graft.storage.leases import LeaseLostError
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


def begin(model_folder: str, change: Change, confirm: Callable[[], None]) -> None:
    """Note a change. The caller holds the lock and has changed nothing yet.

    Args:
        model_folder: `<store>/<model name>`.
        change: The change.
        confirm: Raises if this process has lost the store's lock.

    Raises:
        LeaseLostError: Another process has taken the lock over.
    """
    path = join(model_folder, JOURNAL_NAME)
    text = json.dumps(asdict(change))
    if not is_remote(path):
        write_text(path, text)
        return
    confirm()
    if not conditional.write(path, text.encode(), None):
        raise LeaseLostError(f"Another process changes {model_folder!r} now.")


def finish(model_folder: str, change: Change, confirm: Callable[[], None]) -> None:
    """Do what follows on the version: the labels and the audit log's line.

    Args:
        model_folder: See `begin`.
        change: See `begin`.
        confirm: See `begin`.
    """
    numbers = [version.number for version in list_versions(model_folder)]
    write_labels(model_folder, change.labels, numbers, confirm)
    if not is_logged(model_folder, change):
        append_audit(model_folder, change.line)
    drop(model_folder, change)


def drop(model_folder: str, change: Change) -> None:
    """Remove the note of a change, unless it is of another one by now."""
    if _read(model_folder) == change:
        with contextlib.suppress(FileNotFoundError):
            files.remove_file(join(model_folder, JOURNAL_NAME))


def is_under_way(model_folder: str) -> bool:
    """Return whether a change has been noted and not finished."""
    return files.exists(join(model_folder, JOURNAL_NAME))


def recover(model_folder: str, confirm: Callable[[], None]) -> None:
    """Finish or drop a change that was killed. The caller holds the lock."""
    if not is_under_way(model_folder):
        return
    change = _read(model_folder)
    if change is None:
        # The manifest still tells the version's line.
        set_aside(join(model_folder, JOURNAL_NAME))
        return
    is_done = any(
        version.number == change.version
        and version.manifest.get("change") in (None, change.line["id"])
        for version in list_versions(model_folder)
    )
    if change.version is None:
        # It was noted by a process that had lost the lock, if other labels are there.
        known = (change.line.get("labels_before"), change.labels)
        is_done = read_labels(model_folder) in known
    if is_done:
        finish(model_folder, change, confirm)
        return
    if is_remote(model_folder) and change.version is not None:
        _remove_unfinished(model_folder, change)
        # Its writer may only have stood still. No other version gets this number.
        line = {"action": "abandon", "version": change.version, "change": change.line}
        append_audit(model_folder, line)
    drop(model_folder, change)


def is_logged(model_folder: str, change: Change) -> bool:
    """Return whether the audit log has a change's line."""
    return any(
        line.get("id") == change.line["id"]
        or (
            line["action"] in ("publish", "rollback")
            and line.get("version") == change.version
        )
        for line in read_audit(model_folder)
    )


def _remove_unfinished(model_folder: str, change: Change) -> None:
    """Remove the folder of a version that has no graph."""
    folder = join(model_folder, str(change.version))
    if not files.exists(join(folder, GRAPH_NAME)):
        files.remove_folder(folder)


def _read(model_folder: str) -> Change | None:
    values: Any
    values, _ = read_json(join(model_folder, JOURNAL_NAME), dict)
    try:
        change = Change(**values)
        is_valid = change.line["action"] and change.line["id"] and change.labels.keys()
    except (TypeError, KeyError, AttributeError):
        return None
    return change if is_valid is not None else None
