"""A temporary folder for one process, which is removed when the process ends.

TensorFlow, Beam and TFX write temporary files and leave some of them. A command gives
them a folder of its own. A killed process can't remove its folder; the next command
does.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "graft-tmp-"
_LOCK_FILE = "in-use"


@functools.cache
def use_own_temporary_folder() -> Path | None:
    """Let this process and its children use a new folder for temporary files.

    The folder is locked while the process lives, also after `exec`. Folders that nobody
    locks are of killed processes, and are removed.

    Returns:
        The folder. None if none can be made; then the process uses the usual one, and a
        command that needs it fails with its own message.
    """
    try:
        root = Path(tempfile.gettempdir())
        _remove_unused(root)
        folder = _make_locked(root)
    except OSError:
        return None
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = None
    # What is registered first runs last, after the libraries have removed their files.
    atexit.register(_remove_own, folder, os.getpid())
    return folder


def _make_locked(root: Path) -> Path:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
        lock = os.open(folder / _LOCK_FILE, os.O_CREAT | os.O_RDWR, 0o600)
        os.set_inheritable(lock, True)
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Another process may have removed the folder before it was locked.
        if (folder / _LOCK_FILE).exists():
            return folder
        os.close(lock)


def _remove_own(folder: Path, process_id: int) -> None:
    # A forked child that ends must not remove its parent's folder.
    if os.getpid() == process_id:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_unused(root: Path) -> None:
    for folder in root.glob(f"{_PREFIX}*"):
        # Someone else's folder, or one that has just gone, is left alone.
        with contextlib.suppress(OSError), _lock_of_nobody(folder):
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _lock_of_nobody(folder: Path) -> Iterator[None]:
    """Lock a folder's file.

    Raises:
        OSError: The folder has no such file, or a living process has locked it.
    """
    lock = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)
