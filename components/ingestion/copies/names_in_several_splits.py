"""Warn of images of one class in several given splits that have the same names.

Names that count, as `1.jpg` and `IMG_0001.jpg`, may begin again in each split.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Sequence

from graft.components.ingestion.names.copy_marks import do_count
from graft.components.ingestion.sources.image_ref import ImageRef
from graft.components.ingestion.sources.source import some_of
from graft.contract.counts import counted
from graft.contract.split_names import SPLITS

_COPY = re.compile(r"(?P<image>.*[^\W\d_].*)[-_. ]\d{1,3}", re.DOTALL)
_FEWEST_SAME = 3
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
    for name_of, fewest, what in (
        (_stem_of, _FEWEST_SAME, "have the name of another"),
        (
            _without_number,
            _FEWEST_NUMBERED,
            "but for a number at the end, have the name of another",
        ),
    ):
        found = _in_several(named, name_of, fewest)
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


def _stem_of(ref: ImageRef) -> str:
    return os.path.splitext(re.split(r"[/\\]", ref.name)[-1])[0]


def _without_number(ref: ImageRef) -> str:
    stem = _stem_of(ref)
    match = _COPY.fullmatch(stem)
    return match["image"] if match else stem
