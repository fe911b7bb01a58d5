"""Join and split paths and URIs. No file is accessed."""

from __future__ import annotations

import os
import re

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def scheme_of(path: str) -> str:
    """Return the scheme of a URI in lower case, or `""` for a local path."""
    match = _SCHEME.match(path)
    return match.group(1).lower() if match else ""


def is_remote(path: str) -> bool:
    """Return whether a path is a URI such as `gs://bucket/folder`."""
    return bool(_SCHEME.match(path))


def expand_home(path: str) -> str:
    """Expand `~` in a local path. A URI stays unchanged."""
    return path if is_remote(path) else os.path.expanduser(path)


def join(folder: str, *names: str) -> str:
    """Join a folder and names. An absolute name replaces everything before it."""
    for name in names:
        if is_remote(name) or not is_remote(folder):
            folder = name if is_remote(name) else os.path.join(folder, name)
        elif os.path.isabs(name):
            folder = name
        else:
            folder = f"{folder.rstrip('/')}/{name}"
    return folder


def name_of(path: str) -> str:
    """Return the last part of a path, without trailing slashes."""
    return path.rstrip("/").rpartition("/")[2]


def parent_of(path: str) -> str:
    """Return the folder of a path, or `""` for a bare name."""
    if is_remote(path):
        return path.rstrip("/").rpartition("/")[0]
    return os.path.dirname(path.rstrip("/") or path)
