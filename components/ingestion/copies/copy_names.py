"""Find images that are copies of others by their names, such as `1_thumb.jpg`."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import NamedTuple

from graft.components.ingestion.copies.copy_folders import (
    find_folders_of_copies,
    find_tops_of_copies,
)
from graft.components.ingestion.names.copy_marks import (
    COPY_WORDS,
    COUNTER,
    ORIGINAL_WORDS,
    SIZE,
    Mark,
    inner_name_of,
    parts_of,
)
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import words_of

_ORIGINAL = re.compile(
    rf"(?P<image>.+?)[-_. ]+(?:{'|'.join(sorted(ORIGINAL_WORDS))})", re.IGNORECASE
)
_FEWEST_OF_KNOWN_WORD = 2
_FEWEST_OF_OTHER_WORD = 3
_SHARE_OF_KNOWN_WORD = 0.1
_SHARE_OF_OTHER_WORD = 0.25
_MOST_OF_OTHER_WORD = 3
_FEWEST_OF_SERIES = 5
_SHARE_OF_SERIES = 0.9
_FEWEST_OF_NAMES = 4
_MOST_OF_NAME = 8


class _Pair(NamedTuple):
    """Paths of a file, and of the image that it may be a copy of.

    Attributes:
        file: Path of the file.
        image: Path of the image, if it lies in the same split.
        is_across: Whether it lies in another one.
    """

    file: str
    image: str
    is_across: bool = False

    @property
    def may_count(self) -> bool:
        """Whether each of the splits may count from 1, so that it is no copy."""
        return self.is_across and os.path.basename(self.image).isdigit()


class Copies(NamedTuple):
    """Files that seem to be copies of others.

    Attributes:
        files: Their paths.
        marks: What their names have in common.
        folders: Names of folders of copies in class folders.
        tops: Names of class folders of copies.
        few: Paths of files that may be copies, but are too few to ask about.
        doubtful_tops: Names of class folders that may hold copies, and of the class
            that has their images.
        across: Those of `files` whose image lies in another split only.
    """

    files: list[str]
    marks: set[Mark]
    folders: set[str]
    tops: set[str]
    few: list[str]
    doubtful_tops: Mapping[str, str]
    across: list[str]


def find_copies(classes: Iterable[Folder]) -> Copies:
    """Find copies in class folders, by names that are another name and a mark.

    Args:
        classes: The class folders.
    """
    classes = [*classes]
    tops = find_tops_of_copies(classes)
    copies = Copies([], set(), set(), tops.found, [], tops.doubtful, [])
    pools = _images_of_split_classes(classes)
    pairs: dict[Mark, list[_Pair]] = defaultdict(list)
    totals: dict[Mark, int] = defaultdict(int)
    for top in classes:
        if top.name in copies.tops:
            copies.files.extend(_paths_in(top))
            continue
        of_copies = list(find_folders_of_copies(top))
        for folder in of_copies:
            copies.folders.add(folder.name)
            copies.files.extend(_paths_in(folder))
        for folder in top.walk():
            if folder.images and not any(
                f"{folder.path}/".startswith(f"{each.path}/") for each in of_copies
            ):
                in_folder = _pairs_in(folder, top, pools)
                marked = {
                    pair.file
                    for mark, found in in_folder.items()
                    for pair in found
                    if not mark.is_of_series
                }
                for mark, found in in_folder.items():
                    pairs[mark] += found
                    # Of an image with five copies, each addition is a sixth of all.
                    others = marked.difference(pair.file for pair in found)
                    totals[mark] += len(folder.images) - len(others)
    _add_systematic(copies, pairs, totals)
    return copies


def _add_systematic(
    copies: Copies, pairs: Mapping[Mark, list[_Pair]], totals: Mapping[Mark, int]
) -> None:
    """Add the files with marks of copies, and those that may be some.

    Args:
        copies: What to extend.
        pairs: Files and their images by the mark between their names.
        totals: Number of images in the folders with the mark, without those that have
            another one.
    """
    copied = {
        pair.image
        for mark, found in pairs.items()
        if mark.is_known and _is_systematic(mark, found, totals[mark])
        for pair in found
    }
    files: dict[str, None] = {}
    few: dict[str, None] = {}
    for mark, found in pairs.items():
        counted = [pair for pair in found if pair.may_count]
        few |= dict.fromkeys(pair.file for pair in counted)
        of_mark = [pair for pair in found if not pair.may_count]
        if _is_systematic(mark, of_mark, totals[mark]) or _is_of_copied(
            mark, of_mark, copied
        ):
            copies.marks.add(mark)
            files |= dict.fromkeys(pair.file for pair in of_mark)
            copies.across.extend(pair.file for pair in of_mark if pair.is_across)
        elif mark.is_known or _may_be_series(mark, of_mark, totals[mark]):
            few |= dict.fromkeys(pair.file for pair in of_mark)
    copies.files.extend(files)
    copies.few.extend(few)


def are_of_originals(mark: Mark) -> bool:
    """Tell whether a mark says that the files with it are the originals."""
    return mark.is_at_end and not ORIGINAL_WORDS.isdisjoint(mark.words)


def is_named_after_copies(name: str) -> bool:
    """Tell whether a folder's name says that its images are copies, or originals."""
    if SIZE.fullmatch(name):
        return True
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


