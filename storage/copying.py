"""Copy and rename files, also from one scheme to another."""

from __future__ import annotations

import os
import shutil

from graft.storage import atomic, files
from graft.storage.drivers import driver_of, errors_of
from graft.storage.paths import is_remote, join, scheme_of


def copy_file(source: str, target: str) -> None:
    """Copy a file; the copy appears whole or not at all.

    Raises:
        OSError: It can't be read or written.
    """
    if is_remote(source) and scheme_of(source) == scheme_of(target):
        driver, key = driver_of(source)
        with errors_of(source):
            driver.cp_file(key, driver_of(target)[1])
        return
    with files.local_copy(source) as local, atomic.replacing(target) as written:
        shutil.copyfile(local, written)


def copy_folder(source: str, target: str) -> None:
    """Copy every file below a folder to the same place below another."""
    for path in files.files_below(source):
        copy_file(path, join(target, path[len(source.rstrip("/")) + 1 :]))


def move_file(source: str, target: str) -> None:
    """Give a file another name, replacing the file that has it.

    Locally in one step; remotely as a copy and a removal.

    Raises:
        OSError: There is no such file, or the place can't be written to.
    """
    if is_remote(source) or is_remote(target):
        copy_file(source, target)
        files.remove_file(source)
    else:
        os.replace(source, target)
