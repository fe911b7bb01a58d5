"""The lock that a change of a model store holds, and the clean-up after a kill."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from typing import Protocol

from graft.components.publishing import journal
from graft.components.publishing.audit import AUDIT_NAME, complete_audit
from graft.components.publishing.labels import LABELS_NAME, SERVING_CONFIG_NAME
from graft.components.publishing.store_files import make_way
from graft.components.publishing.version_folders import is_unfinished, remove_abandoned
from graft.storage import atomic, files, leases
from graft.storage.paths import is_remote, join

_TORN_SECONDS = 3600
_LOCK_NAME = ".lock"
_REMOTE_LOCK_NAME = "graft_lock.json"
_WRITTEN_UNDER_LOCK = (
    LABELS_NAME,
    SERVING_CONFIG_NAME,
    AUDIT_NAME,
    journal.JOURNAL_NAME,
)


class StoreLock(Protocol):
    """The lock of a store, while it is held."""

    def confirm(self) -> None:
        """Check that the lock is still held, right before a version appears."""


class _KernelLock:
    """A lock of the kernel: it is held as long as its process lives."""

    def confirm(self) -> None:
        pass


@contextlib.contextmanager
def locked(model_folder: str) -> Iterator[StoreLock]:
    """Hold the store's lock. First finish or remove what a killed change has left.

    On a local disk the kernel holds the lock and frees it when the process ends. On
    object storage it is a lease.
    """
    files.make_folder(model_folder)
    if is_remote(model_folder):
        with leases.held(join(model_folder, _REMOTE_LOCK_NAME)) as lease:
            _recover(model_folder, lease)
            remove_abandoned(model_folder)
            yield lease
        return
    path = os.path.join(model_folder, _LOCK_NAME)
    make_way(path)
    with open(path, "a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for entry in os.listdir(model_folder):
            path = os.path.join(model_folder, entry)
            if is_unfinished(entry):
                _remove(path)
            elif entry.endswith(atomic.PARTIAL_SUFFIX) and _is_torn(path):
                _remove(path)
        held = _KernelLock()
        _recover(model_folder, held)
        yield held


def settle(model_folder: str) -> None:
    """Wait for a change that is under way, or finish it if it was killed.

    Without the right to write, the store is read as it is.
    """
    if journal.is_under_way(model_folder):
        with contextlib.suppress(PermissionError), locked(model_folder):
            pass


def _recover(model_folder: str, lock: StoreLock) -> None:
    journal.recover(model_folder, lock.confirm)
    complete_audit(model_folder)


def _remove(path: str) -> None:
    if os.path.isdir(path):
        files.remove_folder(path)
    else:
        files.remove_file(path)


def _is_torn(path: str) -> bool:
    """Return whether no process writes a partial file any more.

    The caller holds the lock.
    """
    name = os.path.basename(path)
    if name.startswith(_WRITTEN_UNDER_LOCK):
        return True
    # Other files, such as drift.json, are written without the lock.
    return files.modified_at(path) < time.time() - _TORN_SECONDS
