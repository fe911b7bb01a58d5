"""Find copies of one image that itself is missing, such as `1_flip.jpg`, `1_rot90.jpg`.

The names of a folder are then a part that names the image, and one that varies over
nearly all images.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from graft.components.ingestion.copies.numbered_copies import (
    names_of_numbered_copies,
)
from graft.components.ingestion.names.copy_marks import (
    COPY_WORDS,
    ORIGINAL_WORDS,
    SEPARATED,
    SIZE,
    Mark,
    images_of,
    inner_name_of,
    may_have_known_mark,
    parts_of,
)
from graft.components.ingestion.names.folder_counts import Folder

# Roboflow writes each copy of `1.jpg` as `1_jpg.rf.` and a hash.
_ROBOFLOW = re.compile(r"(?P<image>.+)_[a-z]{3,4}\.rf\.[0-9a-f]{16,}", re.IGNORECASE)
# Keras writes each copy of its image 0 as `_0_` and a number, after a prefix.
_KERAS = re.compile(r"(?P<image>_\d+)_\d+")
_OF_PROGRAMS = (
    SIZE,
    re.compile(r"\.(?:rf\.|(?:jpe?g|png|gif|bmp|webp|tiff?)[-_. (@~])"),
    re.compile(r"^_\d+_\d+$", re.MULTILINE),
)
_WORD = re.compile(r"[^\W\d_]+")
_NUMBERED = re.compile(r"(?P<image>.*\d|.*?[^\W_])[-_. ]\d+")
_LETTER_OR_WORD_FIRST = re.compile(r"[\W_]*(?:[^\W\d_]|\d+(?:x\d+|px|w|x)(?![^\W_]))")
_LETTER_OR_WORD_LAST = re.compile(r".*[^\W\d_]\d*[\W_]*", re.DOTALL)
_FEWEST_IMAGES = 2
_SHARE_OF_FOLDER = 0.25
_FEWEST_OF_UNKNOWN = 5
_FEWEST_VARIANTS = 2
_ALMOST_ALL = 0.9


class Variant(NamedTuple):
    """What the names of some copies have, beside the name of their image.

    Attributes:
        text: It, in small letters.
        mark: The same for any number.
    """

    text: str
    mark: Mark


class Siblings(NamedTuple):
    """Copies whose image is missing.

    Attributes:
        files: Their paths.
        few: Paths of files that may be some, but may be different photos, too.
        variants: What tells the copies of each image apart. Nearly every image has each
            of these.
    """

    files: list[str]
    few: list[str]
    variants: list[Variant]


def find_siblings(classes: Iterable[Folder]) -> Siblings:
    """Find copies of the same images in class folders, by their names.

    Args:
        classes: The class folders.
    """
    siblings = Siblings([], [], [])
    variants: list[set[Variant]] = []
    for top in classes:
        for folder in top.walk():
            if not _may_have_groups(folder):
                siblings.few.extend(_paths(folder, names_of_numbered_copies(folder)))
                continue
            groups = _groups_in(folder, top.name)
            known = [each for each in groups if _is_of_copies(each)]
            names = {name for group in known for name in group}
            is_most = len(names) >= _SHARE_OF_FOLDER * len(folder.images)
            if len(known) >= _FEWEST_IMAGES and is_most:
                siblings.files.extend(_paths(folder, names))
                variants.append(_common_variants(known))
            else:
                names = _names_of_unknown(groups, len(folder.images))
                names = names or names_of_numbered_copies(folder)
                siblings.few.extend(_paths(folder, names))
    if variants:
        siblings.variants.extend(sorted(set.intersection(*variants), key=_rank))
    return siblings


def _paths(folder: Folder, names: set[str]) -> Iterator[str]:
    yield from (f"{folder.path}/{name}" for name in folder.images if name in names)


def _may_have_groups(folder: Folder) -> bool:
    """Tell whether names have known marks, or words that vary; much faster."""
    text = "\n".join(folder.stems).casefold()
    if not (COPY_WORDS | ORIGINAL_WORDS).isdisjoint(_WORD.findall(text)):
        return True
    if any(pattern.search(text) for pattern in _OF_PROGRAMS):
        return True
    total = len(folder.images)
    has_known = any(map(may_have_known_mark, folder.stems))
    if not (has_known or _have_common_ends(folder.stems)):
        return False  # as of hashes
    words = Counter(_WORD.findall(text))
    vary = [n for n in words.values() if _FEWEST_OF_UNKNOWN <= n < _ALMOST_ALL * total]
    return len(vary) >= _FEWEST_VARIANTS and sum(vary) >= _ALMOST_ALL * total


def _have_common_ends(stems: Sequence[str]) -> bool:
    """Tell whether almost all names share their end or start with some others.

    Without a known mark, copies of the same images do: these are their variants.
    """
    ends: list[tuple[str, str]] = []
    for stem in stems:
        if cuts := [*SEPARATED.finditer(stem)]:
            first, last = cuts[0].end(), cuts[-1].start()
            ends.append((f"{stem[:first]}*".casefold(), f"*{stem[last:]}".casefold()))
    number = Counter(itertools.chain.from_iterable(ends))
    common = sum(
        max(number[start], number[end]) >= _FEWEST_OF_UNKNOWN for start, end in ends
    )
    return common >= _ALMOST_ALL * len(stems)


Group = Mapping[str, Variant]
"""The names of files that may show one image, and what each has beside its name."""


def _groups_in(folder: Folder, class_name: str) -> list[Group]:
    """Return the files of a folder by the image that they may show."""
    number = Counter(each for stem in folder.stems for each in images_of(stem))
    images = folder.names.union(folder.stems)
    # One file is no group.
    wanted = {image for (_, image), times in number.items() if times > 1} - images
    groups: dict[tuple[str, str], dict[str, Variant]] = defaultdict(dict)
    for name, stem in zip(folder.images, folder.stems, strict=True):
        for mark, image in parts_of(stem, class_name, wanted):
            if _says_what_it_is(stem, image, mark, class_name):
                key = ("end" if mark.is_at_end else "start", image)
                text = stem[len(image) :] if mark.is_at_end else stem[: -len(image)]
                groups[key].setdefault(name, Variant(text.casefold(), mark))
        for way, image, mark in _known_to_vary(stem, class_name):
            groups[way, image].setdefault(name, Variant(stem, mark))
    # `120px-Cat1` may be a copy of `Cat1`, and of `1`.
    by_names: dict[frozenset[str], Group] = {}
    for group in sorted(groups.values(), key=_order):
        if len(group) > 1:
            by_names.setdefault(frozenset(group), group)
    return [*by_names.values()]


def _order(group: Group) -> tuple[bool, int]:
    return not _is_of_copies(group), max(len(each.text) for each in group.values())


def _says_what_it_is(stem: str, image: str, mark: Mark, class_name: str) -> bool:
    """Tell whether a mark is a word or size, and no number of the image's name."""
    if not mark.words or (mark.words & _words_in(class_name)):
        return False
    if mark.is_at_end:
        return bool(_LETTER_OR_WORD_FIRST.match(stem[len(image) :]))
    return bool(_LETTER_OR_WORD_LAST.fullmatch(stem[: -len(image)]))


