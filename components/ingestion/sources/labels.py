"""Read the label of one image as text, or refuse it with the reason.

A text stays as it is. A whole number becomes its digits. Other values are refused, for
instance lists and fractions: a guess would be a wrong label.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from graft.components.ingestion.sources.source import some_of
from graft.components.ingestion.sources.tag_sets import SEPARATORS
from graft.contract.counts import counted
from graft.contract.errors import DataError

# This float and greater ones may have lost digits.
_LARGEST_EXACT_FLOAT = 2**53
_MOST_CHARACTERS_SHOWN = 80

# Missing values and errors, as programs write them.
_MISSING = frozenset(
    "nan <na> <null> <none> #n/a #ref! #value! #name? #div/0! #null! #num! "
    "(null) [null] {null} (nan) [nan] <nan> (nil) <nil>".split()
)
# Texts that often stand for a missing value, and may be names of classes.
_PERHAPS_MISSING = frozenset(
    word.replace("~", " ")
    for word in (
        "none null nil na n/a n.a n.a. - -- --- ? ?? . .. _ missing undefined "
        "void tbd tbc todo unsure uncertain unclear ambiguous unlabeled unlabelled "
        "unannotated unassigned uncategorized uncategorised skip skipped ignore "
        "ignored exclude excluded unknown invalid error pending \\n "
        # German, French, Spanish, Portuguese, Italian, Dutch, Polish, Russian
        "unbekannt unklar unsicher ungültig inconnu incertain desconocido incierto "
        "desconhecido incerto sconosciuto onbekend onduidelijk nieznany неизвестно "
        # Chinese, Japanese, Korean
        "未知 未标注 不明 未分類 알수없음 미분류 "
        # Of people who label
        "dunno unclassified undetermined err delete deleted remove removed duplicate "
        "not~sure can't~tell cannot~tell don't~know to~review "
        "needs~review to~check no~label no~labels not~labeled not~labelled "
        "not~annotated in~progress to~do to~label to~annotate"
    ).split()
)
_BETWEEN_WORDS = re.compile(r"[-_ ]+")
_ONE_ITEM = r"""(?:[01]\.?0*|'[^']*'|"[^"]*")"""
# A printed list: a vector of zeros and ones, or several quoted names.
_LIST = re.compile(rf"[\[(]\s*{_ONE_ITEM}(?:\s*,\s*|\s+){_ONE_ITEM}.*[\])]", re.DOTALL)
# One-hot without brackets, and other values that Python prints with quotes.
_VECTOR = re.compile(r"[01](?:\s*[,;]\s*|\s+)[01](?:(?:\s*[,;]\s*|\s+)[01])*")
_PRINTED = re.compile(
    r"""[\[({]\s*b?(['"]).*\1\s*,?\s*[\])}]|b(['"]).*\2|=".*\"|"""
    r"""\{\s*(['"])[^'"]+\3\s*:.*\}|\[\s*[\[{(].*['"].*[\]})]\s*\]""",
    re.DOTALL,
)
# As `np.str_('cat')`, `tensor(0)` and `Timestamp('2024-01-01')`.
_CALL = re.compile(
    r"(?:[A-Za-z_]\w*\.)+[A-Za-z_]\w*\(.*\)|(?:tensor|array|int|float|str|bool)\d*_?\(.*\)"
    r"|[A-Za-z_]\w*\((['\"]).*\1\)",
    re.DOTALL,
)
# What is left of an object without a text in JavaScript, .NET, Java and Python.
_OBJECT = re.compile(
    r"\[object \w+\]|System\.\w+[\w.`\[\],]*|\[L[\w.$]+;@[0-9a-f]+"
    r"|(?:[A-Za-z_]\w*\.)+\w+@[0-9a-f]{6,8}|<.+ at 0x[0-9a-fA-F]+>|<class .+>"
)
_IN_BRACKETS = re.compile(r"<(\w+)>|\((\w+)\)|\[(\w+)\]|\{(\w+)\}")
_FRACTION = re.compile(r"[+\u2212-]?(?=\d|\.\d)\d*\.\d*[1-9]\d*(?:[eE][+-]?\d+)?")
# The decimal comma; 1,000 is a name.
_COMMA_FRACTION = re.compile(r"[+\u2212-]?(?![1-9]\d{0,2}(?:,\d{3})+$)\d*,\d*[1-9]\d*")
# A name in quotes, also in those that no format of a table knows.
_QUOTED = re.compile(
    r"""'[^']+'|"[^"]+"|`[^`]+`|\u2018[^\u2018\u2019]+\u2019|\u201c[^\u201c\u201d]+\u201d"""
    r"""|\u201e[^\u201c\u201d\u201e]+[\u201c\u201d]|\u201a[^\u2018\u2019\u201a]+[\u2018\u2019]"""
    r"""|\xab[^\xab\xbb]+\xbb"""
)
_NEGATIVE = re.compile(r"[-\u2212]\d+(?:\.0*)?")  # also the minus of typesetters
_LOST_CHARACTER = "\ufffd"


