"""Tell captions of images from boxes of objects: both are texts beside the images."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from graft.storage import files
from graft.storage.left_aside import kind_of_file
from graft.storage.listing import FileEntry

_MOST_FILES = 20
_HEAD_BYTES = 256
# YOLO: the number of a class, and four or more coordinates.
_BOX = re.compile(r"\d+(\s+[-+.\deE]+){4,}\s*")


def find_captions(entries: Sequence[FileEntry]) -> set[str]:
    """Return the names of the text files that are captions of the images beside them.

    Args:
        entries: All files of a data set. The first texts of images are read.
    """
    texts = [entry for entry in entries if entry.name.lower().endswith(".txt")]
    if not texts:
        return set()
    images = {
        os.path.splitext(entry.name)[0]
        for entry in entries
        if kind_of_file(entry.parts[-1]) is None
    }
    texts = [entry for entry in texts if os.path.splitext(entry.name)[0] in images]
    lines = [line for entry in texts[:_MOST_FILES] if (line := _first_line(entry))]
    if not lines or any(map(_BOX.fullmatch, lines)):
        return set()
    return {entry.name for entry in texts}


def _first_line(entry: FileEntry) -> str:
    try:
        head = files.read_bytes(entry.path, 0, _HEAD_BYTES)
    except OSError:
        return ""
    return head.decode("utf-8", "replace").strip().partition("\n")[0].strip()
