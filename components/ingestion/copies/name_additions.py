"""Find the images whose names are those of other images, with the same addition.

As `IMG_2001-Edit` in a folder of edited copies is that of `IMG_2001`. Case may differ.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from graft.components.ingestion.names.copy_marks import COUNTER, CUT
from graft.components.ingestion.names.folder_names import role_of_any_word

_NUMBER = re.compile(r"\d+")
_LETTER = re.compile(r"[^\W\d_]")
_SEPARATORS = "-_. @(~+"
_SHARE = 0.9
_SHARE_OF_ADDITION = 0.1
_TRIED = 50
_FEWEST_OF_TRIED = 0.8

Addition = tuple[bool, str]
"""Whether it stands in front, and the text in small letters; 0 is any number."""


def names_without_additions(
    stems: Sequence[str],
    is_image: Callable[[str], bool],
    own: str,
    *,
    are_behind: bool = False,
) -> dict[str, str]:
    """Return the names of images by the names that have additions; none if few have.

    Almost all names must be those of images, in small letters, with no addition or one
    of a few. An addition names no split, and is not that of the folder: `left/7_left`
    is no copy of `none/7`. A number is one beside words and hashes only.

    Args:
        stems: Names without extension.
        is_image: Tells whether a name in small letters is that of an image.
        own: The folder's name.
        are_behind: Whether additions only count behind a separator and the name.
    """

    def read(stem: str) -> dict[Addition, str]:
        return dict(_readings(stem, is_image, own, are_behind))

    tried = stems[:_TRIED]
    if sum(map(bool, map(read, tried))) < _FEWEST_OF_TRIED * len(tried):
        return {}
    readings = {stem: read(stem) for stem in stems}
    number = Counter(addition for each in readings.values() for addition in each)
    common = {a for a, n in number.items() if n >= _SHARE_OF_ADDITION * len(stems)}
    names: dict[str, str] = {}
    for stem, each in readings.items():
        additions = [addition for addition in each if addition in common]
        if additions:
            names[stem] = each[max(additions, key=lambda a: (number[a], -len(a[1])))]
    return names if len(names) >= _SHARE * len(stems) else {}


def _readings(
    stem: str, is_image: Callable[[str], bool], own: str, are_behind: bool
) -> Iterator[tuple[Addition, str]]:
    """Yield each addition that a name may have, and the name of the image."""
    folded = stem.casefold()
    if is_image(folded):
        yield (False, ""), folded
    for cut in CUT.finditer(stem):
        if are_behind and not cut[0]:
            continue
        for is_first, image, text in (
            (False, folded[: cut.start()], folded[cut.start() :]),
            (True, folded[cut.end() :], folded[: cut.end()]),
        ):
            if are_behind and is_first:
                continue
            if not (image and is_image(image)):
                continue
            if _is_addition(text, own) or _is_number(text, image):
                yield (is_first, _NUMBER.sub("0", text)), image


def _is_number(text: str, image: str) -> bool:
    """Tell whether a number follows a name that counts nothing, as in `7f3a9b_0`."""
    return text.strip(_SEPARATORS).isdigit() and not COUNTER.fullmatch(image)


def _is_addition(text: str, own: str) -> bool:
    return (
        _LETTER.search(text) is not None
        and text.strip(_SEPARATORS) != own.casefold()
        and role_of_any_word(text) is None
    )
