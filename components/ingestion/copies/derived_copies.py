"""Ask about copies among the images of a class, such as `1_thumb.jpg` by `1.jpg`.

A copy of a training image in `test` makes a model look better than it is.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from functools import cached_property

from graft.components.ingestion.copies.copies_without_image import (
    Siblings,
    find_siblings,
)
from graft.components.ingestion.copies.copy_names import (
    Copies,
    are_of_originals,
    find_copies,
)
from graft.components.ingestion.names.class_levels import option_of_pattern
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.name_patterns import NameParts, pattern_without
from graft.components.ingestion.names.object_exports import as_option, class_folders
from graft.components.ingestion.sources.layout_answers import (
    ROLES,
    FolderLayout,
    Option,
    Question,
)
from graft.components.ingestion.sources.source import some_of
from graft.components.ingestion.sources.splitting import TRAIN_ROLE
from graft.contract.counts import counted

_MOST_VARIANTS = 4  # more options are no help


class FoundCopies:
    """The files in class folders that seem to be copies of the images there.

    Names are compared once, and only when needed.

    Args:
        root: The data set's folder.
        layout: How its folders would be read.
    """

    def __init__(self, root: Folder, layout: FolderLayout) -> None:
        self._root = root
        self._layout = layout

    @cached_property
    def copies(self) -> Copies:
        """The copies whose image is there."""
        return find_copies(class_folders(self._root, self._layout))

    @cached_property
    def siblings(self) -> Siblings:
        """The copies of one image that itself is missing."""
        return find_siblings(class_folders(self._root, self._layout))


def ask_about_copies(
    root: Folder, layout: FolderLayout, found: FoundCopies | None = None
) -> Question | None:
    """Ask about files in class folders that seem to be copies of the images there.

    Args:
        root: The data set's folder.
        layout: How its folders would be read.
        found: The copies in it, if a caller needs them again.
    """
    found = found or FoundCopies(root, layout)
    copies = found.copies
    if copies.files and not _are_in_train_alone(copies, layout):
        return Question(
            f"{counted(len(copies.files), 'file')} of {counted(root.total, 'image')} "
            "have the name of another image, most with an addition, and may be made of "
            "it, as thumbnails, depth maps and augmented copies are: "
            f"{some_of(copies.files)}. If a copy comes into `test` and its image into "
            "`train`, the model looks better than it is. graft augments images itself.",
            (*_options_without(root, layout, copies), as_option(root, layout)),
        )
    siblings = found.siblings
    if siblings.files and not layout.split_folders:
        return Question(
            f"{counted(len(siblings.files), 'file')} of {counted(root.total, 'image')} "
            f"seem to be copies of the same images: {some_of(siblings.files)}. If some "
            "come into `test` and others into `train`, the model looks better than it "
            "is. Export the data without augmentation (graft augments images itself), "
            "or put the copies of one image into one split, and name the splits by "
            "`split_folders`.",
            (
                *_options_of_variants(root, layout, siblings),
                as_option(root, layout),
            ),
        )
    return None


def _are_in_train_alone(copies: Copies, layout: FolderLayout) -> bool:
    """Tell whether all copies stay in the training set, with their images."""
    train = layout.split_folders.get(TRAIN_ROLE, ())
    return (
        not copies.across
        # Of a split that is not given, `train` gives images.
        and all(layout.split_folders.get(role) for role in ROLES)
        and all(
            any(file.startswith(f"{path}/") for path in train) for file in copies.files
        )
    )


def _options_of_variants(
    root: Folder, layout: FolderLayout, siblings: Siblings
) -> Iterator[Option]:
    """Yield the options to read one copy of each image."""
    for text, mark in siblings.variants[:_MOST_VARIANTS]:
        part = f"(?i:{re.escape(text)})"
        name = rf"[^/]+{part}\.[^./]+" if mark.is_at_end else f"{part}[^/]+"
        place = "end with" if mark.is_at_end else "begin with"
        yield from option_of_pattern(
            root,
            layout.split_folders,
            f"(?P<class>[^/]+)/(?:[^/]+/)*{name}",
            f"only files whose names {place} {text!r}",
        )


def with_option_without_copies(root: Folder, question: Question) -> Question:
    """Add the option without copies to a question whether the top folders are classes.

    Args:
        root: The data set's folder.
        question: What is unclear about it.
    """
    layout = FolderLayout("folders")
    if all(option.settings != {"format": "folders"} for option in question.options):
        return question
    copies = find_copies(class_folders(root, layout))
    if not copies.files:
        return question
    without = tuple(_options_without(root, layout, copies))
    return Question(question.finding, (*without, *question.options))


def with_warning_of_copies(
    root: Folder, layout: FolderLayout, found: FoundCopies
) -> FolderLayout:
    """Add a warning to a layout, if a few files may be copies of others."""
    copies, alike = found.copies, found.siblings.few
    few = copies.few
    warnings = [
        f"The folder {name!r} may hold copies of the images in {base!r} by its name, "
        "and is read as a class of its own."
        for name, base in copies.doubtful_tops.items()
    ]
    if copies.files:
        warnings.append(
            f"{counted(len(copies.files), 'file')} of {counted(root.total, 'image')} "
            f"may be copies of others by their names: {some_of(copies.files)}. They "
            "stay in the training set. graft augments images itself."
        )
    if len(few) > 1:
        warnings.append(
            f"{some_of(few)} may be copies of other images by their names, and are "
            "read as images of their classes."
        )
    elif few:
        warnings.append(
            f"{some_of(few)} may be a copy of another image by its name, and is read "
            "as an image of the class."
        )
    if alike:
        warnings.append(
            f"{some_of(alike)} may show the same things by their names: nearly every "
            "image has the same few variants. If so, put all of one thing into one "
            "split, and name the splits by `split_folders`."
        )
    return dataclasses.replace(layout, warnings=(*layout.warnings, *warnings))


def _options_without(
    root: Folder, layout: FolderLayout, copies: Copies
) -> Iterator[Option]:
    splits = layout.split_folders
    parts = parts_of_copies(copies)
    yield from option_of_pattern(
        root, splits, pattern_without(parts), "without the copies"
    )
    originals = {mark.expression for mark in copies.marks if are_of_originals(mark)}
    if originals:
        ends = "|".join(sorted(originals))
        pattern = rf"(?P<class>[^/]+)/(?:[^/]+/)*[^/]*(?i:{ends})\.[^./]+"
        yield from option_of_pattern(root, splits, pattern, "only the originals")


def parts_of_copies(copies: Copies) -> NameParts:
    """Return the parts of names that mark copies."""
    return NameParts(
        tops=copies.tops,
        folders=copies.folders,
        starts={mark.expression for mark in copies.marks if not mark.is_at_end},
        ends={mark.expression for mark in copies.marks if mark.is_at_end},
    )
