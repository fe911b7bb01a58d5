"""Find images that are left aside because of their names, such as `1.png.bak`."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from graft.components.ingestion.sources.source import some_of
from graft.contract.counts import agree, counted
from graft.contract.image_signatures import has_image_signature
from graft.storage import files
from graft.storage.left_aside import kind_of_sidecar
from graft.storage.listing import FileEntry
from graft.storage.paths import is_remote

# A file beside each image, such as its caption, is no reason to read a million files.
_MOST_FILES = 1000
_HEAD_BYTES = 12
_BMP, _BMP_RESERVED = b"BM", slice(6, 10)


def warn_of_misnamed(entries: Iterable[FileEntry]) -> list[str]:
    """Return a warning about files that are images by content and not by name.

    Args:
        entries: Files that are left aside. The first local ones are read.
    """
    sidecars = (entry for entry in entries if kind_of_sidecar(entry.parts[-1]))
    found = [
        entry.name
        for entry in itertools.islice(sidecars, _MOST_FILES)
        if _is_image(entry)
    ]
    if not found:
        return []
    number = len(found)
    return [
        f"Left aside because of {agree(number, 'its name', 'their names')}, but an "
        f"image by content: {counted(number, 'file')} ({some_of(found)}). To read "
        f"{agree(number, 'it', 'them')}, let the names end in .jpg or .png."
    ]


def _is_image(entry: FileEntry) -> bool:
    if is_remote(entry.path):
        return False  # each would take a request
    try:
        head = files.read_bytes(entry.path, 0, _HEAD_BYTES)
    except OSError:
        return False
    # Two letters may begin a text, too.
    is_text = head.startswith(_BMP) and any(head[_BMP_RESERVED])
    return has_image_signature(head) and not is_text
