"""Ask about masks among the images of a class, such as `1_mask.png` beside `1.png`."""

from __future__ import annotations

import dataclasses
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from graft.components.ingestion.copies.copy_names import find_copies
from graft.components.ingestion.copies.derived_copies import parts_of_copies
from graft.components.ingestion.names.class_levels import option_of_pattern
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import (
    is_annotation,
    is_box,
    is_of_annotations,
)
from graft.components.ingestion.names.name_patterns import NameParts, pattern_without
from graft.components.ingestion.names.object_exports import as_option, class_folders
from graft.components.ingestion.names.stray_names import stray_name_of
from graft.components.ingestion.sources.layout_answers import (
    FolderLayout,
    Option,
    Question,
)
from graft.components.ingestion.sources.source import some_of
from graft.contract.counts import counted

_MASK_WORDS = (
    r"masks?|seg|segm|segmentations?|segmented|labels?|lbls?|gt|ground[-_ ]?truth"
    r"|annotations?|trimaps?|matte"
    # As Cityscapes has beside `_leftImg8bit`.
    r"|gt(?:fine|coarse)(?:_(?:color|labelids|labeltrainids|instanceids))?"
)
_IMAGE_WORDS = r"images?|imgs?|photos?|pics?|pictures?|rgb|orig|original|input|scan"
# Between a word and a number, nothing need stand.
_MARKS_OF_MASK = (
    re.compile(
        rf"(?P<image>.+?)(?P<mark>(?:[-_. ]+|(?<=\d))(?:{_MASK_WORDS}))(?:[-_. ]?\d+)?",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?P<mark>(?:{_MASK_WORDS})(?:[-_. ]+|(?=\d)))(?P<image>.+)", re.IGNORECASE
    ),
)
_MARKS_OF_IMAGE = (
    re.compile(rf"(?P<image>.+?)(?:[-_. ]+|(?<=\d))(?:{_IMAGE_WORDS})", re.IGNORECASE),
    re.compile(rf"(?:{_IMAGE_WORDS})(?:[-_. ]+|(?=\d))(?P<image>.+)", re.IGNORECASE),
)
_ONLY_MASK = re.compile(_MASK_WORDS, re.IGNORECASE)
_ONLY_IMAGE = re.compile(_IMAGE_WORDS, re.IGNORECASE)
_PARTS_OF_MASK_WORDS = (
    "mask",
    "seg",
    "label",
    "lbl",
    "gt",
    "truth",
    "annot",
    "trimap",
    "matte",
)
_FEWEST_MASKS = 2
_FEWEST_OF_OTHER_WORD = 3
_FEWEST_SAME = 3
_SHARE_OF_OTHER_WORD = 0.9
_SEPARATORS = re.compile(r"[-_. ]+")
_CLASS_FOLDERS = FolderLayout("folders")


class Masks(NamedTuple):
    """Files that seem to be masks, and what their names have in common.

    Attributes:
        files: Their paths.
        tops: Names of class folders of masks.
        folders: Names of folders of masks in class folders.
        starts: How the names of masks begin.
        ends: How the names of masks end, without number and extension.
    """

    files: list[str]
    tops: set[str]
    folders: set[str]
    starts: set[str]
    ends: set[str]


def ask_about_masks(root: Folder, layout: FolderLayout) -> Question | None:
    """Ask about files in class folders that seem to be masks of the images there.

    Args:
        root: The data set's folder.
        layout: How its folders would be read.
    """
    masks = find_masks(root, layout)
    if len(masks.files) < _FEWEST_MASKS:
        return None
    return Question(
        f"{counted(len(masks.files), 'file')} of {counted(root.total, 'image')} in the "
        f"class folders seem to be masks of others: {some_of(masks.files)}. A mask is "
        "no photo of the class: a model would learn from drawings that nobody sends "
        "it.",
        (*_option_without(root, layout, masks), as_option(root, layout)),
    )


def with_option_without_masks(root: Folder, question: Question) -> Question:
    """Add the option without masks to a question whether the top folders are classes.

    Args:
        root: The data set's folder.
        question: What is unclear about it.
    """
    layout = _CLASS_FOLDERS
    if all(option.settings != {"format": "folders"} for option in question.options):
        return question
    masks = find_masks(root, layout)
    if len(masks.files) < _FEWEST_MASKS:
        return question
    without = tuple(_option_without(root, layout, masks))
    options: list[Option] = []
    for option in question.options:
        options += [*_option_of_splits_without(root, option, masks), option]
    if len(options) > len(question.options):
        return Question(question.finding, (*options, *without))
    return Question(question.finding, (*without, *options))


