"""JSON values as TensorFlow Serving reads and writes them."""

from __future__ import annotations

import base64
import binascii
import json
import math
from typing import Any

import numpy as np

from graft.serving.embedded.contract.status import invalid

BASE64_KEY = "b64"
_BASE64_PIECE = 2**20
"""Characters that are decoded at a time; a multiple of four."""
_MAX_PADDING = 2

_PARSE_ERRORS = (
    ("Expecting property name", "Missing a name for object member."),
    ("Expecting ':'", "Missing a colon after a name of object member."),
    ("Expecting ','", "Missing a comma or } after an object member."),
    ("Extra data", "The document root must not be followed by other values."),
    ("Unterminated string", "Missing a closing quotation mark in string."),
    ("Invalid \\", "Invalid escape character in string."),
    ("Invalid control", "Invalid encoding in string."),
)
"""Messages of Python's parser, and those of TensorFlow Serving's."""


def parse_object(body: bytes | bytearray) -> dict[str, Any]:
    """Parse a request's body; `NaN` and `Infinity` may be unquoted.

    Raises:
        StatusError: INVALID_ARGUMENT, if it isn't JSON, or no object.
    """
    if not body or body.isspace():
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise invalid(
            f"JSON Parse error: Invalid encoding in string. at offset: {error.start}"
        ) from error
    except json.JSONDecodeError as error:
        reason = next(
            (ours for theirs, ours in _PARSE_ERRORS if error.msg.startswith(theirs)),
            "Invalid value.",
        )
        message = f"JSON Parse error: {reason} at offset: {error.pos}"
        raise invalid(message) from error
    except (RecursionError, ValueError) as error:
        # Nested too deep, or a number of thousands of digits.
        raise invalid(
            "JSON Parse error: Terminate parsing due to Handler error."
        ) from (error)
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {show(document)} Is not object")
    return document


def type_name(value: Any) -> str:
    """Return the name of a value's JSON type, as messages give it."""
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return str(value)
    for kind, name in ((dict, "Object"), (list, "Array"), (str, "String")):
        if isinstance(value, kind):
            return name
    return "Number"


def show(value: Any) -> str:
    """Return a value's text for a message, cut if it is long."""
    if isinstance(value, float):
        return format_float(value)
    try:
        text = json.dumps(value)
    except RecursionError:
        return "(nested too deep)"
    return text if len(text) <= 500 else text[:500] + "..."


def is_base64(value: Any) -> bool:
    """Return whether a value encodes bytes: an object with only the key `b64`."""
    return (
        isinstance(value, dict)
        and len(value) == 1
        and isinstance(value.get(BASE64_KEY), str)
    )


def decode_base64(value: Any) -> bytes:
    """Return the bytes of a `{"b64": "..."}`.

    Raises:
        StatusError: INVALID_ARGUMENT, if it isn't one, or the alphabet is wrong.
    """
    if not is_base64(value):
        raise invalid(
            f"JSON Value: {show(value)} not formatted correctly for base64 data"
        )
    text = value[BASE64_KEY]
    if -1 < text.find("=") < len(text) - _MAX_PADDING:
        raise invalid("Unable to base64 decode")
    try:
        # In pieces: the decoder keeps Python's lock, for which all requests wait.
        return b"".join(
            base64.b64decode(text[start : start + _BASE64_PIECE], validate=True)
            for start in range(0, len(text), _BASE64_PIECE)
        )
    except (binascii.Error, ValueError) as error:
        raise invalid("Unable to base64 decode") from error


def format_float(value: float, *, is_single: bool = False) -> str:
    """Return a float's text: six digits if they are exact, else all digits.

    Args:
        value: The number.
        is_single: Whether the number is a float32.
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    text = f"{value:.6g}"
    if is_single:
        if np.float32(text) != np.float32(value):
            text = f"{value:.9g}"
    elif float(text) != value:
        text = f"{value:.17g}"
    return text if "." in text or "e" in text else text + ".0"


def dump(value: Any) -> str:
    """Return the JSON text of nested dicts, lists and values.

    Bytes are written as text, and NumPy's float32 with no more digits than it needs.
    """
    if isinstance(value, dict):
        items = (f"{json.dumps(key)}: {dump(each)}" for key, each in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(dump(each) for each in value) + "]"
    if isinstance(value, np.float32):
        return format_float(float(value), is_single=True)
    if isinstance(value, float):
        return format_float(value)
    if isinstance(value, bytes):
        return json.dumps(value.decode("utf-8", "replace"))
    return json.dumps(value)
