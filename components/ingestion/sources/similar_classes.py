"""Find classes with confusable names, and warn, merge or stop.

A person takes two names for the same class if they differ only in case, white space or
invisible characters. A model would learn two classes.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import NamedTuple

from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.source import Listing
from graft.contract.class_name import INVISIBLE
from graft.contract.counts import counted
from graft.contract.errors import DataError

_MOST_GROUPS_IN_A_MESSAGE = 5
_MOST_NAMES_OF_A_GROUP = 5

# Decimal digits of any script. Longer numbers are the same only if their texts are.
_NUMBER = re.compile(r"(?=.{1,99}$)\+?\d+(?:\.\d*)?(?:e\+?\d{1,2})?")
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+")
# What file managers add to the name of a copied folder.
_COPY_MARK = re.compile(
    r"( \(\d{1,3}\)|[ _-]+(copy|kopie|copie|copia|cópia)( ?\(?\d{1,3}\)?)?)+$"
    r"|^(copy|kopie|copie|copia|cópia)( \(\d{1,3}\))? (of|von|de|di) ",
    re.IGNORECASE,
)
# Between two words, one of which ends or begins with a letter.
_SEPARATOR = re.compile(
    r"(?<=[^\W\d_])[\s_.\-]+(?=[^\W_])|(?<=\d)[\s_.\-]+(?=[^\W\d_])"
)
_ACCENT = re.compile("([A-Za-z])[\u0300-\u036f]+")
_HTML_ENTITY = re.compile(r"&#?\w+;")
# Small Cyrillic and Greek letters that look like a Latin one in every typeface.
_LOOK_ALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u0501"
    "\u051b\u051d\u03bf",
    "aeopcyxijshdqwo",
)
# The other letters of these scripts that Unicode's table of confusable characters
# (confusables.txt) gives for a Latin letter.
_MORE_LOOK_ALIKES = _LOOK_ALIKES | str.maketrans(
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4"
    "\u03a5\u03a7\u037f\u03dc\u03fa\u03b1\u03b3\u03b9\u03bd\u03c1\u03c3\u03c5"
    "\u03f3\u0405\u0406\u0408\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420"
    "\u0421\u0422\u0423\u0425\u042c\u0474\u04ae\u04c0\u050c\u051c\u0433\u0461"
    "\u0475\u04af\u04bd\u04cf\ua647",
    "ABEZHIKMNOPTYXJFMayivpoujSIJABEKMHOPCTYXbVYIGWrwvyeii",
)


def _without_white_space(name: str) -> str:
    return " ".join(name.split())


def _without_invisible(name: str) -> str:
    return "".join(letter for letter in name if letter not in INVISIBLE)


def _compatible(name: str) -> str:
    return unicodedata.normalize("NFKC", name)


def _with_latin_letters(name: str) -> str:
    return name.translate(_LOOK_ALIKES)


def _in_latin(name: str) -> str:
    """Return a name in Latin letters, if all its letters are or look like some.

    In other names, a letter such as the Greek alpha stands for itself.
    """
    latin = name.translate(_MORE_LOOK_ALIKES)
    letters = filter(str.isalpha, latin)
    is_latin = all("LATIN" in unicodedata.name(letter, "") for letter in letters)
    return latin if is_latin else name


def _without_separators(name: str) -> str:
    """Return a name without what stands between its words; `1-2` and `A+` stay."""
    return _SEPARATOR.sub("", name)


def _without_end_mark(name: str) -> str:
    return name.rstrip(".,;:!?") or name


def _without_accents(name: str) -> str:
    """Return a name without the accents of its Latin letters."""
    parts = unicodedata.normalize("NFD", name)
    return unicodedata.normalize("NFC", _ACCENT.sub(r"\1", parts))


def _without_number_format(name: str) -> str:
    if _THOUSANDS.fullmatch(name):
        return name.replace(",", "")
    if not _NUMBER.fullmatch(name):
        return name
    number = Decimal(name)
    return str(int(number)) if number == int(number) else name


def _folded(name: str) -> str:
    """Return a name without case. The four letters i of Turkish become one."""
    return name.casefold().replace("i\u0307", "i").replace("\u0131", "i")


def _without_entities(name: str) -> str:
    return _HTML_ENTITY.sub(lambda match: html.unescape(match[0]), name)


def read_again(name: str) -> str:
    """Return a name in UTF-8 that a program read as Windows-1252 or Latin-1."""
    try:
        return b"".join(map(_western_byte, name)).decode("utf-8")
    except UnicodeError:
        return name


def _without_copy_mark(name: str) -> str:
    return _COPY_MARK.sub("", name) or name


def _western_byte(letter: str) -> bytes:
    try:
        return letter.encode("cp1252")
    except UnicodeEncodeError:
        return letter.encode("latin-1")


_STEPS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("white space", _without_white_space),
    ("invisible characters", _without_invisible),
    ("forms of Unicode", _compatible),
    ("case", _folded),
    ("look-alike letters", _with_latin_letters),
    ("the form of a number", _without_number_format),
    ("accents", _without_accents),
    ("separators", _without_separators),
    ("a mark at the end", _without_end_mark),
)
# They change more than the other steps, so that a difference is named by those first.
_WIDE_STEPS = ("separators", "accents", "a mark at the end")
# Of the two names of a pair, only one is damaged so.
_REPAIRS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("HTML entities", _without_entities),
    ("an encoding that was read wrongly", read_again),
)


class _Group(NamedTuple):
    """Confusable texts.

    Attributes:
        counts: Text and number of images. The first is the name of the class.
        is_one_class: Whether normalisation already makes them the same class name.
    """

    counts: tuple[tuple[str, int], ...]
    is_one_class: bool


def unite_similar_classes(listing: Listing, config: DataConfig) -> None:
    """Find classes with confusable names, and apply the policy of the config.

    Args:
        listing: Receives a warning per group. With the policy "merge", the images of a
            group get its most frequent name.
        config: Holds `similar_class_names`. A name in `class_names` is preferred.

    Raises:
        DataError: The policy is "fail" and such a group exists.
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
    listing.look_alikes = _shortened([_warning(group, policy) for group in groups])
    listing.warnings.extend(listing.look_alikes)


