"""Say why a `class_pattern` matches no image, and which pattern would."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from graft.components.ingestion.sources.layout_answers import (
    Option,
    settings_as_arguments,
)

_MOST_NAMES = 1000
_EXTENSION = r"\.[^./]+"
# How patterns of an extension end: `\.jpg`, `\.\w+`, `\.(jpg|png)`, `.jpe?g`, `\..*`.
_WRITTEN_EXTENSION = re.compile(
    r"\\?\.(?:\\w[+*]|\.[+*]|\[[^\]]*\][+*]?|\([^()]*\)|[A-Za-z?]+)\$?$"
)


def hint_about_pattern(pattern: str, names: Sequence[str], root: str) -> str:
    """Return a sentence with a pattern that matches, or "".

    Args:
        pattern: A `class_pattern` that matches no image.
        names: The images, relative to the data set's folder. The first are tried.
        root: The data set's folder.
    """
    names = names[:_MOST_NAMES]
    best, number, text = "", 0, ""
    for candidate, reason in _candidates(pattern, root):
        found = _num_matches(candidate, names)
        if found > number:
            best, number, text = candidate, found, reason
    if not number:
        return ""
    setting = settings_as_arguments(Option({"class_pattern": best}, ""), root)
    return f"{text} `{setting}` would match {number:,} of {len(names):,}."


def _candidates(pattern: str, root: str) -> Iterator[tuple[str, str]]:
    """Yield patterns that may be meant, and why the given one is not right."""
    if "/" in pattern:
        whole = f"(?:{pattern})" if "|" in pattern else pattern
        yield whole + _EXTENSION, "The extension is a part of the path."
        yield f"{whole}/.+", "The pattern must match up to the end of the path."
        yield f"(?:.+/)?{whole}", "The folders above are a part of the path."
        yield (
            f"(?:.+/)?{whole}{_EXTENSION}",
            "The folders above and the extension are a part of the path.",
        )
        start, _, rest = pattern.lstrip("/").partition("/")
        data_set = os.path.basename(os.path.abspath(root))
        if start and rest and re.escape(data_set) in (start, re.escape(start)):
            yield rest, f"The path begins below {data_set!r}."
            yield rest + _EXTENSION, f"The path begins below {data_set!r}."
    else:
        without = _WRITTEN_EXTENSION.sub("", pattern)
        if without != pattern:
            yield without, "The pattern must not match the extension."
    if "\\\\" in pattern:
        with_slash = pattern.replace("\\\\", "/")
        yield with_slash, "Folders are separated by '/', on every system."
        yield (
            with_slash + _EXTENSION,
            "Folders are separated by '/', and the extension is a part of the path.",
        )
    yield f"(?i:{pattern})", "Small and capital letters differ."
    yield f"{pattern}.*", "The pattern must match up to the end."
    yield f".*{pattern}", "The pattern must match from the beginning."
    yield f".*?{pattern}.*", "The pattern must match from the beginning to the end."


def _num_matches(pattern: str, names: Sequence[str]) -> int:
    try:
        expression = re.compile(unicodedata.normalize("NFC", pattern))
    except re.error:
        return 0
    texts = (unicodedata.normalize("NFC", text_of_name(pattern, n)) for n in names)
    matches = (expression.fullmatch(text) for text in texts)
    classes = Counter(match["class"] for match in matches if match and match["class"])
    # A class for each image is the name of the image.
    return classes.total() if 2 * len(classes) <= classes.total() else 0


def text_of_name(pattern: str, name: str) -> str:
    """Return what a pattern must match: the path, or the file's name alone.

    Args:
        pattern: The pattern. With a slash, it matches paths.
        name: The path of an image.
    """
    if "/" in pattern:
        return name
    return os.path.splitext(name.rpartition("/")[2])[0]
