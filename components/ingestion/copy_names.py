"""Find images that are copies of others by their names, such as `1_thumb.jpg`."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from graft.components.ingestion.copy_marks import (
    COPY_WORDS,
    COUNTER,
    CUT,
    ORIGINAL_WORDS,
    WORDS_OF_CLASSES,
    Mark,
    inner_name_of,
    parts_of,
)
from graft.components.ingestion.folder_counts import Folder
from graft.components.ingestion.folder_names import words_of

_ORIGINAL = re.compile(
    rf"(?P<image>.+?)[-_. ]+(?:{'|'.join(sorted(ORIGINAL_WORDS))})", re.IGNORECASE
)
_FEWEST_OF_KNOWN_WORD = 2
_FEWEST_OF_OTHER_WORD = 3
_SHARE_OF_KNOWN_WORD = 0.1
_SHARE_OF_OTHER_WORD = 0.25
_SHARE_OF_FOLDER = 0.5
_MOST_OF_OTHER_WORD = 3
_FEWEST_OF_SERIES = 5
_SHARE_OF_SERIES = 0.9


class _Pair(NamedTuple):
    """Paths of a file, and of the image that it may be a copy of."""

    file: str
    image: str


class Copies(NamedTuple):
    """Files that seem to be copies of others.

    Attributes:
        files: Their paths.
        marks: What their names have in common.
        folders: Names of folders of copies in class folders.
        tops: Names of class folders of copies.
        few: Paths of files that may be copies, but are too few to ask about.
    """

    files: list[str]
    marks: set[Mark]
    folders: set[str]
    tops: set[str]
    few: list[str]


def find_copies(classes: Iterable[Folder]) -> Copies:
    """Find copies in class folders, by names that are another name and a mark.

    Args:
        classes: The class folders.
    """
    copies = Copies([], set(), set(), set(), [])
    classes = [*classes]
    copies.tops.update(top.name for top in _tops_of_copies(classes))
    pools = _images_of_split_classes(classes)
    pairs: dict[Mark, list[_Pair]] = defaultdict(list)
    totals: dict[Mark, int] = defaultdict(int)
    for top in classes:
        if top.name in copies.tops:
            copies.files.extend(_paths_in(top))
            continue
        for folder in top.walk():
            if folder is not top and _is_folder_of_copies(top, folder):
                copies.folders.add(folder.name)
                copies.files.extend(_paths_in(folder))
            elif folder.images:
                for mark, of_mark in _pairs_in(folder, top, pools).items():
                    pairs[mark] += of_mark
                    totals[mark] += len(folder.images)
    files: dict[str, None] = {}
    few: dict[str, None] = {}
    for mark, of_mark in pairs.items():
        if _is_systematic(mark, of_mark, totals[mark]):
            copies.marks.add(mark)
            files |= dict.fromkeys(pair.file for pair in of_mark)
        elif mark.is_known or _may_be_series(mark, of_mark, totals[mark]):
            few |= dict.fromkeys(pair.file for pair in of_mark)
    copies.files.extend(files)
    copies.few.extend(few)
    return copies


def are_of_originals(mark: Mark) -> bool:
    """Tell whether a mark says that the files with it are the originals."""
    return mark.is_at_end and not ORIGINAL_WORDS.isdisjoint(mark.words)


def is_named_after_copies(name: str) -> bool:
    """Tell whether a folder's name says that its images are copies, or originals."""
    return not (COPY_WORDS | ORIGINAL_WORDS).isdisjoint(words_of(name))


def is_of_originals(name: str) -> bool:
    """Tell whether a folder's name says that its images are originals."""
    words = words_of(name)
    return bool(words & ORIGINAL_WORDS) and not words & COPY_WORDS


def _is_systematic(mark: Mark, pairs: list[_Pair], total: int) -> bool:
    """Tell whether a mark is that of copies, and of no series of names."""
    if mark.is_of_series:
        return False
    images = len({pair.image for pair in pairs})
    if not mark.is_known and len(pairs) > _MOST_OF_OTHER_WORD * images:
        return False  # a series: `cat (1)` to `cat (9)` beside `cat`
    if mark.is_known:
        share, fewest = _SHARE_OF_KNOWN_WORD, _FEWEST_OF_KNOWN_WORD
    else:
        share, fewest = _SHARE_OF_OTHER_WORD, _FEWEST_OF_OTHER_WORD
    return images >= fewest and len(pairs) >= share * total


