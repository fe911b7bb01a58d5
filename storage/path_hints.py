"""Find the mistake in a path that does not exist, if the path itself shows it."""

from __future__ import annotations

import os
import re
import urllib.parse

from graft.storage.paths import is_remote

_DRIVE = re.compile(r"([A-Za-z]):[\\/](.*)", re.DOTALL)
# `pathlib` shortens three slashes to one.
_FILE_URI = re.compile(r"file:/", re.IGNORECASE)
_ARCHIVE = re.compile(
    r".*\.(zip|tar|tgz|tbz2|txz|tar\.(gz|bz2|xz|zst)|7z|rar)", re.IGNORECASE | re.DOTALL
)


def hint_about(path: str) -> str:  # noqa: PLR0911
    """Return a sentence about the mistake in a local path, or "".

    Args:
        path: The path as the user gave it. The folders above it are listed.
    """
    if _FILE_URI.match(path):
        local = urllib.parse.unquote(urllib.parse.urlsplit(path).path)
        return f"Give a local path without `file://`: {local!r}."
    if is_remote(path):
        return ""
    bare = path.strip().strip("'\"")
    if bare != path and os.path.exists(os.path.expanduser(bare)):
        return f"Without quotes and spaces at its ends it exists: {bare!r}."
    drive = _DRIVE.fullmatch(path)
    if drive:
        mounted = f"/mnt/{drive[1].lower()}/" + drive[2].replace("\\", "/")
        return (
            "This is a path of Windows. Under WSL, drives lie below /mnt: "
            f"{mounted!r}. In a container, mount the folder and give the path in it."
        )
    if path.startswith("\\\\"):
        return (
            "This is a network path of Windows. Mount the share, and give the path "
            "where it is mounted."
        )
    if "\\" in path and not os.path.exists(path):
        forward = path.replace("\\", "/")
        found = "; that exists" if os.path.exists(os.path.expanduser(forward)) else ""
        return f"Write `/` between folders, not `\\`: {forward!r}{found}."
    if path.startswith("~") and not os.path.exists(os.path.expanduser(path)):
        return f"`~` stands for {os.path.expanduser(path[:1])!r} here."
    if _ARCHIVE.fullmatch(path) and os.path.isfile(path):
        return "This is an archive. Unpack it first, and give the folder."
    return _other_spelling(path)


def _other_spelling(path: str) -> str:
    """Return a sentence about a path that exists in another case, or ""."""
    found = "/" if os.path.isabs(path) else "."
    for part in path.split("/"):
        if not part:
            continue
        if os.path.lexists(os.path.join(found, part)):
            found = os.path.join(found, part)
            continue
        try:
            names = sorted(os.listdir(found))
        except OSError:
            return ""
        same = [name for name in names if name.casefold() == part.casefold()]
        if not same:
            return ""
        found = os.path.join(found, same[0])
    found = os.path.normpath(found)
    if found == os.path.normpath(path):
        return ""
    return f"Names are case-sensitive. Did you mean {found!r}?"
