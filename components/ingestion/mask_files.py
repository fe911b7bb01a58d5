"""Ask about masks among the images of a class, such as `1_mask.png` beside `1.png`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from graft.components.ingestion.class_levels import option_of_pattern
from graft.components.ingestion.folder_counts import Folder
from graft.components.ingestion.folder_names import is_annotation
from graft.components.ingestion.layout_answers import FolderLayout, Question
from graft.components.ingestion.object_exports import as_option, class_folders
from graft.components.ingestion.source import some_of
from graft.contract.counts import counted

_MASK = re.compile(
    r"(?P<image>.+?)(?P<suffix>[-_. ]+(?:masks?|seg|segm|segmentation|segmented|labels?"
    r"|gt|ground[-_ ]?truth|annotations?|trimap|matte))(?:[-_. ]?\d+)?",
    re.IGNORECASE,
)
_FEWEST_MASKS = 2


def ask_about_masks(root: Folder, layout: FolderLayout) -> Question | None:
    """Ask about files in class folders that seem to be masks of the images there.

    Args:
        root: The data set's folder.
        layout: How its folders would be read.
    """
    files: list[str] = []
    suffixes: set[str] = set()
    folders: set[str] = set()
    for top in class_folders(root, layout):
        for folder in top.walk():
            if folder is not top and is_annotation(folder.name) and folder.images:
                folders.add(folder.name)
                files.extend(f"{folder.path}/{name}" for name in folder.images)
                continue
            for name, suffix in _masks_in(folder):
                files.append(f"{folder.path}/{name}")
                suffixes.add(suffix)
    if len(files) < _FEWEST_MASKS:
        return None
    return Question(
        f"{counted(len(files), 'file')} of {counted(root.total, 'image')} in the class "
        f"folders seem to be masks of others: "
        f"{some_of(files)}. A mask is no photo of the class: a model would learn from "
        "drawings that nobody sends it.",
        (
            *option_of_pattern(
                root,
                layout.split_folders,
                _pattern_without(folders, suffixes),
                "without the masks",
            ),
            as_option(root, layout),
        ),
    )


def _masks_in(folder: Folder) -> Iterator[tuple[str, str]]:
    """Yield the masks in a folder, and the end of their names."""
    stems = {os.path.splitext(name)[0] for name in folder.images}
    for name in folder.images:
        match = _MASK.fullmatch(os.path.splitext(name)[0])
        if match and match["image"] in stems:
            yield name, match["suffix"]


def _pattern_without(folders: set[str], suffixes: set[str]) -> str:
    pattern = "(?P<class>[^/]+)/"
    above = "[^/]+/"
    if folders:
        above = f"(?!(?:{_any_of(folders)})/){above}"
    pattern += f"(?:{above})*"
    if suffixes:
        pattern += rf"(?![^/]*(?:{_any_of(suffixes)})(?:[-_. ]?\d+)?\.[^./]+$)"
    return f"{pattern}[^/]+"


def _any_of(words: set[str]) -> str:
    return "|".join(map(re.escape, sorted(words)))
