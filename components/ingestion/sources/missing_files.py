"""Find the file that a path means which does not exist."""

from __future__ import annotations

import functools
import os
import unicodedata
import urllib.parse
from collections.abc import Callable, Mapping

from graft.contract.class_name import INVISIBLE

_QUOTES = "'\"`\u2018\u2019\u201c\u201d"


def _key_of(name: str) -> str:
    shown = "".join(letter for letter in name if letter not in INVISIBLE)
    return unicodedata.normalize("NFKC", shown).strip().casefold()


def _stem_of(name: str) -> str:
    return os.path.splitext(_key_of(name))[0]


def _number_of(name: str) -> str:
    """Return a number without zeros in front, the same for `0001.jpg` and `1`."""
    stem = _stem_of(name)
    return stem.lstrip("0") or "0" if stem.isdigit() else stem


def hint_about_file(path: str) -> str:
    """Return what the folder has instead of a local file, or "".

    The names may differ in case, in white space or invisible characters, in the form of
    Unicode, in quotes or percent signs around or in them, in the extension, or in zeros
    at the beginning of a number.

    Args:
        path: A path that does not exist.
    """
    if os.path.islink(path):
        return "it is a link to a file that does not exist"
    straight = os.path.normpath(path)
    if os.path.isfile(straight):
        return f"without '..' in it, the path is {straight!r}"
    above, asked = os.path.split(straight)
    folder = _existing(above)
    found = None if folder is None else _found_in(folder, asked)
    if folder is None or found is None:
        return ""
    if folder != above:
        return f"there is {os.path.join(folder, found)!r}"
    if unicodedata.normalize("NFC", found) == unicodedata.normalize("NFC", asked):
        return f"the folder has {found!r} in another form of Unicode: {found!a}"
    return f"the folder has {found!r}"


def _found_in(folder: str, asked: str) -> str | None:
    """Return the name that a missing name means; another extension comes last."""
    asked_names = (asked, asked.strip(_QUOTES), urllib.parse.unquote(asked))
    for key_of in (_key_of, _stem_of, _number_of):
        names = _names_in(folder, key_of)
        for name in asked_names:
            if key_of(name) in names:
                return names[key_of(name)]
    return None


def _existing(folder: str) -> str | None:
    """Return the folder, or one that is spelt alike, or None."""
    if os.path.isdir(folder or "."):
        return folder
    above, name = os.path.split(folder)
    if not name:
        return None
    parent = _existing(above)
    if parent is None:
        return None
    found = _names_in(parent).get(_key_of(name))
    path = os.path.join(parent, found) if found else ""
    return path if os.path.isdir(path) else None


def _names_in(folder: str, key_of: Callable[[str], str] = _key_of) -> Mapping[str, str]:
    """Return the names in a folder by their keys."""
    try:
        modified = os.stat(folder or ".").st_mtime_ns
        return _listed(folder or ".", modified, key_of)
    except OSError:
        return {}


# Many lines of a manifest may be wrong in the same way.
@functools.lru_cache(8)
def _listed(
    folder: str, modified: int, key_of: Callable[[str], str]
) -> Mapping[str, str]:
    del modified  # a part of the key: a changed folder is listed again
    return {key_of(name): name for name in sorted(os.listdir(folder), reverse=True)}
