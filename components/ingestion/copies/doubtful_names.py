"""Warn of copies and masks among images whose labels are not their folders' names.

A manifest is often written by a walk over a folder, with its thumbnails and masks. The
names are judged as those in class folders are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from graft.components.ingestion.copies.copies_without_image import find_siblings
from graft.components.ingestion.copies.copy_names import find_copies
from graft.components.ingestion.copies.format_pairs import find_format_pairs
from graft.components.ingestion.copies.mask_files import find_masks
from graft.components.ingestion.names.folder_counts import Folder, count_folders
from graft.components.ingestion.sources.image_ref import ImageRef
from graft.components.ingestion.sources.source import some_of
from graft.contract.counts import agree, counted

_SLASH_IN_CLASS = "\u2215"


def warn_of_doubtful_names(refs: Sequence[ImageRef], mend: str) -> list[str]:
    """Return warnings about images that may be copies or masks of others.

    Args:
        refs: All images of the data set. Those without a name of their own, as records
            have, are not judged.
        mend: How to leave images out, for instance "remove their lines".
    """
    root = as_class_folders(refs)
    classes = root.filled
    masks = _names_of(find_masks(root).files)
    copies = find_copies(classes)
    siblings = find_siblings(classes)
    made = _names_of([*copies.files, *copies.few])
    alike = _names_of([*siblings.files, *siblings.few])
    pairs = _names_of(find_format_pairs(classes))
    found = (
        (masks, f"may be masks of other images by {{}}. If so, {mend}"),
        (
            made,
            "may be copies of other images by {}. If a copy comes into `test` and its "
            f"image into `train`, the model looks better than it is: {mend}, or give a "
            "copy the split of its image",
        ),
        (
            alike,
            "may be copies of the same images by {}. If some come into `test` and "
            f"others into `train`, the model looks better than it is: {mend}, or give "
            "the copies of an image one split",
        ),
        (
            pairs,
            "have the name of another image in another format: one may be the mask or "
            f"the copy of the other. If so, {mend}",
        ),
    )
    total = len(refs)
    seen: set[str] = set()
    warnings = []
    for names, what in found:
        new = [name for name in names if name not in seen]
        seen.update(names)
        if new:
            number = len(new)
            its = agree(number, "its name", "their names")
            warnings.append(
                f"{counted(number, 'file')} of {counted(total, 'image')} "
                f"({some_of(new)}) {what.format(its)}."
            )
    return warnings


def as_class_folders(refs: Sequence[ImageRef]) -> Folder:
    """Return a folder for each class, with the folders of its images below it."""
    paths = [ref.name.replace("\\", "/").lstrip("/") for ref in refs]
    # The folder of all images says nothing about one of them.
    above = os.path.commonpath([os.path.dirname(path) for path in paths] or [""])
    cut = len(above) + 1 if above else 0
    return count_folders(
        f"{ref.class_name.replace('/', _SLASH_IN_CLASS)}/{path[cut:]}"
        for ref, path in zip(refs, paths, strict=True)
        if ref.offset is None or "." in path
    )


def _names_of(paths: Iterable[str]) -> list[str]:
    """Return the paths without the class in front of them."""
    return [path.partition("/")[2] for path in paths]
