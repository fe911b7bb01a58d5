"""Copy and rename files, within a scheme or between schemes."""

from __future__ import annotations

import os
import shutil

from graft.storage import atomic, files
from graft.storage.drivers import driver_of, errors_of
from graft.storage.paths import is_remote, join, scheme_of


def copy_file(source: str, target: str) -> None:
    """Copy a file atomically.

    Raises:
        OSError: The source can't be read, or the target can't be written.
    """
    if is_remote(source) and scheme_of(source) == scheme_of(target):
        driver, key = driver_of(source)
        with errors_of(source):
            driver.cp_file(key, driver_of(target)[1])
        return
    with (
        files.local_copy(source) as local,
        # It refuses a device, whose copy would not end.
        files.open_for_reading(local),
        atomic.replacing(target) as written,
    ):
        shutil.copyfile(local, written)


def copy_folder(source: str, target: str) -> None:
    """Copy all files below a folder, and keep their relative paths.

    Raises:
        OSError: A file can't be read or written.
    """
    for path in files.files_below(source):
        copy_file(path, join(target, path[len(source.rstrip("/")) + 1 :]))


def move_file(source: str, target: str) -> None:
    """Rename a file, and replace any file at the target.

    A local rename is atomic. A remote one copies the file, then removes the source.

    Raises:
        OSError: The source doesn't exist, or the target isn't writable.
    """
    if is_remote(source) or is_remote(target):
        copy_file(source, target)
        files.remove_file(source)
    else:
        os.replace(source, target)
