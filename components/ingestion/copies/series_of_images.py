"""Warn of images that belong together, such as the frames of a video.

Frames of one video look alike, and so do the images of one patient. Split singly, some
come into `train` and others into `test`.
"""

from __future__ import annotations

import itertools
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from graft.components.ingestion.sources.image_ref import ImageRef
from graft.components.ingestion.sources.source import some_of
from graft.contract.counts import counted
from graft.contract.split_names import SPLITS

_OF_VIDEOS = (
    "video vid clip seq sequence scene shot movie mov cam camera track tracklet "
    "episode burst"
)
_OF_PERSONS = (
    "patient pat person subject subj sub participant volunteer speaker user "
    "case slide specimen animal mouse lesion plant tree leaf object obj"
)
_NUMBERED = re.compile(
    rf"(?<![^\W\d_])(?:{'|'.join(f'{_OF_VIDEOS} {_OF_PERSONS}'.split())})"
    r"[-_ ]?\d+",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"(\d+)")
_BETWEEN = re.compile(r"(?P<letters>[^\W\d_]*)[\W_]+(?:[^\W\d_]+[\W_]*)?")
_AFTER = re.compile(r"\)?(?:[-_. ]+[^\W\d_]+)?")
_DATE = re.compile(r"(?:19|20)\d\d(?:[-_.]?\d\d){0,2}$")
_MOST_JUDGED = 1_000_000
_MOST_DIGITS = 9
_TWO_NUMBERS = 5  # with the texts around them
_FEWEST_SERIES = 2
_FEWEST_WITHOUT_WORD = 3  # of each class
_SHARE = 0.5
_STEP = 10
_FEWEST_OF_SOME = 0.25
_DENSITY = 0.5


class _Member(NamedTuple):
    """What the name of an image says of its series.

    Attributes:
        series: The name of the series.
        rest: What the other images of the series have otherwise.
        has_word: Whether the name has a word such as `video`.
    """

    series: str
    rest: str
    has_word: bool


def warn_of_series(refs: Sequence[ImageRef]) -> list[str]:
    """Return a warning about images that belong together by their names, or none.

    The names hold a word such as `video` or `patient` and its number, or they end with
    a number that counts anew for each number before it: `00012_001`, `00012_002`.

    Args:
        refs: All images. Those without a name of their own, as records have, are not
            judged.
    """
    some = [*itertools.islice(refs, 0, _MOST_JUDGED, _STEP)]
    if sum(_member_of(ref) is not None for ref in some) < _FEWEST_OF_SOME * len(some):
        return []
    judged = itertools.islice(refs, _MOST_JUDGED)
    named = [ref for ref in judged if ref.offset is None or "." in ref.name]
    members = [(ref, found) for ref in named if (found := _member_of(ref))]
    with_word = [(ref, found) for ref, found in members if found.has_word]
    for each, is_by_word in ((with_word, True), (members, False)):
        series = _by_series(each)
        if _are_series(series, len(named), is_by_word=is_by_word):
            return [*_warning(series)]
    return []


Images = Sequence[tuple[ImageRef, _Member]]
Series = Mapping[tuple[str, str], Images]
"""The images by their class and the name of their series."""


def _by_series(members: Iterable[tuple[ImageRef, _Member]]) -> Series:
    found: dict[tuple[str, str], list[tuple[ImageRef, _Member]]] = defaultdict(list)
    for ref, member in members:
        found[ref.class_name, member.series].append((ref, member))
    return {key: images for key, images in found.items() if len(images) > 1}


def _are_series(series: Series, total: int, *, is_by_word: bool) -> bool:
    """Tell whether most images are in series, of which a class has several."""
    if not is_by_word:
        series = {key: each for key, each in series.items() if _counts(each)}
        if not _counts_anew(series):
            return False
    images = sum(map(len, series.values()))
    classes = {class_name for class_name, _ in series}
    each = _FEWEST_SERIES if is_by_word else _FEWEST_WITHOUT_WORD
    return images > _SHARE * total and len(series) >= each * len(classes)


def _counts(images: Images) -> bool:
    """Tell whether the numbers of a series count, nearly each once."""
    numbers = _numbers_of(images)
    if len(numbers) * 2 <= len(images):
        return False
    return len(numbers) >= _DENSITY * (max(numbers) - min(numbers) + 1)


def _counts_anew(series: Series) -> bool:
    """Tell whether series of a class have the same numbers: each counts for itself."""
    all_of: dict[str, set[int]] = defaultdict(set)
    total = 0
    for (class_name, _), images in series.items():
        numbers = _numbers_of(images)
        all_of[class_name] |= numbers
        total += len(numbers)
    return 2 * sum(map(len, all_of.values())) <= total


def _numbers_of(images: Images) -> set[int]:
    found = (_DIGITS.search(member.rest) for _, member in images)
    return {int(match[0]) for match in found if match}


def _warning(series: Series) -> Iterator[str]:
    across = {key: each for key, each in series.items() if _is_across(each)}
    if not across:
        return
    number = sum(map(len, across.values()))
    sizes = {f"{label}/{name}": len(images) for (label, name), images in across.items()}
    is_given = any(ref.splits != SPLITS for each in across.values() for ref, _ in each)
    how = "and have several given splits" if is_given else "and are split singly"
    yield (
        f"{counted(number, 'image')} belong to {counted(len(across), 'group')} by "
        "their names, as the frames of a video or the images of a patient do, "
        f"{how}: {some_of(sizes, sizes)}. If those of one group look alike, the model "
        "looks better than it is. To keep each group in one split, use split folders, "
        "or a manifest with the columns path, label and split."
    )


def _is_across(images: Images) -> bool:
    """Tell whether a series may have images in several splits.

    Where the same numbers are in two given splits, the names begin again in each.
    """
    rests: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for ref, member in images:
        rests[ref.splits].add(member.rest)
    if SPLITS in rests:
        return True
    pairs = itertools.combinations(rests.values(), 2)
    return len(rests) > 1 and all(one.isdisjoint(other) for one, other in pairs)


def _member_of(ref: ImageRef) -> _Member | None:
    path = os.path.splitext(ref.name.replace("\\", "/"))[0]
    stem = path.rpartition("/")[2]
    if match := _NUMBERED.search(path):
        return _Member(match[0].casefold(), stem, has_word=True)
    parts = _DIGITS.split(stem)
    if len(parts) < _TWO_NUMBERS or len(parts[-2]) > _MOST_DIGITS:
        return None
    between = _BETWEEN.fullmatch(parts[-3])
    if between is None or not _AFTER.fullmatch(parts[-1]):
        return None
    thing = "".join(parts[:-3]) + between["letters"]
    rest = "".join(parts[-2:])
    return None if _DATE.search(thing) else _Member(thing, rest, has_word=False)
