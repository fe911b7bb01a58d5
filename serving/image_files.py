"""The image files that a command line's arguments mean."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"})
"""Endings of files that a folder is searched for; a file named itself may have any."""


def find_images(arguments: Iterable[str]) -> Iterator[Path]:
    """Yield files for paths of files, of folders (searched in depth), and patterns.

    A name that exists is taken as it is, even with a `*` in it.

    Raises:
        FileNotFoundError: If an argument means no file at all, naming it.
    """
    for argument in arguments:
        path = Path(argument)
        if path.is_file():
            found = [path]
        elif path.is_dir():
            found = sorted(
                each
                for each in path.rglob("*")
                if each.suffix.lower() in SUFFIXES and each.is_file()
            )
        else:
            matches = map(Path, glob.glob(argument, recursive=True))
            found = sorted(each for each in matches if each.is_file())
        if not found:
            raise FileNotFoundError(f"no image at {argument!r}")
        yield from found
