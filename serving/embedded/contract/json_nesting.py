"""Decode JSON that is nested deeper than Python's parser can follow."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

Pairs = list[tuple[str, Any]]

_BLANKS = re.compile(r"[ \t\n\r]*")
_CLOSING = {"[": "]", "{": "}"}


def decode_nested(
    text: str, decoder: json.JSONDecoder, make_object: Callable[[Pairs], Any]
) -> Any:
    """Return the first value of a text. Each level takes memory, but no stack.

    Args:
        text: JSON, and any text after it.
        decoder: Reads strings, numbers and constants.
        make_object: Makes an object of its members.

    Raises:
        JSONDecodeError: If it is no JSON.
    """
    # The brackets that are open, each with its elements or members.
    levels: list[tuple[str, list[Any]]] = []
    names: list[str] = []
    position = 0
    while True:
        position, character = _next(text, position)
        if character in _CLOSING:
            levels.append((character, []))
            position, following = _next(text, position + 1)
            if following != _CLOSING[character]:
                if character == "{":
                    position = _read_name(text, position, decoder, names)
                continue
            is_value = False
            value = None
        else:
            is_value = True
            value, position = _read_scalar(text, position, decoder)
        while levels:
            bracket, items = levels[-1]
            if is_value:
                items.append(value if bracket == "[" else (names.pop(), value))
                position, character = _next(text, position)
                if character == ",":
                    position += 1
                    if bracket == "{":
                        position = _read_name(text, position, decoder, names)
                    break
            if text[position : position + 1] != _CLOSING[bracket]:
                raise json.JSONDecodeError("Expecting ',' delimiter", text, position)
            position += 1
            levels.pop()
            value, is_value = (items if bracket == "[" else make_object(items)), True
        else:
            return value


def _next(text: str, position: int) -> tuple[int, str]:
    """Return the position after blanks, and the character there."""
    match = _BLANKS.match(text, position)
    position = match.end() if match else position
    return position, text[position : position + 1]


def _read_name(
    text: str, position: int, decoder: json.JSONDecoder, names: list[str]
) -> int:
    """Read a member's name and the colon; return the position after them."""
    position, character = _next(text, position)
    if character != '"':
        raise json.JSONDecodeError("Expecting property name", text, position)
    name, position = _read_scalar(text, position, decoder)
    names.append(name)
    position, character = _next(text, position)
    if character != ":":
        raise json.JSONDecodeError("Expecting ':' delimiter", text, position)
    return position + 1


def _read_scalar(
    text: str, position: int, decoder: json.JSONDecoder
) -> tuple[Any, int]:
    try:
        return decoder.raw_decode(text, position)
    except StopIteration as error:
        raise json.JSONDecodeError("Expecting value", text, position) from error