_IS_FRACTION = "is a number with a fraction. Write a name, or a whole number"
_IS_NEGATIVE = (
    "is a negative number. If -1 and 1 mean no and yes, write names for both. If it "
    "means a missing label, leave the image out"
)


def text_of_cell(cell: str) -> str:
    """Return the label in a cell of a CSV file, in which a number is a text, too.

    Raises:
        ValueError: As for `text_of_label`.
    """
    text = text_of_label(cell)
    if _FRACTION.fullmatch(text.strip()):
        raise ValueError(_IS_FRACTION)
    if _COMMA_FRACTION.fullmatch(text.strip()):
        raise ValueError(
            "is a number with a fraction, or two numbers. Write a name, or a whole "
            "number"
        )
    if _NEGATIVE.fullmatch(text.strip()):
        raise ValueError(_IS_NEGATIVE)
    return text


def text_of_label(value: object) -> str:
    """Return the label in a JSON value.

    Args:
        value: The value. A text stays as it is; 7 and 7.0 become "7".

    Raises:
        ValueError: The value is not a single label. The message says what it is, and
            what to write.
    """
    if isinstance(value, str):
        _require_one_name(value)
        return value
    if isinstance(value, bool):
        raise ValueError('is true or false. Write a name, such as "yes"')
    if isinstance(value, int):
        return _digits(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("is not a finite number. Write a name")
        if not value.is_integer():
            raise ValueError(_IS_FRACTION)
        if abs(value) >= _LARGEST_EXACT_FLOAT:
            raise ValueError(
                "is a number too large to be exact. Write it without a point, or as "
                "text"
            )
        return _digits(int(value))
    if isinstance(value, list):
        raise ValueError(f"is a list of {counted(len(value), 'value')}. {ONE_LABEL}")
    if isinstance(value, dict):
        raise ValueError(f"is an object of {counted(len(value), 'key')}. {ONE_LABEL}")
    raise ValueError("is blank. Complete the line or delete it")


ONE_LABEL = (
    "An image has one label: write the name of its class, or the index of the 1 in a "
    "one-hot vector"
)


def text_of_feature(feature: Any) -> str:
    """Return the label in a feature of a tf.Example.

    Args:
        feature: A `tf.train.Feature`.

    Raises:
        ValueError: As for `text_of_label`.
    """
    kind = feature.WhichOneof("kind")
    values = list(getattr(feature, kind).value) if kind else []
    if len(values) != 1:
        raise ValueError(f"has {counted(len(values), 'value')}. {ONE_LABEL}")
    (value,) = values
    if kind == "float_list":
        raise ValueError(
            "is a float. Write the name of the class as bytes, or its index as int64"
        )
    if kind == "int64_list":
        return _digits(value)
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("is not UTF-8 text. Write it as UTF-8") from error
    _require_one_name(text)
    return str(text)


def shown(value: object) -> str:
    """Format a value for a message: on one line, shortened if it is long."""
    try:
        text = value if isinstance(value, str) else json.dumps(value)
    except (TypeError, ValueError):
        text = str(value)
    cut = text[:_MOST_CHARACTERS_SHOWN]
    more = (
        f" and {counted(len(text) - len(cut), 'more character')}" if cut != text else ""
    )
    quoted = repr(cut) if isinstance(value, str) else cut
    return f"{quoted}{more}"


def _digits(number: int) -> str:
    if number < 0:
        raise ValueError(_IS_NEGATIVE)
    return str(number)


def _require_one_name(text: str) -> None:
    stripped = text.strip()
    if not stripped:
        raise ValueError("is blank. Complete the line or delete it")
    if stripped.lower() in _MISSING:
        raise ValueError(
            "is a missing value. Write the name of the class, or leave the image out"
        )
    if _LIST.fullmatch(stripped) or _VECTOR.fullmatch(stripped):
        raise ValueError(f"is a list of several values. {ONE_LABEL}")
    if _OBJECT.fullmatch(stripped):
        raise ValueError(
            "is what a program prints for an object, and the name is lost. Export the "
            "labels again"
        )
    if _PRINTED.fullmatch(stripped) or _CALL.fullmatch(stripped):
        raise ValueError(
            "is a value as a program prints it. Write the name itself, without "
            "brackets and quotes"
        )
    if _QUOTED.fullmatch(stripped):
        raise ValueError("is a name in quotes. Write the name without them")
    if _LOST_CHARACTER in stripped:
        raise ValueError(
            "has lost characters: a program that read the wrong encoding put "
            f"{_LOST_CHARACTER!r} (U+FFFD) in their places. Export the labels again, "
            "as UTF-8"
        )


def several_labels(text: str, labels: Collection[str]) -> list[str]:
    """Return the labels that a text joins, as `cat|dog` does; none for one label.

    Args:
        text: A label.
        labels: All labels of the source. A text of which each part is one of them
            stands for several labels.
    """
    parts = SEPARATORS.split(text.strip())
    is_joined = len(parts) > 1 and all(part in labels for part in parts)
    return parts if is_joined else []


def warn_of_missing(counts: Mapping[str, int]) -> list[str]:
    """Return a warning about classes whose names may stand for a missing label.

    Args:
        counts: Class name to its number of images.
    """
    found = {
        name: counts[name]
        for name in sorted(counts)
        if name.strip().casefold() in _PERHAPS_MISSING
        or _BETWEEN_WORDS.sub(" ", name.strip().casefold()) in _PERHAPS_MISSING
        or _in_brackets(name) in {*_PERHAPS_MISSING, "unk"}
    }
    if not found:
        return []
    return [
        f"Names that may stand for a missing label: {some_of(found, found)}. If they "
        "do, delete the lines, or leave the names out by `class_names`."
    ]


def _in_brackets(name: str) -> str:
    """Return what the brackets around a whole name hold, as of `<unk>`, or ""."""
    match = _IN_BRACKETS.fullmatch(name.strip())
    return match[match.lastindex or 0].casefold() if match else ""


class LabelKinds:
    """Check that the labels of a source are all names or all numbers.

    A number among names is probably an index that a program wrote by mistake. Texts
    that consist of digits count as either kind.
    """

    def __init__(self) -> None:
        self._first: dict[bool, tuple[str, str]] = {}

    def check(self, *, is_number: bool, text: str, where: str) -> None:
        """Check the next label.

        Args:
            is_number: Whether the source holds a number rather than a text.
            text: The label.
            where: Location of the label, for a message.

        Raises:
            DataError: The label is of another kind than an earlier one.
        """
        if not is_number and text.strip().isdigit():
            return
        self._first.setdefault(is_number, (text, where))
        if len(self._first) == 1:
            return
        (name, of_name), (number, of_number) = self._first[False], self._first[True]
        raise DataError(
            f"Labels must all be names or all be whole numbers. Received: the number "
            f"{number} ({of_number}) and the name {shown(name)} ({of_name}). Write the "
            "name of each class; if the number is a name, write it as text."
        )