def _known_to_vary(stem: str, class_name: str) -> Iterator[tuple[str, str, Mark]]:
    """Yield the names of images that programs write into those of copies."""
    program = Mark("", is_at_end=True, is_of_program=True)
    for pattern in (_ROBOFLOW, _KERAS):
        if match := pattern.fullmatch(stem):
            yield pattern.pattern, match["image"], program
    if inner := inner_name_of(stem):
        yield "inner", inner.images[0], inner.mark
    if not may_have_known_mark(stem):
        return
    for mark, image in parts_of(stem, class_name):
        if (
            not mark.is_at_end
            and mark.is_of_change
            and not mark.words & _words_in(class_name)
            and (match := _NUMBERED.fullmatch(image))
        ):
            yield f"keras {mark.expression}", match["image"], program


def _words_in(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.casefold()))


def _is_of_copies(group: Group) -> bool:
    """Tell whether files of one image are copies of it, and no different photos."""
    marks = [variant.mark for variant in group.values()]
    known = [mark for mark in marks if mark.is_known]
    return (
        any(mark.is_of_copies_only for mark in known)
        or len(known) > len(set(known))  # `1_crop0`, `1_crop1`
        or (bool(known) and any(mark.is_of_original for mark in marks))
    )


def _common_variants(groups: list[Group]) -> set[Variant]:
    number: dict[Variant, int] = defaultdict(int)
    for group in groups:
        for variant in set(group.values()):
            number[variant] += 1
    return {v for v, times in number.items() if times >= _ALMOST_ALL * len(groups)}


def _names_of_unknown(groups: list[Group], total: int) -> set[str]:
    """Return the files of images that nearly all have the same variants.

    As `left_1`, `right_1` to `left_9`, `right_9`: these may be two series, too.
    """
    by_variant: dict[Variant, int] = defaultdict(int)
    for group in groups:
        for variant in set(group.values()):
            by_variant[variant] += 1
    most = max(by_variant.values(), default=0)
    common = {
        variant
        for variant, times in by_variant.items()
        if times >= max(_FEWEST_OF_UNKNOWN, _ALMOST_ALL * most)
    }
    marks = {variant.mark for variant in common}
    at_end = sum(mark.is_at_end for mark in marks)
    if max(at_end, len(marks) - at_end) < _FEWEST_VARIANTS:
        return set()
    names = {
        name
        for group in groups
        for name, variant in group.items()
        if variant in common and len({*group.values()} & common) > 1
    }
    return names if len(names) >= _ALMOST_ALL * total else set()


def _rank(variant: Variant) -> tuple[bool, int, str]:
    """Order originals first, then large sizes."""
    numbers = [int(each) for each in re.findall(r"\d+", variant.text)]
    return (not variant.mark.is_of_original, -max(numbers, default=0), variant.text)
