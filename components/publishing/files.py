"""Files of a model store: a local folder, or object storage through TFX's file systems.

TFX's `fileio` imports TensorFlow, which costs seconds. A rollback must not wait for
that, so local paths go to Python's own functions.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from typing import Any


def is_remote(path: str) -> bool:
    """Return whether a path is a URI: object storage has no rename of folders."""
    return "://" in path


def exists(path: str) -> bool:
    """Return whether there is a file or folder."""
    return bool(_remote().exists(path)) if is_remote(path) else os.path.exists(path)


def list_folder(path: str) -> list[str]:
    """Return the names in a folder; none for a missing one."""
    if not exists(path):
        return []
    if is_remote(path):
        return [_text(name).rstrip("/") for name in _remote().listdir(path)]
    return os.listdir(path)


def open_file(path: str, mode: str = "r") -> Any:
    """Open a file; the folder above must exist."""
    if is_remote(path):
        return _remote().open(path, mode)
    return open(path, mode, encoding=None if "b" in mode else "utf-8")


def make_folder(path: str) -> None:
    """Make a folder and those above it."""
    if is_remote(path):
        _remote().makedirs(path)
    else:
        os.makedirs(path, exist_ok=True)


def remove_folder(path: str) -> None:
    """Remove a folder and all that is in it."""
    if is_remote(path):
        _remote().rmtree(path)
    else:
        shutil.rmtree(path)


def remove_file(path: str) -> None:
    """Remove a file."""
    if is_remote(path):
        _remote().remove(path)
    else:
        os.remove(path)


def files_below(path: str) -> Iterable[str]:
    """Yield the path of every file below a folder."""
    walk = _remote().walk if is_remote(path) else os.walk
    for parent, _, names in walk(path):
        for name in names:
            yield os.path.join(_text(parent), _text(name))


def _remote() -> Any:
    from tfx.dsl.io import fileio

    return fileio


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
