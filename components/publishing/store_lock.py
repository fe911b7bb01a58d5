"""The lock that a change of a model store holds, and the clean-up after a kill."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from graft.components.publishing.audit import complete_audit
from graft.components.publishing.labels import LABELS_NAME, SERVING_CONFIG_NAME
from graft.components.publishing.version_folders import is_unfinished, remove_abandoned
from graft.storage import atomic, files
from graft.storage.paths import is_remote

_TORN_SECONDS = 3600


@contextlib.contextmanager
def locked(model_folder: str) -> Iterator[None]:
    """Hold the store's lock. First remove what a killed change has left.

    The kernel holds the lock and frees it when the process ends. Object storage has no
    lock.
    """
    files.make_folder(model_folder)
    if is_remote(model_folder):
        remove_abandoned(model_folder)
        yield
        return
    with open(os.path.join(model_folder, ".lock"), "a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for entry in os.listdir(model_folder):
            path = os.path.join(model_folder, entry)
            if is_unfinished(entry):
                files.remove_folder(path)
            elif entry.endswith(atomic.PARTIAL_SUFFIX) and _is_torn(path):
                files.remove_file(path)
        complete_audit(model_folder)
        yield


def _is_torn(path: str) -> bool:
    """Return whether no process writes a partial file any more.

    The caller holds the lock.
    """
    name = os.path.basename(path)
    if name.startswith((LABELS_NAME, SERVING_CONFIG_NAME)):
        return True
    # Other files, such as drift.json, are written without the lock.
    return files.modified_at(path) < time.time() - _TORN_SECONDS
