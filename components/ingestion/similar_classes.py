"""Classes whose names look alike: told, merged or refused, as the config says.

A person who reads two names that differ only in case, in white space or in a character
that draws nothing takes them for one class. A model would learn two.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from graft.components.ingestion.config import DataConfig
from graft.components.ingestion.source import Listing
from graft.contract.class_name import INVISIBLE
from graft.contract.errors import DataError

_MOST_GROUPS_IN_A_MESSAGE = 5
_MOST_NAMES_OF_A_GROUP = 5

_WHOLE_NUMBER = re.compile(r"0*([0-9]+)(?:\.0+)?")
# Small letters of Cyrillic and Greek that look like a Latin one in every typeface.
_LOOK_ALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u0501\u051b"
    "\u051d\u03bf",
    "aeopcyxijshdqwo",
)


def _without_white_space(name: str) -> str:
    return " ".join(name.split())


def _without_invisible(name: str) -> str:
    return "".join(letter for letter in name if letter not in INVISIBLE)


def _compatible(name: str) -> str:
    return unicodedata.normalize("NFKC", name)


def _with_latin_letters(name: str) -> str:
    return name.translate(_LOOK_ALIKES)


def _without_number_format(name: str) -> str:
    match = _WHOLE_NUMBER.fullmatch(name)
    return match.group(1) if match else name


_STEPS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("white space", _without_white_space),
    ("invisible characters", _without_invisible),
    ("forms of Unicode", _compatible),
    ("case", str.casefold),
    ("look-alike letters", _with_latin_letters),
    ("the form of a number", _without_number_format),
)


class _Group(NamedTuple):
    """Texts that look alike.

    Attributes:
        counts: How many images each has; the name that the class gets comes first.
        is_one_class: Whether they are one class by the rule of class names already.
    """

    counts: tuple[tuple[str, int], ...]
    is_one_class: bool


def unite_similar_classes(listing: Listing, config: DataConfig) -> None:
    """Look for classes whose names look alike, and do what the config says.

    Args:
        listing: Gets a warning for each such group; with the policy "merge" its images
            get the name that most of them have.
        config: Holds `similar_class_names`; a name in `class_names` is preferred.

    Raises:
        DataError: The policy is "fail" and there is such a group.
    """
    groups = [*_spelling_groups(listing), *_class_groups(listing, config)]
    if not groups:
        return
    policy = config.similar_class_names
    if policy == "fail":
        raise DataError(
            "Class names must not look alike (`similar_class_names: fail`). Received: "
            f"{'; '.join(_shortened([_described(group) for group in groups]))}. Rename "
            "them, or set `data.similar_class_names` to 'merge' or 'warn'."
        )
    if policy == "merge":
        _merge(listing, [group for group in groups if not group.is_one_class])
    listing.look_alikes = _shortened([_told(group, policy) for group in groups])
    listing.warnings.extend(listing.look_alikes)


def _spelling_groups(listing: Listing) -> list[_Group]:
    """Find classes whose one name is written in several ways."""
    return [
        _Group(_ordered(spellings), is_one_class=True)
        for _, spellings in sorted(listing.spellings.items())
        if len(spellings) > 1
    ]


def _class_groups(listing: Listing, config: DataConfig) -> list[_Group]:
    counts = Counter(ref.class_name for ref in listing.refs)
    counts.update(dict.fromkeys(listing.empty_classes, 0))
    by_look: dict[str, Counter[str]] = {}
    for name in sorted(counts):
        by_look.setdefault(_look_of(name), Counter())[name] = counts[name]
    return [
        _Group(_ordered(alike, config.class_names or ()), is_one_class=False)
        for _, alike in sorted(by_look.items())
        if len(alike) > 1
    ]


def _ordered(
    counts: Counter[str], preferred: tuple[str, ...] = ()
) -> tuple[tuple[str, int], ...]:
    return tuple(
        sorted(
            counts.items(), key=lambda item: (item[0] not in preferred, -item[1], item)
        )
    )


def _look_of(name: str, without: str = "") -> str:
    """Return what names that look alike have in common.

    Args:
        name: A class name.
        without: A step to leave out.
    """
    before = None
    # Each step can make work for an earlier one.
    while name != before:
        before = name
        for what, step in _STEPS:
            if what != without:
                name = step(name)
    return name


def _merge(listing: Listing, groups: list[_Group]) -> None:
    name_of = {name: group.counts[0][0] for group in groups for name, _ in group.counts}
    listing.refs = [
        ref._replace(class_name=name_of[ref.class_name])
        if ref.class_name in name_of
        else ref
        for ref in listing.refs
    ]
    found = {ref.class_name for ref in listing.refs}
    listing.empty_classes = sorted(
        {name_of.get(name, name) for name in listing.empty_classes} - found
    )


def _told(group: _Group, policy: str) -> str:
    described = _described(group)
    if group.is_one_class:
        return f"One class: {described}."
    if policy == "merge":
        name = group.counts[0][0]
        return f"Merged into the class {name!r}: {described}."
    return (
        f"Classes that look alike: {described}. If they are one class, set "
        "`data.similar_class_names` to 'merge', or rename them."
    )


def _described(group: _Group) -> str:
    (first, _), *others = group.counts
    differences = sorted({_difference(first, other) for other, _ in others})
    shown = group.counts[:_MOST_NAMES_OF_A_GROUP]
    names = ", ".join(f"{_escaped(name)} ({number} images)" for name, number in shown)
    more = len(group.counts) - len(shown)
    return (
        names
        + (f" and {more} more" if more > 0 else "")
        + f" differ only in {' and '.join(differences)}"
    )


def _difference(first: str, other: str) -> str:
    """Name what two texts that look alike differ in."""
    if unicodedata.normalize("NFC", first) == unicodedata.normalize("NFC", other):
        return "forms of Unicode"
    if first.strip() == other.strip():
        return "white space"
    for what, step in _STEPS:
        if step(first) == step(other):
            return what
    needed = [
        what for what, _ in _STEPS if _look_of(first, what) != _look_of(other, what)
    ]
    return ", ".join(needed) or "forms of Unicode"


def _escaped(name: str) -> str:
    """Return a name in quotes, and with escapes where letters may deceive."""
    escaped = ascii(name)
    return repr(name) if escaped == repr(name) else f"{name!r} = {escaped}"


def _shortened(sentences: list[str]) -> list[str]:
    more = len(sentences) - _MOST_GROUPS_IN_A_MESSAGE
    shown = sentences[:_MOST_GROUPS_IN_A_MESSAGE]
    return (
        [*shown, f"And {more} more groups of names that look alike."]
        if (more > 0)
        else shown
    )
