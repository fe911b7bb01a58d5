"""Where a JSON document is wrong, and why, as RapidJSON's iterative parser says it.

TensorFlow Serving passes RapidJSON's text and offset on to its clients. Documents are
parsed by Python's faster parser. Only one that can't be read comes here.
"""

from __future__ import annotations

import math
import re

from graft.serving.embedded.contract.status import StatusError, invalid

MAX_CHARACTERS = 2**20
"""In a longer document the place is not looked for: that would take seconds."""
_BLANKS = re.compile(r"[ \t\n\r]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_DIGITS = re.compile(r"[0-9]*")
_HEX = re.compile(r"[0-9a-fA-F]{4}")
_ESCAPED = '"\\/bfnrt'
_END = ("", "\0")
"""RapidJSON takes a zero byte for the end."""
_LITERALS = {"t": "true", "f": "false", "n": "null"}
_INVALID_VALUE = "Invalid value."
_BAD_PAIR = "The surrogate pair in string is invalid."
_BAD_ESCAPE = "Invalid escape character in string."
_TOO_BIG = "Number too big to be stored in double."
_REASONS = {
    "document": "The document is empty.",
    "{": "Missing a name for object member.",
    "{,": "Missing a name for object member.",
    "name": "Missing a colon after a name of object member.",
    "member": "Missing a comma or '}' after an object member.",
    ":": _INVALID_VALUE,
    "[": _INVALID_VALUE,
    "[,": _INVALID_VALUE,
    "element": "Missing a comma or ']' after an array element.",
}
"""What is wrong if nothing fits after a bracket, a sign, a member or an element."""


class NumberTooBigError(ValueError):
    """A document has a number beyond the largest double."""


class _ProblemError(Exception):
    def __init__(self, reason: str, position: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position


def parse_error(text: str, num_skipped: int, cause: Exception) -> StatusError:
    """Return the error for a document that can't be read.

    Args:
        text: The document, decoded with `surrogateescape`.
        num_skipped: Number of bytes before it: a byte order mark.
        cause: What Python's parser says.
    """
    problem = find_problem(text)
    if problem is not None:
        reason, position = problem
        before = text[:position].encode("utf-8", "surrogateescape")
        offset = num_skipped + len(before)
        return invalid(f"JSON Parse error: {reason} at offset: {offset}")
    if isinstance(cause, RecursionError):
        return invalid("JSON Parse error: The document is nested too deep")
    is_number = isinstance(cause, NumberTooBigError)
    return invalid(f"JSON Parse error: {_TOO_BIG if is_number else cause}")


def find_problem(text: str) -> tuple[str, int] | None:
    """Return what is wrong in a document and where; None if nothing is found."""
    if len(text) > MAX_CHARACTERS:
        return None
    try:
        _scan(text)
    except _ProblemError as problem:
        return problem.reason, problem.position
    return None


def _scan(text: str) -> None:
    """Read a document up to its end.

    Raises:
        _ProblemError: At the first place that is wrong.
    """
    open_brackets: list[str] = []
    state, position = "document", 0
    while True:
        position = _end(_BLANKS, text, position)
        character = text[position : position + 1]
        is_closed = character == {
            "{": "}",
            "member": "}",
            "[": "]",
            "element": "]",
        }.get(state, "none")
        if is_closed:
            open_brackets.pop()
            position += 1
        elif character in _END:
            raise _ProblemError(_REASONS[state], position)
        elif state in ("document", ":", "[", "[,") and character not in ",:}]":
            if character in "{[":
                open_brackets.append(character)
                state, position = character, position + 1
                continue
            position = _skip_value(text, position)
        elif state in ("{", "{,") and character == '"':
            state, position = "name", _skip_string(text, position)
            continue
        elif (state, character) in (("name", ":"), ("member", ","), ("element", ",")):
            follows = {"name": ":", "member": "{,", "element": "[,"}
            state, position = follows[state], position + 1
            continue
        else:
            raise _ProblemError(_REASONS[state], position)
        if not open_brackets:
            return
        state = "member" if open_brackets[-1] == "{" else "element"


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position


def _skip_value(text: str, position: int) -> int:
    first = text[position]
    if first == '"':
        return _skip_string(text, position)
    if first in _LITERALS:
        return _skip_word(text, position, _LITERALS[first])
    return _skip_number(text, position)


def _skip_word(text: str, position: int, word: str) -> int:
    for each in word:
        if text[position : position + 1] != each:
            raise _ProblemError(_INVALID_VALUE, position)
        position += 1
    return position


def _skip_string(text: str, position: int) -> int:
    position += 1
    while True:
        position = _end(_PLAIN, text, position)
        character = text[position : position + 1]
        if character == '"':
            return position + 1
        if character in _END:
            reason = "Missing a closing quotation mark in string."
            raise _ProblemError(reason, position)
        if character != "\\":
            raise _ProblemError(_BAD_ESCAPE, position)
        position = _skip_escape(text, position)


def _skip_escape(text: str, start: int) -> int:
    escaped = text[start + 1 : start + 2]
    if escaped and escaped in _ESCAPED:
        return start + 2
    if escaped != "u":
        raise _ProblemError(_BAD_ESCAPE, start)
    position = start + 2
    if 0xD800 <= _hex(text, position, start) <= 0xDBFF:
        position += 4
        if text[position : position + 2] != "\\u":
            raise _ProblemError(_BAD_PAIR, start)
        position += 2
        if not 0xDC00 <= _hex(text, position, start) <= 0xDFFF:
            raise _ProblemError(_BAD_PAIR, start)
    return position + 4


def _hex(text: str, position: int, start: int) -> int:
    match = _HEX.match(text, position)
    if match is None:
        reason = "Incorrect hex digit after \\u escape in string."
        raise _ProblemError(reason, start)
    return int(match[0], 16)


def _skip_number(text: str, start: int) -> int:
    position = start + (text[start] == "-")
    first = text[position : position + 1]
    if first == "N":
        return _skip_word(text, position, "NaN")
    if first == "I":
        position = _skip_word(text, position, "Inf")
        is_long = text[position : position + 1] == "i"
        return _skip_word(text, position, "inity") if is_long else position
    if not first or first not in "0123456789":
        raise _ProblemError(_INVALID_VALUE, position)
    position = position + 1 if first == "0" else _end(_DIGITS, text, position)
    if text[position : position + 1] == ".":
        fraction = position + 1
        position = _end(_DIGITS, text, fraction)
        if position == fraction:
            raise _ProblemError("Miss fraction part in number.", position)
    if text[position : position + 1] in ("e", "E"):
        exponent = position + 1
        exponent += text[exponent : exponent + 1] in ("+", "-")
        position = _end(_DIGITS, text, exponent)
        if position == exponent:
            raise _ProblemError("Miss exponent in number.", position)
    if math.isinf(float(text[start:position])):
        raise _ProblemError(_TOO_BIG, start)
    return position
