"""Warn of images in several given splits that have the same names.

Names that count, as `1.jpg` and `IMG_0001.jpg`, may begin again in each split.
"""

from __future__ import annotations

import itertools
import os
import re
from collections import defaultdict
from collections.abc import Callable, Sequence

from graft.components.ingestion.copies.shared_names import telling_names
from graft.components.ingestion.names.copy_marks import do_count
from graft.components.ingestion.sources.image_ref import ImageRef
from graft.components.ingestion.sources.source import some_of
from graft.contract.counts import counted
from graft.contract.split_names import SPLITS

_COPY = re.compile(r"(?P<image>.*[^\W\d_].*)[-_. ]\d{1,3}", re.DOTALL)
_END = re.compile(r"(?P<image>.+)[-_. ](?P<end>\d{1,3}|[^\W\d_]{1,10})", re.DOTALL)
_FEWEST_SAME = 3
_MOST_ENDS = 4
_ALMOST_ALL = 0.9
_FEWEST_NUMBERED = 5
_MOST_OF_NAME = 8


def warn_of_names_in_several_splits(refs: Sequence[ImageRef]) -> list[str]:
    """Return a warning about names that a class has in several given splits, or none.

    Args:
        refs: All images. Those without a name of their own, as records have, are not
            judged.
    """
    given = {ref.splits for ref in refs} - {SPLITS}
    if len(given) < 2:
        return []
    named = [ref for ref in refs if ref.offset is None or "." in ref.name]
    same = "have the name of another"
    for what, found in (
        (same, _in_several(named, _stem_of, _FEWEST_SAME)),
        (
            "but for a number at the end, have the name of another",
            _in_several(named, _without_number, _FEWEST_NUMBERED),
        ),
        (same, _in_several_classes(named)),
        ("but for their ends, have the name of another", _with_ends(named)),
    ):
        if found:
            return [
                f"{counted(len(found), 'image')} of {counted(len(refs), 'image')} "
                f"{what} in another given split: {some_of(found)}. If they show the "
                "same things, the model looks better than it is: give all images of "
                "one thing one split."
            ]
    return []


def _in_several(
    refs: Sequence[ImageRef], name_of: Callable[[ImageRef], str], fewest: int
) -> list[str]:
    """Return the paths of the images whose name is in several splits.

    Args:
        refs: The images.
        name_of: Returns what is compared of an image's name.
        fewest: How many names there must be.
    """
    groups: dict[tuple[str, str], list[ImageRef]] = defaultdict(list)
    for ref in refs:
        groups[ref.class_name, name_of(ref)].append(ref)
    shared = {
        (class_name, name): found
        for (class_name, name), found in groups.items()
        if len({ref.splits for ref in found}) > 1
    }
    # Each class may have its `rose_1` in each split.
    names = {name.casefold().replace(label.casefold(), "") for label, name in shared}
    files = [ref.name for found in shared.values() for ref in found]
    # A class may have series of words in each split: `front_1` to `front_99`.
    are_few_each = len(files) <= _MOST_OF_NAME * len(shared)
    if len(names) < fewest or do_count(names) or not are_few_each:
        return []
    return files


def _in_several_classes(refs: Sequence[ImageRef]) -> list[str]:
    """Return the paths of the images whose name another class has in another split.

    A name that a split has several times, such as `front`, tells no thing.
    """
    groups: dict[str, list[ImageRef]] = defaultdict(list)
    for ref in refs:
        groups[_stem_of(ref)].append(ref)
    shared = {
        name: found
        for name, found in groups.items()
        if len(found) > 1 and len({ref.splits for ref in found}) == len(found)
    }
    names = telling_names(shared)
    if len(names) < _FEWEST_SAME or do_count(names):
        return []
    return [ref.name for name in names for ref in shared[name]]


def _with_ends(refs: Sequence[ImageRef]) -> list[str]:
    """Return the paths of the images that a class has with another end in each split.

    As `IMG_2001_left` in `train`, and `IMG_2001_right` in `test`. Nearly all images of
    a split have such a name, and no end is in several splits.
    """
    by_split: dict[tuple[str, object], list[ImageRef]] = defaultdict(list)
    for ref in refs:
        by_split[ref.class_name, ref.splits].append(ref)
    ends: dict[tuple[str, object], set[str]] = {}
    images: dict[tuple[str, object], dict[str, list[str]]] = {}
    for key, of_split in by_split.items():
        matches = [(ref, _END.fullmatch(_stem_of(ref))) for ref in of_split]
        found = [(ref, match) for ref, match in matches if match]
        ends[key] = {match["end"].casefold() for _, match in found}
        if len(found) == len(of_split) and len(ends[key]) <= _MOST_ENDS:
            images[key] = defaultdict(list)
            for ref, match in found:
                images[key][match["image"]].append(ref.name)
    files: dict[str, None] = {}
    for one, other in itertools.combinations(images, 2):
        if one[0] != other[0] or ends[one] & ends[other]:
            continue
        shared = images[one].keys() & images[other].keys()
        smaller = min(len(images[one]), len(images[other]))
        telling = telling_names(shared) if shared else set()
        if len(telling) >= max(_FEWEST_NUMBERED, _ALMOST_ALL * smaller):
            for image in sorted(telling):
                files |= dict.fromkeys([*images[one][image], *images[other][image]])
    return [*files]


def _stem_of(ref: ImageRef) -> str:
    return os.path.splitext(re.split(r"[/\\]", ref.name)[-1])[0]


def _without_number(ref: ImageRef) -> str:
    stem = _stem_of(ref)
    match = _COPY.fullmatch(stem)
    return match["image"] if match else stem
