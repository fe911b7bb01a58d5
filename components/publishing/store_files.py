"""Read and write the files of a model store, though any of them may be damaged.

A damaged file stops nothing: a reader gets no content and a reason, and a writer sets
aside what is in its way. `graft models --verify` reports it, `--repair` mends it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from typing import Any

from graft.contract.errors import UserError
from graft.storage import atomic, copying, files
from graft.storage.drivers import StorageError
from graft.storage.paths import is_remote, join, name_of, parent_of

_ASIDE = ".damaged-"

logger = logging.getLogger(__name__)


def read_text(path: str) -> tuple[str | None, str | None]:
    """Return the text of a file and what is wrong with it.

    Returns:
        Text and None; None and a reason for a damaged file; None and None for a missing
        one.

    Raises:
        UserError: The file can't be reached or may not be read.
    """
    if not is_remote(path) and not os.path.lexists(path):
        return None, None
    try:
        return files.read_small_text(path), None
    except (StorageError, PermissionError) as error:
        raise UserError(f"{path!r} can't be read: {error}") from error
    except IsADirectoryError:
        return None, "is a folder"
    except UnicodeDecodeError:
        return None, "is no text"
    except OSError as error:
        if is_remote(path) and not files.exists(path):
            return None, None  # It was removed in the meantime.
        return None, "is no file" if is_remote(path) else f"can't be read: {error}"


def read_json(path: str, kind: type) -> tuple[Any, str | None]:
    """Return the JSON value of a file and what is wrong with it; see `read_text`.

    Args:
        path: The file.
        kind: Type of the value: `dict` or `list`.
    """
    text, damage = read_text(path)
    if text is None:
        return None, damage
    value = parse(text)
    if isinstance(value, kind):
        return value, None
    return None, "is empty" if not text.strip() else "holds no valid JSON"


def parse(text: str) -> Any:
    """Return the JSON value of a text; None for a text that is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def write_text(path: str, text: str) -> None:
    """Write a file atomically. Anything else in its place is set aside."""
    make_way(path)
    atomic.write_text(path, text)


def is_there(path: str) -> bool:
    """Return whether anything has this name, even a link to nowhere."""
    return files.exists(path) if is_remote(path) else os.path.lexists(path)


def make_way(path: str) -> None:
    """Set aside what is no regular file: a folder, a pipe, a link to nowhere."""
    if is_remote(path) or os.path.isfile(path):
        return
    # Another process may do the same.
    with contextlib.suppress(FileNotFoundError):
        os.lstat(path)
        set_aside(path)


def set_aside(path: str, folder: str | None = None) -> str:
    """Rename a damaged file or folder, so that no server or command reads it.

    Args:
        path: The file or folder.
        folder: Where to put it; None: where it is.

    Returns:
        The new path. Its name begins with a dot, so no server takes it for a version.
    """
    target = _name_aside(path, folder or parent_of(path))
    if is_remote(path):
        if files.is_file(path):
            copying.move_file(path, target)
        else:
            copying.copy_folder(path, target)
            files.remove_folder(path)
    else:
        os.rename(path, target)
    logger.warning("%s is damaged; it was renamed %s", path, target)
    return target


def copy_aside(path: str) -> str:
    """Copy a damaged file before it is replaced; see `set_aside`."""
    target = _name_aside(path, parent_of(path))
    copying.copy_file(path, target)
    logger.warning("%s is damaged; a copy is %s", path, target)
    return target


def _name_aside(path: str, folder: str) -> str:
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    base = join(folder, f".{name_of(path)}{_ASIDE}{stamp}")
    target, count = base, 1
    while files.exists(target):
        count += 1
        target = f"{base}-{count}"
    return target
