"""Warn of labels that may not be the classes that their owner means.

A spreadsheet may have changed them, two may be one class in other words, or one may
hold others.
"""

from __future__ import annotations

import html
import quopri
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import unquote

from graft.components.ingestion.sources.similar_classes import read_again
from graft.components.ingestion.sources.source import some_of

_DATE = re.compile(
    r"(?:(?:19|20)\d\d[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:19|20)?\d\d)"
    r"(?:[ T]\d{1,2}:\d{2}(?::\d{2})?)?"
    r"|\d{1,2}[-. ](?:jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)"
    r"|(?:jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[-. ]\d{1,4}",
    re.IGNORECASE,
)
_SCIENTIFIC = re.compile(r"\d(?:[.,]\d+)?E\+\d{2,3}")
_LEVELS = re.compile(r"\s*(?:[/\\>|\u2192\u203a]|::?|->)\s*")
_ARROW = re.compile(r"\s*(?:[-=]+>|[\u2190-\u21ff\u27f5-\u27ff])\s*(?=\S)")
# In English, German, French, Spanish, Italian, Portuguese, Dutch, Polish and Russian.
_DOUBT = re.compile(
    r"(?<!\w)(?:maybe|perhaps|possibly|probably|prob\.|presumably|likely|unsure"
    r"|not sure"
    r"|vielleicht|wahrscheinlich|vermutlich|peut-être|probablement|quizás?|tal vez"
    r"|probablemente|probabilmente|talvez|provavelmente|misschien"
    r"|waarschijnlijk|może|prawdopodobnie|возможно|наверное)(?!\w)"
    r"|\w\s*[(\[]?\?+[)\]]?$|可能|多分|おそらく",
    re.IGNORECASE,
)
# Beside other labels, in the languages of `_DOUBT`.
_SEVERAL = frozenset(
    "both several multiple many all either neither mixed mixture combination beide "
    "mehrere alle gemischt keins les~deux plusieurs tous ambos ambas varias "
    "todos mixto entrambi entrambe più tutti misto vários meerdere allebei oba "
    "obie kilka wszystkie оба обе несколько все 两者 都 両方 複数 둘다 여러".replace(
        "~", " "
    ).split()
)
_IN_WORDS = re.compile(r"(?:none|all|both|one|some|any) of (?:the )?.+", re.IGNORECASE)
_FILE_NAME = re.compile(
    r".*[^/\\.]\.(?:jpe?g|jpe|jfif|png|gif|bmp|webp|tiff?|heic|avif|svg|dcm)",
    re.IGNORECASE,
)
_TAG = re.compile(r"</?[a-z][\w-]*(?:\s[^<>]*)?/?>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{2,7}|#x[0-9a-f]{2,6}|[a-z]{2,8}\d?);", re.IGNORECASE)
_UTF_7 = re.compile(r"\+[A-Za-z0-9+/]{3,}-")
_ESCAPE = re.compile(r"\\u[0-9a-f]{4}|\\x[0-9a-f]{2}", re.IGNORECASE)
_PERCENT = re.compile(r"(?:%[0-9a-f]{2})+", re.IGNORECASE)
_QUOTED = re.compile(r"(?:=[0-9A-F]{2}){2,}")
_PUNYCODE = re.compile(r"xn--[a-z0-9-]+", re.IGNORECASE)
_SHORT_NUMBER = re.compile(r"\d{1,6}")
# What surveys and masks write for a missing or ignored value.
_NUMBERS_FOR_MISSING = frozenset((9, 99, 254, 255, 888, 999, 8888, 9999, 65535))
_SMALLEST_GAP = 3
_SHORTEST, _LONGEST = 5, 80
_RARE = 0.05


def warn_of_doubtful_labels(counts: Mapping[str, int]) -> list[str]:
    """Return warnings about the names of classes.

    Args:
        counts: Class name to its number of images.
    """
    return [
        *_about_spreadsheets(counts),
        *_about_numbers_for_missing(counts),
        *_about_levels(counts),
        *_about_arrows(counts),
        *_about_doubt(counts),
        *_about_several(counts),
        *_about_codes(counts),
        *_about_file_names(counts),
        *_about_plurals(counts),
        *warn_of_misspelt(counts),
    ]


def _about_spreadsheets(counts: Mapping[str, int]) -> Iterator[str]:
    """Yield a warning about what spreadsheets make of `MARCH1` and `1E5`."""
    for pattern, what in ((_DATE, "dates"), (_SCIENTIFIC, "numbers such as 1E+05")):
        found = [name for name in sorted(counts) if pattern.fullmatch(name.strip())]
        if found:
            yield (
                f"Labels that are {what}: {some_of(found, counts)}. A spreadsheet may "
                "have made them of other texts. Compare them with the original labels."
            )


def _about_numbers_for_missing(counts: Mapping[str, int]) -> Iterator[str]:
    numbers = sorted(
        {int(name): name for name in counts if _SHORT_NUMBER.fullmatch(name)}.items()
    )
    if len(numbers) != len(counts) or len(numbers) < 3:
        return
    (before, _), (last, name) = numbers[-2:]
    if last in _NUMBERS_FOR_MISSING and last - before >= _SMALLEST_GAP:
        yield (
            f"The label {name!r} ({counts[name]}) may stand for a missing or ignored "
            f"value, since the others end at {before}. If it does, delete the lines, "
            "or leave it out by `class_names`."
        )


