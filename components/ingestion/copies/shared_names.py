"""Compare the names of the images in class folders.

A folder that holds the images of other classes again has their names. Names that count
from 1 say nothing: each class may have its `1.jpg`.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from graft.components.ingestion.copies.name_additions import names_without_additions
from graft.components.ingestion.names.folder_counts import Folder

_MOST_DIGITS = 18
_OF_CAMERA = re.compile(
    r"(img|_mg|dsc[nf]?|_dsc|p|pict?|sam|cimg|imag|dji|gopr?|mvi|pxl|scan|frame|photo"
    r"|picture|image|video|screenshot)?[-_. ]?\d+",
    re.IGNORECASE,
)
_SHARE_OF_OWNERS = 0.5
_DENSITY = 0.5
_SHARE = 0.9
_FEWEST_OF_COUNTERS = 5
_FEWEST = 3
_NUMBER = re.compile(r"\d+")
# Where the name of a class may end: `cat` does not begin `caterpillar_1`.
_CUT = re.compile(r"(?<=[^\W\d_])(?![^\W\d_])|(?<=\d)(?!\d)|[\W_](?<!^)")
_TRIED = 50
_FEWEST_OTHERS = 2
_MOST_OWNERS = 6


class Repeated(NamedTuple):
    """A class folder whose images are called as those of other classes.

    Attributes:
        folder: The folder.
        classes: Names of the other class folders.
        number: The number of such images in the folder.
        is_equal: Whether the other class has no other images, so that either of the two
            may be the copy.
    """

    folder: Folder
    classes: list[str]
    number: int
    is_equal: bool = False


def stems_in(folder: Folder) -> list[str]:
    """Return the names of all images in a folder, without extension."""
    return [stem for each in folder.walk() for stem in each.stems]


def telling_names(stems: Iterable[str]) -> set[str]:
    """Return the names without those that count from 0 or 1, as `IMG_1` to `IMG_9`.

    Names of several numbers count if each number does, or is always the same.
    """
    by_shape: dict[str, list[str]] = defaultdict(list)
    for stem in stems:
        by_shape[_NUMBER.sub("0", stem.casefold())].append(stem)
    telling: set[str] = set()
    for shape, names in by_shape.items():
        rows = [_NUMBER.findall(name) for name in names]
        if "0" not in shape or not all(map(_counts, zip(*rows, strict=True))):
            telling.update(names)
    return telling


def _counts(digits: Sequence[str]) -> bool:
    """Tell whether numbers count from 0 or 1, with gaps, or are one number."""
    numbers = {int(each[:_MOST_DIGITS]) for each in digits}
    first, last = min(numbers), max(numbers)
    is_dense = first <= 1 and len(numbers) >= _DENSITY * (last - first + 1)
    return is_dense or (first == last and len(digits) > 1)


def repeated_folders(classes: Sequence[Folder]) -> list[Repeated]:
    """Return the class folders whose images are called as those of other classes.

    The names of one come from several other classes, each from one of them, as in a
    folder `all`. Or they come from one class, and are no count from 1. They may have an
    addition, as `7f3a_cat` and `9b1c_dog` do.

    Args:
        classes: The class folders of one split.
    """
    if len(classes) <= _FEWEST_OTHERS:
        return []
    stems = {top.name: [*map(str.casefold, stems_in(top))] for top in classes}
    owners_of = _owners(stems)
    names = {top.name.casefold(): top.name for top in classes}
    unions = [
        found for top in classes if (found := _as_union(top, stems, owners_of, names))
    ]
    left_out = {found.folder.name for found in unions}
    # Of two equal folders, the one with the longer name is the copy.
    order = sorted(classes, key=lambda top: (len(stems[top.name]), -len(top.name)))
    copies = []
    for tops, find in ((order, _as_copy), (classes, _with_additions)):
        for top in tops:
            if len(classes) - len(left_out) <= _FEWEST_OTHERS:
                break
            if top.name not in left_out:
                found = find(top, stems, owners_of, left_out)
                if found is not None:
                    copies.append(found)
                    left_out.add(top.name)
    return [*unions, *copies]


def _with_additions(
    top: Folder,
    stems: Mapping[str, list[str]],
    owners_of: Mapping[str, tuple[str, ...]],
    left_out: Collection[str],
) -> Repeated | None:
    """Return a folder whose images are called as those of others, with an addition."""

    def is_of_other(stem: str) -> bool:
        return any(
            name != top.name and name not in left_out
            for name in owners_of.get(stem, ())
        )

    found = names_without_additions(stems_in(top), is_of_other, top.name)
    if not found:
        return None
    changed = {**stems, top.name: [*found.values()]}
    repeated = _as_union(top, changed, owners_of, {}) or _as_copy(
        top, changed, owners_of, left_out
    )
    return repeated._replace(is_equal=False) if repeated else None


def _owners(stems: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    """Return the classes that have an image of a name; the first ones of many."""
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    owners: dict[str, tuple[str, ...]] = {}
    for name, of_class in stems.items():
        for stem in set(of_class):
            found = owners.get(stem, ())
            if len(found) < _MOST_OWNERS:
                found = (*found, name)
                owners[stem] = known.setdefault(found, found)
    return owners


def _as_union(
    top: Folder,
    stems: Mapping[str, list[str]],
    owners_of: Mapping[str, tuple[str, ...]],
    names: Mapping[str, str],
) -> Repeated | None:
    """Return a folder that holds the images of several other classes."""
    own = stems[top.name]
    tried = own[:_TRIED]
    shared = Counter(name for stem in tried for name in owners_of[stem])
    # Another folder with all these images is no class that they come from.
    no_owners = {name for name, n in shared.items() if n >= _SHARE * len(tried)}
    owners: Counter[str] = Counter()
    for number, stem in enumerate(own):
        if number == _TRIED and owners.total() * 2 < number:
            return None  # as of most classes
        others = [name for name in owners_of[stem] if name not in no_owners]
        if len(others) == 1:
            owners[others[0]] += 1
        elif (owner := _class_in_front(stem, top.name, names)) is not None:
            owners[owner] += 1
    if len(owners) < _FEWEST_OTHERS or owners.total() < max(_FEWEST, _SHARE * len(own)):
        return None
    if all(map(_OF_CAMERA.fullmatch, own)):
        # Two cameras may count alike: `IMG_1` and `DSC_1`.
        total = sum(len(stems[name]) for name in owners)
        if owners.total() < max(_FEWEST_OF_COUNTERS, _SHARE_OF_OWNERS * total):
            return None
    return Repeated(top, sorted(owners), owners.total())


def _class_in_front(stem: str, own: str, names: Mapping[str, str]) -> str | None:
    """Return the other class that a name begins with, as `cat_1` does with `cat`."""
    folded = stem.casefold()
    if folded.startswith(own.casefold()):
        return None
    for cut in reversed([match.start() for match in _CUT.finditer(folded)]):
        owner = names.get(folded[:cut])
        if owner is not None:
            return owner if owner != own else None
    return None


def _as_copy(
    top: Folder,
    stems: Mapping[str, list[str]],
    owners_of: Mapping[str, tuple[str, ...]],
    left_out: Collection[str],
) -> Repeated | None:
    """Return a folder that holds images of one other class."""
    own = stems[top.name]
    telling = telling_names(own)
    if len(telling) < max(_FEWEST, _SHARE * len(own)):
        return None
    owners: Counter[str] = Counter()
    for stem in telling:
        others = [n for n in owners_of[stem] if n != top.name and n not in left_out]
        if len(others) == 1:
            owners[others[0]] += 1
    if len(owners) != 1 or owners.total() < _SHARE * len(own):
        return None
    (owner,) = owners
    number = len(telling_names(stems[owner]) & telling)
    if number < _SHARE * len(own):
        return None
    is_equal = number >= _SHARE * len(stems[owner])
    is_named_so = top.name.casefold().startswith(owner.casefold())
    return Repeated(top, [owner], number, is_equal and not is_named_so)


def looks_alike(top: Folder, others: Sequence[Folder]) -> bool:
    """Tell whether the images of a folder are called and laid as those of others.

    Args:
        top: A class folder.
        others: Class folders beside it.
    """
    depths = {each.is_flat for each in others}
    if depths and top.is_flat not in depths:
        return False
    if _extensions_in([top]).isdisjoint(_extensions_in(others)):
        return False
    shapes = [_shapes_of(each) for each in others]
    folders_with = Counter(shape for each in shapes for shape in each)
    common = {shape for shape, number in folders_with.items() if number > 1}
    alike = sum(each[shape] for each in shapes for shape in each if shape in common)
    if alike * 2 < sum(each.total() for each in shapes):
        return True  # The others differ from one another, too.
    own = _shapes_of(top)
    return sum(own[shape] for shape in own if shape in common) * 2 >= own.total()


def _shapes_of(folder: Folder) -> Counter[str]:
    """Return how the names in a folder are made: any number is one, and its own name.

    `cat_1` in `cat` is made as `raw_2` in `raw`.
    """
    own = folder.name.casefold()
    return Counter(
        _NUMBER.sub("0", stem.casefold().removeprefix(own).removesuffix(own))
        for stem in stems_in(folder)
    )


def _extensions_in(folders: Iterable[Folder]) -> set[str]:
    found = {
        os.path.splitext(name)[1].casefold()
        for folder in folders
        for each in folder.walk()
        for name in each.images
    }
    return {".jpg" if each == ".jpeg" else each for each in found}