def _may_be_series(mark: Mark, pairs: list[_Pair], total: int) -> bool:
    """Tell whether almost all other images have a copy by a mark of series.

    Their names may be two series of numbers, too.
    """
    images = {pair.image for pair in pairs}
    others = total - len(pairs)
    fewest = max(_FEWEST_OF_SERIES, _SHARE_OF_SERIES * others)
    return mark.is_of_series and len(images) >= fewest


def _images_of_split_classes(classes: list[Folder]) -> dict[str, set[str]]:
    """Return the names of images of the classes that are in several splits."""
    splits: dict[str, list[Folder]] = defaultdict(list)
    for top in classes:
        splits[top.name].append(top)
    return {
        name: {
            stem
            for top in tops
            for folder in top.walk()
            for image in folder.images
            # Each split may count from 1.
            if not (stem := os.path.splitext(image)[0]).isdigit()
        }
        for name, tops in splits.items()
        if len(tops) > 1
    }


def _pairs_in(
    folder: Folder, top: Folder, pools: Mapping[str, set[str]]
) -> dict[Mark, list[_Pair]]:
    """Return the copies in a folder of a class by their mark."""
    stems = {os.path.splitext(name)[0] for name in folder.images}
    images = stems.union(folder.images)
    originals = {
        match["image"] for stem in stems if (match := _ORIGINAL.fullmatch(stem))
    }
    found: dict[Mark, list[_Pair]] = defaultdict(list)
    for name in folder.images:
        stem = os.path.splitext(name)[0]
        path = f"{folder.path}/{name}"
        for mark, image in parts_of(stem, top.name):
            if image in images or (
                (mark.is_known and image in originals)
                or (
                    (mark.is_known or mark.is_of_series)
                    and image in pools.get(top.name, ())
                )
            ):
                found[mark].append(_Pair(path, f"{folder.path}/{image}"))
        if inner := inner_name_of(stem):
            for each in top.walk():
                named = next((i for i in inner.images if i in each.names), None)
                if named is not None:
                    found[inner.mark].append(_Pair(path, f"{each.path}/{named}"))
                    break
    return found


def _is_folder_of_copies(top: Folder, folder: Folder) -> bool:
    """Tell whether a folder such as `cat/thumbs` holds copies of the class's images."""
    words = set(re.findall(r"[^\W\d_]+", folder.name.casefold()))
    if not folder.total or COPY_WORDS.isdisjoint(words):
        return False
    others = {
        os.path.splitext(name)[0]
        for each in top.walk()
        if not f"{each.path}/".startswith(f"{folder.path}/")
        for name in each.images
    }
    return _are_named_after(folder, others)


def _tops_of_copies(classes: list[Folder]) -> Iterator[Folder]:
    """Yield the class folders such as `cat_aug` beside `cat`, with the same images."""
    by_path = {top.path: top for top in classes}
    for top in classes:
        above, slash, name = top.path.rpartition("/")
        for mark, base in parts_of(name, ""):
            original = by_path.get(f"{above}{slash}{base}")
            if mark.is_known and original:
                stems = {
                    os.path.splitext(p)[0] for f in original.walk() for p in f.images
                }
                if mark.words & COPY_WORDS <= WORDS_OF_CLASSES:
                    # Each class may count its images from 1.
                    stems = {stem for stem in stems if not COUNTER.fullmatch(stem)}
                if _are_named_after(top, stems):
                    yield top
                    break


def _are_named_after(folder: Folder, stems: set[str]) -> bool:
    """Tell whether most images of a folder are called as others, or begin so."""
    names = [
        os.path.splitext(name)[0] for each in folder.walk() for name in each.images
    ]
    found = sum(
        name in stems
        or any(
            name[: cut.start()] in stems or name[cut.end() :] in stems
            for cut in CUT.finditer(name)
        )
        for name in names
    )
    return found >= _SHARE_OF_FOLDER * len(names)


def _paths_in(top: Folder) -> Iterator[str]:
    for folder in top.walk():
        yield from (f"{folder.path}/{name}" for name in folder.images)