def _about_levels(counts: Mapping[str, int]) -> Iterator[str]:
    """Yield a warning about `animal` beside `animal/cat`."""
    above = {
        start
        for name in counts
        for cut in _LEVELS.finditer(name)
        if (start := name[: cut.start()]) in counts
        and not start.isdecimal()
        and name[cut.end() :] not in counts  # as `cat/dog`, which joins two labels
    }
    if above:
        yield (
            f"Labels of two levels: {some_of(sorted(above), counts)} also "
            "begin other labels. An image has one label: if they name groups of "
            "classes, write the class."
        )


def _about_arrows(counts: Mapping[str, int]) -> Iterator[str]:
    """Yield a warning about `cat->dog`, which may be a change from one to another."""
    found = [name for name in sorted(counts) if _ARROW.search(name.strip(), 1)]
    if found:
        yield (
            f"Labels with an arrow: {some_of(found, counts)}. Each is a class of its "
            "own: if they are a correction or levels, write the class that is meant."
        )


def _about_doubt(counts: Mapping[str, int]) -> Iterator[str]:
    """Yield a warning about `cat (maybe)`."""
    found = [name for name in sorted(counts) if _DOUBT.search(name.strip())]
    if found:
        yield (
            f"Labels that say that they are not sure: {some_of(found, counts)}. Each "
            "is a class of its own: write the class, or leave the image out."
        )


def _about_several(counts: Mapping[str, int]) -> Iterator[str]:
    """Yield a warning about `both`, which says that an image has several labels."""
    found = [
        name
        for name in sorted(counts)
        if name.strip().casefold() in _SEVERAL or _IN_WORDS.fullmatch(name.strip())
    ]
    if found and len(counts) > len(found) + 1:
        yield (
            f"Labels that may stand for several others: {some_of(found, counts)}. An "
            "image has one label: if these images have several, choose one, or leave "
            "them out."
        )


def _about_codes(counts: Mapping[str, int]) -> Iterator[str]:
    """Yield a warning about `M&ouml;we`, `M+APY-we` and `<b>cat</b>`."""
    meant = {name: text for name in sorted(counts) if (text := _decoded(name)) != name}
    if meant:
        pairs = [f"{name!r} for {text!r}" for name, text in [*meant.items()][:3]]
        yield (
            f"Labels that a program has encoded: {some_of(meant, counts)}; by their "
            f"codes {', '.join(pairs)}. The model answers with them as they stand: if "
            "another text is meant, write that."
        )


def _decoded(name: str) -> str:
    """Return what is meant by a name with codes, or the name."""
    if _TAG.search(name):
        return html.unescape(_TAG.sub("", name)).strip() or name
    if _ENTITY.search(name):
        return html.unescape(name)
    for pattern, decode in _CODES:
        if pattern.search(name):
            try:
                text = decode(name)
            except (UnicodeError, ValueError):
                continue
            # A code stands for a letter that the program could not write.
            if any(letter.isalpha() and not letter.isascii() for letter in text):
                return text
    return name


def _unquoted(name: str) -> str:
    return quopri.decodestring(name.encode("ascii")).decode("utf-8")


_CODES: tuple[tuple[re.Pattern[str], Callable[[str], str]], ...] = (
    (_UTF_7, lambda name: name.encode("ascii").decode("utf-7")),
    (_ESCAPE, lambda name: name.encode("ascii").decode("unicode_escape")),
    (_PERCENT, lambda name: unquote(name, errors="strict")),
    (_QUOTED, _unquoted),
    (_PUNYCODE, lambda name: name.encode("ascii").decode("idna")),
    (re.compile(r"[^\x00-\x7f]{2}"), read_again),
)


def _about_file_names(counts: Mapping[str, int]) -> Iterator[str]:
    found = [name for name in sorted(counts) if _FILE_NAME.fullmatch(name.strip())]
    if found:
        yield (
            f"Labels that are names of image files: {some_of(found, counts)}. If they "
            "are no classes, name the column of the labels by `label_column`."
        )


def _about_plurals(counts: Mapping[str, int]) -> Iterator[str]:
    known = {name.casefold(): name for name in counts}
    found = {}
    for name in sorted(counts):
        for end in ("s", "es"):
            plural = known.get(name.casefold() + end)
            if plural is not None and name[-1:].isalpha() and len(name) > 2:
                found[name] = plural
    if found:
        yield (
            "Classes in the singular and the plural: "
            f"{some_of([f'{one}, {many}' for one, many in found.items()])}. If two are "
            "one class, write one name."
        )


def warn_of_misspelt(counts: Mapping[str, int]) -> list[str]:
    """Return a warning about rare classes whose names differ by a letter from others.

    Args:
        counts: Class name to its number of images.
    """
    by_part: dict[str, set[str]] = defaultdict(set)
    for name in counts:
        folded = name.casefold()
        if _SHORTEST <= len(folded) <= _LONGEST:
            by_part[folded].add(name)
            for position, letter in enumerate(folded):
                if letter.isalpha():
                    rest = folded[:position] + folded[position + 1 :]
                    by_part[rest].add(name)
                    by_part[f"{folded[:position]}*{folded[position + 1 :]}"].add(name)
    found: dict[str, str] = {}
    for names in by_part.values():
        most = max(names, key=lambda each: counts[each])
        for name in names:
            is_plural = {name.casefold(), name.casefold() + "s"} & {most.casefold()}
            if counts[name] <= _RARE * counts[most] and not is_plural:
                found.setdefault(name, most)
    if not found:
        return []
    shown = [
        f"{name} ({counts[name]}) by {m} ({counts[m]})" for name, m in found.items()
    ]
    return [
        f"Rare classes that may be misspelt: {some_of(sorted(shown))}. If they are, "
        "correct the labels."
    ]
