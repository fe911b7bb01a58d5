"""Find folders that hold copies of a class's images: `cat/thumbs`, or `cat_aug`."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from graft.components.ingestion.copies.name_additions import names_without_additions
from graft.components.ingestion.copies.shared_names import stems_in, telling_names
from graft.components.ingestion.names.copy_marks import (
    COPY_WORDS,
    CUT,
    SIZE,
    TECHNICAL_WORDS,
    WORDS_OF_CLASSES,
    Mark,
    parts_of,
)
from graft.components.ingestion.names.folder_counts import Folder

_SHARE_OF_FOLDER = 0.5
_SHARE_OF_SAME_NAMES = 0.9
_FEWEST_TELLING = 3
_FEWEST_SAME = 4
# As macOS and Windows name a second folder: `cat 2`, `cat (2)`.
_SECOND_FOLDER = re.compile(r"(?P<base>.+?)(?: (?:[2-9]|1\d)| \(\d{1,2}\))")
_OF_FILE_MANAGER = frozenset(("copy",))


class TopsOfCopies(NamedTuple):
    """Class folders of copies.

    Attributes:
        found: The names of those that surely hold images of another class.
        doubtful: The names of those that may, with the other class; the images of both
            count from 1, so that their names say nothing.
    """

    found: set[str]
    doubtful: dict[str, str]


def find_tops_of_copies(classes: Sequence[Folder]) -> TopsOfCopies:
    """Find class folders such as `cat_aug` beside `cat`, with the same images."""
    by_path = {top.path: top for top in classes}
    tops = TopsOfCopies(set(), {})
    for top in classes:
        for base, mark in _bases_of(top):
            original = by_path.get(base)
            if original is None:
                continue
            stems = set(stems_in(original))
            told = telling_names(stems)
            is_technical = mark is not None and _is_technical(mark)
            if _are_named_after(top, stems if is_technical else told):
                tops.found.add(top.name)
                break
            if mark is None:
                may_be = set(stems_in(top)) == stems
            else:
                is_word_of_copies = not mark.words <= WORDS_OF_CLASSES
                may_be = is_word_of_copies and _are_named_after(top, stems)
            if may_be:
                tops.doubtful[top.name] = original.name
    return tops


def _bases_of(top: Folder) -> Iterator[tuple[str, Mark | None]]:
    """Yield the paths of the folders that a folder may be a copy of, and the mark."""
    above, slash, name = top.path.rpartition("/")
    if second := _SECOND_FOLDER.fullmatch(name):
        yield f"{above}{slash}{second['base']}", None
    for mark, base in parts_of(name, ""):
        if mark.is_known:
            yield f"{above}{slash}{base}", mark


def _is_technical(mark: Mark) -> bool:
    """Tell whether a mark is no part of the name of a class: `aug`, `- Copy`."""
    words = mark.words
    return (
        mark.is_of_program
        or not words.isdisjoint(TECHNICAL_WORDS)
        or (mark.is_at_end and not words.isdisjoint(_OF_FILE_MANAGER))
    )


def find_folders_of_copies(top: Folder) -> Iterator[Folder]:
    """Yield the folders such as `cat/thumbs` that hold copies of the class's images.

    They have a name of copies, or their images are called as those in a folder above.
    """
    yield from _copies_below(top, top, [])


def _copies_below(
    top: Folder, folder: Folder, above: Sequence[set[str]]
) -> Iterator[Folder]:
    if folder.filled and folder.images:
        stems = {os.path.splitext(name)[0].casefold() for name in folder.images}
        above = [*above, stems]
    for child in folder.filled:
        if _is_named_after_copies(top, child) or any(
            _has_names_of(child, names) for names in above
        ):
            yield child
        else:
            yield from _copies_below(top, child, above)


def _is_named_after_copies(top: Folder, folder: Folder) -> bool:
    """Tell whether a name says so, and the images are called as others of the class."""
    words = set(re.findall(r"[^\W\d_]+", folder.name.casefold()))
    if not SIZE.fullmatch(folder.name) and COPY_WORDS.isdisjoint(words):
        return False
    others = {
        os.path.splitext(name)[0]
        for each in top.walk()
        if not f"{each.path}/".startswith(f"{folder.path}/")
        for name in each.images
    }
    return _are_named_after(folder, others)


def _has_names_of(folder: Folder, above: set[str]) -> bool:
    """Tell whether a folder's images are called as those in a folder above it.

    They may have the same addition: `IMG_2001-Edit` by `IMG_2001`.
    """
    own = sorted(set(stems_in(folder)))
    images = [*names_without_additions(own, above.__contains__, "").values()]
    telling = telling_names(images) & telling_names(above)
    number = sum(image in telling for image in images)
    if len(telling) >= _FEWEST_TELLING and number >= _SHARE_OF_SAME_NAMES * len(own):
        return True
    if not len(own) == len(above) >= _FEWEST_SAME:
        return False
    # `web_1` by `1` may be a series of its own.
    found = names_without_additions(
        own, above.__contains__, folder.name, are_behind=True
    )
    return set(found.values()) == above


def _are_named_after(folder: Folder, stems: Collection[str]) -> bool:
    """Tell whether most images of a folder are called as others, or begin so."""
    return _share_of(folder, stems) >= _SHARE_OF_FOLDER


def _share_of(folder: Folder, stems: Collection[str]) -> float:
    names = stems_in(folder)
    found = sum(
        name in stems
        or any(
            name[: cut.start()] in stems or name[cut.end() :] in stems
            for cut in CUT.finditer(name)
        )
        for name in names
    )
    return found / max(1, len(names))
