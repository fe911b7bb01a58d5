"""Ask about images of one name in two formats, such as `1.jpg` beside `1.png`."""

from __future__ import annotations

import os
from collections import defaultdict

from graft.components.ingestion.class_levels import option_of_pattern
from graft.components.ingestion.folder_counts import Folder
from graft.components.ingestion.layout_answers import FolderLayout, Option, Question
from graft.components.ingestion.object_exports import as_option, class_folders
from graft.components.ingestion.source import some_of
from graft.contract.counts import counted

_FEWEST_PAIRS = 2
_JPEG = ("jpg", "jpeg")


def ask_about_format_pairs(root: Folder, layout: FolderLayout) -> Question | None:
    """Ask about class folders in which most images exist in two formats.

    One of the two is often a mask of the other.

    Args:
        root: The data set's folder.
        layout: How its folders would be read.
    """
    files: list[str] = []
    formats: set[str] = set()
    for top in class_folders(root, layout):
        for folder in top.walk():
            pairs = _pairs_in(folder)
            names = [name for pair in pairs for name in pair.values()]
            if len(pairs) >= _FEWEST_PAIRS and len(names) * 2 > len(folder.images):
                files += (f"{folder.path}/{name}" for name in names)
                formats.update(found for pair in pairs for found in pair)
    if not files:
        return None
    options: list[Option] = []
    for found in sorted(formats):
        extension = "jpe?g" if found in _JPEG else found
        pattern = rf"(?P<class>[^/]+)/(?:[^/]+/)*[^/]+\.(?i:{extension})"
        what = f"only .{found} files"
        options += option_of_pattern(root, layout.split_folders, pattern, what)
    return Question(
        f"{counted(len(files), 'file')} of {counted(root.total, 'image')} have the "
        f"name of another file, in another format: {some_of(files)}. One of two may be "
        "the mask of the other, or its copy. A mask is no photo of the class.",
        (*options, as_option(root, layout)),
    )


def _pairs_in(folder: Folder) -> list[dict[str, str]]:
    """Return the files of one name in a folder, by their extension."""
    by_stem: dict[str, dict[str, str]] = defaultdict(dict)
    for name in folder.images:
        stem, extension = os.path.splitext(name)
        form = extension[1:].casefold()
        if form:
            by_stem[stem][_JPEG[0] if form in _JPEG else form] = name
    return [found for found in by_stem.values() if len(found) > 1]
