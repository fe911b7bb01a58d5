"""Find copies that are told apart by a number, letter or extension alone.

As `3f2a_1`, `3f2a_2`, or `1-3f2a`, `2-3f2a`. Numbers tell photos apart, too: nearly all
images of a folder must have the same few.
"""

from __future__ import annotations

import itertools
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from graft.components.ingestion.copies.shared_names import telling_names
from graft.components.ingestion.names.copy_marks import SEPARATED, do_count
from graft.components.ingestion.names.folder_counts import Folder

_ENDS_WITH_NUMBER = re.compile(
    r"(?P<image>.*[^\W_].*?)(?P<mark>[-_. @(]+[^\W\d_]*[-_. ]?)(?P<number>\d{1,6})"
    r"(?:x|px|deg|\))?",
    re.DOTALL,
)
_BEGINS_WITH_NUMBER = re.compile(
    r"(?P<number>\d{1,2})(?P<mark>[-_. ]+)(?P<image>.*[^\W_].*)", re.DOTALL
)
# Of one image, `1_patch0` to `1_patch3` are parts, and `1@2x`, `1@3x` sizes; `1 (1)`
# and `1 (2)` are downloads.
_OF_ONE_IMAGE = re.compile(r"@| ?\(|[-_. ]*(?:patch|tile)", re.IGNORECASE)
_MOST_NUMBERS = 8
_MOST_LETTERS = 4
# Each tenth or 30th frame of a video.
_LARGEST_STEP = 30
_FEWEST_IMAGES = 5
_FEWEST_OF_NAMES = 3
_ALMOST_ALL = 0.9
_JPEG = frozenset((".jpg", ".jpeg", ".jpe", ".jfif"))

_Images = Mapping[str, str]
"""The names of files by that of the image that they may show."""


def names_of_numbered_copies(folder: Folder) -> set[str]:
    """Return the files of images that nearly all end with the same few numbers.

    As `1_0`, `1_90` and `1_180`. Numbers that count, such as 1 to 4, are of series, but
    if the names before them don't count: `3f2a_1`, `3f2a_2`, `9c0e_1`, `9c0e_2`. The
    numbers may stand in front, and a last letter or an extension of JPEG tells copies
    apart, too.

    Args:
        folder: The folder; those below it are not looked at.
    """
    for find in (_by_end, _by_start, _by_last_letter, _by_extension):
        names = find(folder)
        if names and len(names) >= _ALMOST_ALL * len(folder.images):
            return names
    return set()


def _stems_of(folder: Folder) -> Iterator[tuple[str, str]]:
    """Yield the files of a folder, with and without extension."""
    return zip(folder.images, folder.stems, strict=True)


def _by_end(folder: Folder) -> set[str]:
    fewest = _ALMOST_ALL * len(folder.images)
    apart = [(name, stem) for name, stem in _stems_of(folder) if SEPARATED.search(stem)]
    if len(apart) < fewest:
        return set()
    by_mark: dict[str, dict[int, dict[str, str]]] = defaultdict(dict)
    for name, stem in apart:
        is_number = stem[-1].isdigit() or stem.endswith(("x", "deg", ")"))
        if is_number and (match := _ENDS_WITH_NUMBER.fullmatch(stem)):
            by_number = by_mark[match["mark"].casefold()]
            images = by_number.setdefault(int(match["number"]), {})
            images.setdefault(match["image"], name)
    for mark, by_number in by_mark.items():
        if sum(map(len, by_number.values())) >= fewest:
            return _names_of_common(mark, by_number)
    return set()


def _names_of_common(mark: str, by_number: Mapping[int, _Images]) -> set[str]:
    """Return the files with the numbers that nearly all images have, if few.

    Args:
        mark: What stands before the numbers.
        by_number: Number to the files with it, by the name of their image.
    """
    most = max(map(len, by_number.values()))
    enough = _ALMOST_ALL * most
    common = sorted(n for n, each in by_number.items() if len(each) >= enough)
    images = {image for number in common for image in by_number[number]}
    are_named = not do_count(images)
    steps = {after - before for before, after in itertools.pairwise(common)}
    counts = len(steps) == 1 and max(steps) <= _LARGEST_STEP
    # A point begins no number of a series: `IMG_2001.1`, `IMG_2001.2`.
    if _OF_ONE_IMAGE.match(mark) or (mark == "." and _are_telling(images)):
        counts = False
    is_series = counts and not (are_named and len(images) >= 2 * len(common))
    fewest = _FEWEST_OF_NAMES if are_named and not counts else _FEWEST_IMAGES
    if not steps or is_series or len(common) > _MOST_NUMBERS or most < fewest:
        return set()
    return {name for number in common for name in by_number[number].values()}


def _by_start(folder: Folder) -> set[str]:
    """Return the files as of `1-3f2a` and `2-3f2a`."""
    by_text: dict[str, dict[str, str]] = defaultdict(dict)
    for name, stem in _stems_of(folder):
        if stem[:1].isdigit() and (match := _BEGINS_WITH_NUMBER.fullmatch(stem)):
            by_text[match["number"] + match["mark"]].setdefault(match["image"], name)
    return _names_of_each(by_text, _MOST_NUMBERS)


def _by_last_letter(folder: Folder) -> set[str]:
    """Return the files as of `3f2aa` and `3f2ab`."""
    by_text: dict[str, dict[str, str]] = defaultdict(dict)
    for name, stem in _stems_of(folder):
        if stem[-1:].isalpha() and len(stem) > 1:
            by_text[stem[-1:]].setdefault(stem[:-1], name)
    return _names_of_each(by_text, _MOST_LETTERS)


def _names_of_each(by_text: Mapping[str, _Images], most_texts: int) -> set[str]:
    """Return the files with the texts that nearly all images have, if few.

    The names of the images must not count from 1, since series do.
    """
    most = max(map(len, by_text.values()), default=0)
    common = [each for each in by_text.values() if len(each) >= _ALMOST_ALL * most]
    if most < _FEWEST_IMAGES or not 1 < len(common) <= most_texts:
        return set()
    # Other words may have other ends of the same letters.
    shared = set.intersection(*map(set, common))
    if len(shared) < _ALMOST_ALL * most or not _are_telling(shared):
        return set()
    return {name for each in common for name in each.values()}


def _are_telling(images: Collection[str]) -> bool:
    return len(telling_names(images)) >= _ALMOST_ALL * len(images)


def _by_extension(folder: Folder) -> set[str]:
    """Return the files as of `1.jpg` and `1.jpeg`."""
    by_stem: dict[str, list[str]] = defaultdict(list)
    for name, stem in _stems_of(folder):
        if os.path.splitext(name)[1].casefold() in _JPEG:
            by_stem[stem].append(name)
    pairs = [names for names in by_stem.values() if len(names) > 1]
    if len(pairs) < _FEWEST_IMAGES:
        return set()
    return {name for names in pairs for name in names}
