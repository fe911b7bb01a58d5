"""Find the image files that command-line arguments name."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"})
"""Suffixes of image files in a folder; a file given by its name may have any suffix."""


def find_images(arguments: Iterable[str]) -> Iterator[Path]:
    """Yield the files of file paths, folders (with their subfolders) and patterns.

    An existing name is used as it is, even if it contains a `*`.

    Raises:
        FileNotFoundError: If an argument matches no file; the message names it.
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