def _spelling_groups(listing: Listing) -> list[_Group]:
    """Find class names that the source spells in several ways."""
    return [
        _Group(_ordered(spellings), is_one_class=True)
        for _, spellings in sorted(listing.spellings.items())
        if len(spellings) > 1
    ]


def _class_groups(listing: Listing, config: DataConfig) -> list[_Group]:
    counts = Counter(ref.class_name for ref in listing.refs)
    counts.update(dict.fromkeys(listing.empty_classes, 0))
    skeletons = {skeleton_of(name) for name in counts}
    by_skeleton: dict[str, Counter[str]] = {}
    for name in sorted(counts):
        readings = {name, _in_latin(name), *(repair(name) for _, repair in _REPAIRS)}
        keys = {skeleton_of(each) for each in readings}
        # Without an original, `wing (1)` and `wing (2)` are no copies.
        original = skeleton_of(_without_copy_mark(name))
        if original in skeletons:
            keys.add(original)
        alike = Counter({name: counts[name]})
        for group in [by_skeleton[key] for key in sorted(keys) if key in by_skeleton]:
            alike.update(group)
            keys |= {key for key, each in by_skeleton.items() if each is group}
        by_skeleton |= dict.fromkeys(keys, alike)
    distinct = {id(alike): alike for _, alike in sorted(by_skeleton.items())}
    return [
        _Group(_ordered(alike, config.class_names or ()), is_one_class=False)
        for alike in distinct.values()
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


def skeleton_of(name: str, without: Collection[str] = ()) -> str:
    """Return the skeleton of a name. Confusable names have the same one.

    Args:
        name: A class name.
        without: Steps to leave out.
    """
    before = None
    # A step can create new work for an earlier step.
    while name != before:
        before = name
        for what, step in _STEPS:
            if what not in without:
                name = step(name)
    return name


def _merge(listing: Listing, groups: list[_Group]) -> None:
    name_of = {name: group.counts[0][0] for group in groups for name, _ in group.counts}
    listing.refs.replace(
        ref._replace(class_name=name_of[ref.class_name])
        if ref.class_name in name_of
        else ref
        for ref in listing.refs
    )
    found = {ref.class_name for ref in listing.refs}
    listing.empty_classes = sorted(
        {name_of.get(name, name) for name in listing.empty_classes} - found
    )


def _warning(group: _Group, policy: str) -> str:
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
    names = ", ".join(
        f"{_escaped(name)} ({counted(number, 'image')})" for name, number in shown
    )
    more = len(group.counts) - len(shown)
    return (
        names
        + (f" and {more} more" if more > 0 else "")
        + f" differ only in {' and '.join(differences)}"
    )


def _difference(first: str, other: str) -> str:
    """Name the difference of two confusable texts."""
    if unicodedata.normalize("NFC", first) == unicodedata.normalize("NFC", other):
        return "forms of Unicode"
    if first.strip() == other.strip():
        return "white space"
    if _in_latin(first) == _in_latin(other):
        return "look-alike letters"
    for what, step in _STEPS:
        if step(first) == step(other):
            return what
    plain = skeleton_of(first, _WIDE_STEPS), skeleton_of(other, _WIDE_STEPS)
    for what, repair in (*_REPAIRS, ("the mark of a copy", _without_copy_mark)):
        skeletons = {skeleton_of(repair(each), _WIDE_STEPS) for each in (first, other)}
        if len(skeletons) == 1 and plain[0] != plain[1]:
            return what
    left: list[str] = []
    needed = []
    for what, _ in reversed(_STEPS):
        if skeleton_of(first, [*left, what]) == skeleton_of(other, [*left, what]):
            left.append(what)
        else:
            needed.append(what)
    return ", ".join(reversed(needed)) or "forms of Unicode"


def _escaped(name: str) -> str:
    """Quote a name, and add its escaped form if it has other letters than ASCII."""
    escaped = ascii(name)
    return repr(name) if escaped == repr(name) else f"{name!r} = {escaped}"


def _shortened(sentences: list[str]) -> list[str]:
    more = len(sentences) - _MOST_GROUPS_IN_A_MESSAGE
    shown = sentences[:_MOST_GROUPS_IN_A_MESSAGE]
    return (
        [*shown, f"And {counted(more, 'more group')} of names that look alike."]
        if more > 0
        else shown
    )