def _is_of_copied(mark: Mark, pairs: list[_Pair], copied: Set[str]) -> bool:
    """Tell whether a word before numbers stands before all images that have copies.

    Alone, `warp_1` beside `1` may be of another series of numbers.
    """
    if not mark.is_of_series or not mark.words:
        return False
    images = {pair.image for pair in pairs}
    return len(images & copied) >= max(
        _FEWEST_OF_SERIES, _SHARE_OF_SERIES * len(copied)
    )


def _may_be_series(mark: Mark, pairs: list[_Pair], total: int) -> bool:
    """Tell whether almost all other images have a copy by a mark of series.

    Their names may be two series of numbers, too.
    """
    if not mark.is_of_series:
        return False
    images = {pair.image for pair in pairs}
    others = total - len(pairs)
    share = _SHARE_OF_SERIES * others
    if len(images) >= max(_FEWEST_OF_SERIES, share) and all(map(_is_counter, images)):
        return True
    # Of `cat.jpg`, `cat_1.jpg` is the next: there must be several such names.
    by_folder = Counter(map(os.path.dirname, images))
    named = sum(number for number in by_folder.values() if number >= _FEWEST_OF_NAMES)
    few_each = len(pairs) <= _MOST_OF_NAME * len(images)
    return few_each and named >= max(_FEWEST_OF_NAMES, share)


def _is_counter(path: str) -> bool:
    return COUNTER.fullmatch(os.path.basename(path)) is not None


def _images_of_split_classes(classes: list[Folder]) -> dict[str, set[str]]:
    """Return the names of images of the classes that are in several splits."""
    splits: dict[str, list[Folder]] = defaultdict(list)
    for top in classes:
        splits[top.name].append(top)
    return {
        name: {stem for top in tops for folder in top.walk() for stem in folder.stems}
        for name, tops in splits.items()
        if len(tops) > 1
    }


def _pairs_in(
    folder: Folder, top: Folder, pools: Mapping[str, Set[str]]
) -> dict[Mark, list[_Pair]]:
    """Return the copies in a folder of a class by their mark."""
    images = folder.names.union(folder.stems)
    originals = {
        match["image"] for stem in folder.stems if (match := _ORIGINAL.fullmatch(stem))
    }
    pool = pools.get(top.name, frozenset())
    wanted = images.union(originals, pool)
    found: dict[Mark, list[_Pair]] = defaultdict(list)
    for name, stem in zip(folder.images, folder.stems, strict=True):
        path = f"{folder.path}/{name}"
        for mark, image in parts_of(stem, top.name, wanted):
            is_here = image in images or (mark.is_known and image in originals)
            is_across = image in pool and (
                (mark.is_known or mark.is_of_series)
                and (mark.is_of_change or not image.isdigit())
            )
            if is_here or is_across:
                pair = _Pair(path, f"{folder.path}/{image}", is_across=not is_here)
                found[mark].append(pair)
        if inner := inner_name_of(stem):
            for each in top.walk():
                named = next((i for i in inner.images if i in each.names), None)
                if named is not None:
                    found[inner.mark].append(_Pair(path, f"{each.path}/{named}"))
                    break
    return found


def _paths_in(top: Folder) -> Iterator[str]:
    for folder in top.walk():
        yield from (f"{folder.path}/{name}" for name in folder.images)