def _option_of_splits_without(
    root: Folder, option: Option, masks: Masks
) -> Iterator[Option]:
    """Yield an option that reads splits from paths, without folders of masks."""
    pattern = str(option.settings.get("class_pattern", ""))
    if masks.folders and "(?P<split>" in pattern and "/" in pattern:
        names = "|".join(map(re.escape, sorted(masks.folders)))
        yield from option_of_pattern(
            root, {}, f"(?!.*/(?:{names})/){pattern}", "the splits, without the masks"
        )


def with_warning_of_masks(root: Folder, layout: FolderLayout) -> FolderLayout:
    """Add a warning to a layout, if a file or a class folder may be of masks."""
    classes = class_folders(root, layout)
    found = [
        *find_masks(root, layout).files,
        *(top.path for tops in _siblings(classes) for top in _named_masks(tops)),
    ]
    if not found:
        return layout
    warning = (
        f"{some_of(found)} may be masks of other images by their names, and are read "
        "as images of their classes. If they are masks, move them out of the data."
    )
    return dataclasses.replace(layout, warnings=(*layout.warnings, warning))


def find_masks(root: Folder, layout: FolderLayout = _CLASS_FOLDERS) -> Masks:
    """Find masks in the class folders of a layout.

    Args:
        root: The data set's folder.
        layout: Which of its folders are classes; by default, its top folders.
    """
    masks = Masks([], set(), set(), set(), set())
    for tops in _siblings(class_folders(root, layout)):
        of_others = _masks_of_folders(tops)
        for top in tops:
            if top in of_others:
                masks.tops.add(top.name)
                masks.files.extend(_files_in(top))
            else:
                _add_masks_in(top, masks)
    return masks


def _siblings(tops: Sequence[Folder]) -> Iterable[list[Folder]]:
    by_parent: dict[str, list[Folder]] = defaultdict(list)
    for top in tops:
        by_parent[top.path.rpartition("/")[0]].append(top)
    return by_parent.values()


def _masks_of_folders(tops: Sequence[Folder]) -> list[Folder]:
    """Return the folders such as `cat_mask` beside `cat`, and `masks` of the others."""
    names = {top.name for top in tops}
    marked = [top for top in tops if _image_of(top.name) in names - {top.name}]
    return marked + [
        top
        for top in _named_masks(tops)
        if _are_of_others(top, [other for other in tops if other is not top])
    ]


def _named_masks(tops: Sequence[Folder]) -> list[Folder]:
    """Return the folders such as `masks` whose files are called as others' images.

    Of faces, `mask` and `no_mask` are classes.
    """
    found = []
    with_word = [
        top
        for top in tops
        if is_of_annotations(top.name) and stray_name_of(top.name) is None
    ]
    for top in tops:
        # A word beside others says it, if it is in one name: `defect_masks`.
        if not _ONLY_MASK.fullmatch(top.name) and with_word != [top]:
            continue
        others = [other for other in tops if other is not top]
        is_in_names = any(
            top.name.casefold() in each.name.casefold() for each in others
        )
        if not is_in_names and _images_of_masks(top) <= set(_folders_by_stem(others)):
            found.append(top)
    return found


def _are_of_others(top: Folder, others: Sequence[Folder]) -> bool:
    """Tell whether each file of a folder belongs to one image of the other folders.

    Numbers such as 1 to 9 are the names of images in all folders.
    """
    if _extensions_in([top]).isdisjoint(_extensions_in(others)):
        return True
    folders = _folders_by_stem(others)
    return len(others) > 1 and all(
        len(folders[stem]) == 1 for stem in _images_of_masks(top)
    )


