"""The label of one image, as a text: taken whole, or refused with the reason.

A text is taken as it is. A whole number becomes its digits. Whatever holds several
values, or a value that is no name, is refused: a guess would be a wrong label.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from graft.contract.errors import DataError

# Beyond, a float no longer has the digits that were written.
_LARGEST_EXACT_FLOAT = 2**53
_MOST_CHARACTERS_SHOWN = 80

# How programs write a missing value; no person calls a class so.
_MISSING = frozenset(["nan", "<na>", "#n/a"])
_ONE_ITEM = r"""(?:[01]\.?0*|'[^']*'|"[^"]*")"""
# A vector of zeros and ones, or several quoted names, as a program prints a list.
_LIST = re.compile(rf"[\[(]\s*{_ONE_ITEM}(?:\s*,\s*|\s+){_ONE_ITEM}.*[\])]", re.DOTALL)


def text_of_label(value: object) -> str:
    """Return the label that a value of JSON, or a cell of a CSV file, stands for.

    Args:
        value: What was read. A text is taken as it is; 7 and 7.0 become "7".

    Raises:
        ValueError: It is no single label; the message says what it is and how to
            write one.
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
            raise ValueError("is not a number, but its absence. Write a name")
        if not value.is_integer() or abs(value) > _LARGEST_EXACT_FLOAT:
            raise ValueError(
                "is a number with a fraction. Write a name, or a whole number"
            )
        return _digits(int(value))
    if isinstance(value, list):
        raise ValueError(f"is a list of {len(value)} values. {ONE_LABEL}")
    if isinstance(value, dict):
        raise ValueError(f"is an object of {len(value)} keys. {ONE_LABEL}")
    raise ValueError("is blank. Complete the line or delete it")


ONE_LABEL = (
    "An image has one label: write the name of its class, or of a one-hot vector the "
    "place of the 1"
)


def text_of_feature(feature: Any) -> str:
    """Return the label that a feature of a tf.Example holds.

    Args:
        feature: A `tf.train.Feature`.

    Raises:
        ValueError: As for `text_of_label`.
    """
    kind = feature.WhichOneof("kind")
    values = list(getattr(feature, kind).value) if kind else []
    if len(values) != 1:
        raise ValueError(f"has {len(values)} values. {ONE_LABEL}")
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
        raise ValueError("is no UTF-8 text. Write it as UTF-8") from error
    _require_one_name(text)
    return str(text)


def shown(value: object) -> str:
    """Return a value for a message: on one line, cut where it is long."""
    try:
        text = value if isinstance(value, str) else json.dumps(value)
    except (TypeError, ValueError):
        text = str(value)
    cut = text[:_MOST_CHARACTERS_SHOWN]
    more = f" and {len(text) - len(cut)} characters more" if cut != text else ""
    quoted = repr(cut) if isinstance(value, str) else cut
    return f"{quoted}{more}"


def _digits(number: int) -> str:
    if number < 0:
        raise ValueError(
            "is a negative number, which often means that there is none. Leave the "
            "image out, or write a name"
        )
    return str(number)


def _require_one_name(text: str) -> None:
    stripped = text.strip()
    if not stripped:
        raise ValueError("is blank. Complete the line or delete it")
    if stripped.lower() in _MISSING:
        raise ValueError(
            "is how a program writes a missing value. Write the name of the class, or "
            "leave the image out"
        )
    if _LIST.fullmatch(stripped):
        raise ValueError(f"is a list of several values. {ONE_LABEL}")


class LabelKinds:
    """Stops where some labels of a source are names and others are numbers.

    A number among names is no name: it is an index that a program wrote by mistake.
    Texts of digits alone go with both.
    """

    def __init__(self) -> None:
        self._first: dict[bool, tuple[str, str]] = {}

    def check(self, *, is_number: bool, text: str, where: str) -> None:
        """Take one more label.

        Args:
            is_number: Whether the source holds a number rather than a text.
            text: The label.
            where: Its place, for a message.

        Raises:
            DataError: It is of another kind than an earlier one.
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
