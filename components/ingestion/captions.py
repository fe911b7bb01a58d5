"""Tell captions and metadata of images from boxes of objects, by their content.

All of them are texts beside the images.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from graft.storage import files
from graft.storage.left_aside import kind_of_file
from graft.storage.listing import FileEntry

_MOST_FILES = 20
_HEAD_BYTES = 256
_JSON_HEAD_BYTES = 65536
# YOLO: the number of a class, and four or more coordinates.
_BOX = re.compile(r"\d+(\s+[-+.\deE]+){4,}\s*")
# Keys of labelme, Supervisely, COCO, CreateML and others.
_KEY_OF_OBJECTS = re.compile(
    r'"((shapes|objects|annotations?|regions?|bbox(es)?|bnd_?box|bounding_?box(es)?'
    r'|boxes|points|polygons?|segmentations?|rectangles?|keypoints|masks?)"\s*:\s*[\[{]'
    r'|(x_?min|x1)"\s*:)',
    re.IGNORECASE,
)


def find_captions(entries: Sequence[FileEntry]) -> set[str]:
    """Return the names of the texts that are captions or metadata of images.

    Args:
        entries: All files of a data set. The first texts of images are read.
    """
    texts = [
        entry for entry in entries if entry.name.lower().endswith((".txt", ".json"))
    ]
    if not texts:
        return set()
    images = {
        name
        for entry in entries
        if kind_of_file(entry.parts[-1]) is None
        for name in (entry.name, os.path.splitext(entry.name)[0])
    }
    texts = [entry for entry in texts if os.path.splitext(entry.name)[0] in images]
    by_kind = (
        ([each for each in texts if each.name.lower().endswith(".txt")], _holds_words),
        ([each for each in texts if each.name.lower().endswith(".json")], _is_metadata),
    )
    return {
        entry.name
        for of_kind, are_words in by_kind
        if of_kind and are_words(of_kind[:_MOST_FILES])
        for entry in of_kind
    }


def _holds_words(entries: Sequence[FileEntry]) -> bool:
    lines = [line for entry in entries if (line := _first_line(entry))]
    return bool(lines) and not any(map(_BOX.fullmatch, lines))


def _is_metadata(entries: Sequence[FileEntry]) -> bool:
    """Tell whether JSON files have no key of objects, such as `shapes`."""
    heads = [_head(entry, _JSON_HEAD_BYTES) for entry in entries]
    return all(
        head.lstrip()[:1] in ("{", "[") and not _KEY_OF_OBJECTS.search(head)
        for head in heads
    )


def _first_line(entry: FileEntry) -> str:
    return _head(entry, _HEAD_BYTES).strip().partition("\n")[0].strip()


def _head(entry: FileEntry, size: int) -> str:
    try:
        return files.read_bytes(entry.path, 0, size).decode("utf-8-sig", "replace")
    except OSError:
        return ""