def _add_masks_in(top: Folder, masks: Masks) -> None:
    of_masks = _folders_of_masks(top)
    for folder in top.walk():
        if folder.path in of_masks:
            masks.folders.add(of_masks[folder.path])
            masks.files.extend(f"{folder.path}/{name}" for name in folder.images)
            continue
        names = "\n".join(folder.images).casefold()
        if not any(part in names for part in _PARTS_OF_MASK_WORDS):
            continue  # of most data sets, and much faster
        stems = set(folder.stems)
        images = stems.union(filter(None, map(_image_named_so, stems)))
        images |= _images_by_other_word(stems)
        for name, stem in zip(folder.images, folder.stems, strict=True):
            at_end, at_start = (mark.fullmatch(stem) for mark in _MARKS_OF_MASK)
            if at_end and at_end["image"] in images:
                masks.ends.add(at_end["mark"])
            elif at_start and at_start["image"] in images:
                masks.starts.add(at_start["mark"])
            elif _ONLY_MASK.fullmatch(stem) and any(map(_ONLY_IMAGE.fullmatch, stems)):
                masks.starts.add(f"{stem}.")
            else:
                continue
            masks.files.append(f"{folder.path}/{name}")


def _folders_of_masks(top: Folder) -> dict[str, str]:
    """Return the name of the folder of masks by the paths of all folders in it.

    Beside `images`, any name with a word of masks is one, as `lung masks`, and any
    folder with the same names of files.
    """
    found: dict[str, str] = {}
    for folder in top.walk():
        boxes = [child for child in folder.filled if is_box(child.name)]
        stems = [set(box.stems) for box in boxes if len(box.images) >= _FEWEST_SAME]
        for child in folder.children.values():
            is_beside = bool(boxes) and not is_box(child.name)
            if is_annotation(child.name) or (
                is_beside
                and (is_of_annotations(child.name) or set(child.stems) in stems)
            ):
                found |= dict.fromkeys((e.path for e in child.walk()), child.name)
    return found


def _images_by_other_word(stems: Collection[str]) -> set[str]:
    """Return the images of masks that all have the same other word: `_sat` by `_mask`.

    Returns:
        The common parts of their names, such as `1` of `1_sat` and `1_mask`.
    """
    masks = {stem for stem in stems if _image_of(stem) != stem}
    parts = set(map(_image_of, masks))
    found: dict[str, set[str]] = defaultdict(set)
    for stem in stems:
        if stem in masks:
            continue
        for cut in _SEPARATORS.finditer(stem):
            start, end = stem[: cut.start()], stem[cut.end() :]
            if start in parts:
                found[f"end {stem[cut.start() :]}"].add(start)
            if end in parts:
                found[f"start {stem[: cut.end()]}"].add(end)
    fewest = max(_FEWEST_OF_OTHER_WORD, _SHARE_OF_OTHER_WORD * len(parts))
    return set().union(*(each for each in found.values() if len(each) >= fewest))


def _images_of_masks(top: Folder) -> set[str]:
    """Return the names of the images that the files of a folder may be masks of."""
    return set(map(_image_of, _folders_by_stem([top])))


def _image_of(name: str) -> str:
    """Return the name of a mask's image; that of another file or folder as it is."""
    matches = (mark.fullmatch(name) for mark in _MARKS_OF_MASK)
    return next((match["image"] for match in matches if match), name)


def _image_named_so(stem: str) -> str | None:
    """Return what stands beside a word such as `img` in a name, or None."""
    for pattern in _MARKS_OF_IMAGE:
        if match := pattern.fullmatch(stem):
            return match["image"]
    return None


def _files_in(top: Folder) -> Iterator[str]:
    for folder in top.walk():
        yield from (f"{folder.path}/{name}" for name in folder.images)


def _folders_by_stem(tops: Sequence[Folder]) -> dict[str, set[str]]:
    """Return the names of folders by the names of the images in them."""
    found: dict[str, set[str]] = defaultdict(set)
    for top in tops:
        for folder in top.walk():
            for stem in folder.stems:
                found[stem].add(top.name)
    return found


def _extensions_in(tops: Sequence[Folder]) -> set[str]:
    return {os.path.splitext(path)[1] for top in tops for path in _files_in(top)}


def _option_without(
    root: Folder, layout: FolderLayout, masks: Masks
) -> Iterator[Option]:
    """Yield the option to read the folders without masks and without copies."""
    masks_only = NameParts(
        tops=masks.tops,
        folders=masks.folders,
        starts=set(map(re.escape, masks.starts)),
        ends={rf"{re.escape(end)}(?:[-_. ]?\d+)?" for end in masks.ends},
    )
    copies = parts_of_copies(find_copies(class_folders(root, layout)))
    pattern = pattern_without(masks_only.joined(copies))
    return option_of_pattern(root, layout.split_folders, pattern, "without the masks")
