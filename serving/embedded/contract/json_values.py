"""JSON values as TensorFlow Serving reads and writes them."""

from __future__ import annotations

import base64
import json
import math
import re
from collections import Counter
from typing import Any

import numpy as np

from graft.serving.embedded.contract.json_errors import (
    MAX_CHARACTERS,
    NumberTooBigError,
    find_problem,
    parse_error,
)
from graft.serving.embedded.contract.json_nesting import decode_nested
from graft.serving.embedded.contract.status import StatusError, invalid

BASE64_KEY = "b64"
_BASE64_PIECE = 2**20
"""Characters that are decoded at a time; a multiple of four."""
_MAX_PADDING = 2
_BASE64_SKIPPED = b" \t\n\v\f\r"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WHITE_SPACE = " \t\n\r"
_SHOWN_BYTES = 256
_CONSTANT = re.compile(
    r'"(?:[^"\\]|\\.)*"|(?P<sign>-?)(?P<name>NaN|Inf(?:inity)?)', re.DOTALL
)
"""A string, or a constant of RapidJSON outside of strings."""
_LONE_SURROGATE = re.compile(
    r"(?<!\\)(?:\\\\)*(\\u[dD][89aAbB][0-9a-fA-F]{2})(?!\\u[dD][c-fC-F])"
)
"""An escape of the first half of a pair, without the second one."""


def parse_object(body: bytes | bytearray) -> dict[str, Any]:
    """Parse a request's body as RapidJSON does for TensorFlow Serving.

    `NaN`, `Inf` and `Infinity` may be unquoted. A byte order mark before the document
    and any text after it are skipped. Of members with the same name the first counts.
    Bytes that are no UTF-8 stay in strings as they are; `encode` gives them back.

    Raises:
        StatusError: INVALID_ARGUMENT, if it isn't JSON, or no object.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    text, num_skipped = _text_of(body)
    try:
        document = _decode_any(text)
    except (RecursionError, ValueError) as error:
        raise parse_error(text, num_skipped, error) from error
    if "\\" in text and _LONE_SURROGATE.search(text) and _is_wrong(text):
        pair_error = ValueError("The surrogate pair in string is invalid.")
        raise parse_error(text, num_skipped, pair_error)
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {show(document)} Is not object")
    return document


def _is_wrong(text: str) -> bool:
    # It may be in the text after the document.
    return len(text) > MAX_CHARACTERS or find_problem(text) is not None


def number_error(body: bytes | bytearray, error: NumberTooBigError) -> StatusError:
    """Return the error for a document with a number beyond the largest double."""
    text, num_skipped = _text_of(body)
    return parse_error(text, num_skipped, error)


def _text_of(body: bytes | bytearray) -> tuple[str, int]:
    """Return a document's text, and how many bytes come before it."""
    has_mark = body.startswith(_BYTE_ORDER_MARK)
    text = body.removeprefix(_BYTE_ORDER_MARK).decode("utf-8", "surrogateescape")
    return text, len(_BYTE_ORDER_MARK) if has_mark else 0


class Members(dict[str, Any]):
    """An object of which a member came more than once: here the first one.

    Args:
        pairs: All members, in their order.
    """

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__()
        for name, value in pairs:
            self.setdefault(name, value)
        counts = Counter(name for name, _ in pairs)
        self.repeated = {name for name, count in counts.items() if count > 1}
        """Names that came more than once."""
        self.last = dict(pairs)
        """The same with the last one."""


def _first_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Members(pairs)


class Constant(float):
    """`NaN` or an infinity that was written as such, and is no number too large."""


_DECODER = json.JSONDecoder(object_pairs_hook=_first_members, parse_constant=Constant)


def _decode(text: str) -> Any:
    start = len(text) - len(text.lstrip(_WHITE_SPACE))
    document, _ = _DECODER.raw_decode(text, start)
    return document


def _decode_any(text: str) -> Any:
    try:
        return _decode(text)
    except RecursionError:
        if len(text) > MAX_CHARACTERS:
            raise
        try:
            return decode_nested(text, _DECODER, _first_members)
        except json.JSONDecodeError:
            text = _CONSTANT.sub(_python_constant, text)
            return decode_nested(text, _DECODER, _first_members)
    except json.JSONDecodeError:
        # Rare, and slow: what RapidJSON reads beyond Python's parser.
        return _decode(_CONSTANT.sub(_python_constant, text))


def _python_constant(match: re.Match[str]) -> str:
    """Return Python's name of a constant; a string stays as it is."""
    sign, name = match["sign"], match["name"]
    if name is None:
        return match[0]
    return "NaN" if name == "NaN" else f"{sign}Infinity"


def read_number(value: float) -> float:
    """Return a number of a document as a float.

    Raises:
        NumberTooBigError: If it is beyond the largest double.
    """
    try:
        number = float(value)
    except OverflowError:
        raise NumberTooBigError from None
    # Python's parser makes an infinity of such a number.
    if math.isinf(number) and not isinstance(value, Constant):
        raise NumberTooBigError
    return number


def encode(text: str) -> bytes:
    """Return a string's bytes as they were sent, also where they are no UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # An escape of half a pair.
        return text.encode("utf-8", "surrogatepass")


def is_utf8(text: str) -> bool:
    """Return whether a string was sent as UTF-8, as protos need it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


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
    """Return a value's text for a message, as RapidJSON's writer formats it.

    It is cut after the token that reaches `_SHOWN_BYTES`.
    """
    parts: list[str] = []
    _show_into(parts, value, "")
    return "".join(parts)


def _show_into(parts: list[str], value: Any, indent: str) -> bool:
    """Append a value's text, and return whether there is room for more."""
    if sum(map(len, parts)) >= _SHOWN_BYTES:
        return False
    if isinstance(value, list):
        parts.append("[")
        for place, each in enumerate(value):
            if place:
                parts.append(", ")
            if not _show_into(parts, each, indent):
                return False
        parts.append("]")
    elif isinstance(value, dict):
        inner = indent + "    "
        parts.append("{")
        for place, (key, each) in enumerate(value.items()):
            parts.append(f"{',' if place else ''}\n{inner}{_show_text(key)}: ")
            if not _show_into(parts, each, inner):
                return False
        parts.append(f"\n{indent}}}" if value else "}")
    elif isinstance(value, float):
        if not math.isfinite(value):
            return False
        parts.append(repr(value).replace("e+", "e"))
    else:
        parts.append(_show_text(value) if isinstance(value, str) else json.dumps(value))
    return True


def _show_text(text: str) -> str:
    shown = json.dumps(text, ensure_ascii=False)
    return encode(shown).decode("utf-8", "replace")


def is_base64(value: Any) -> bool:
    """Return whether a value encodes bytes: an object with only the key `b64`."""
    return (
        isinstance(value, dict)
        and len(value) == 1
        and not isinstance(value, Members)
        and isinstance(value.get(BASE64_KEY), str)
    )


def decode_base64(value: Any) -> bytes:
    """Return the bytes of a `{"b64": "..."}`.

    White space is skipped. Padding may be missing, but not be wrong.

    Raises:
        StatusError: INVALID_ARGUMENT, if it isn't one, or the alphabet is wrong.
    """
    if not is_base64(value):
        raise invalid(
            f"JSON Value: {show(value)} not formatted correctly for base64 data"
        )
    text: str = value[BASE64_KEY]
    try:
        return _decode_digits(text)
    except ValueError:
        # Rare: with white space, or without padding.
        return _decode_loosely(text)


def _decode_digits(text: str) -> bytes:
    """Return the bytes of base64 in its standard form.

    Raises:
        ValueError: If it is not in this form.
    """
    if len(text) % 4 or -1 < text.find("=") < len(text) - _MAX_PADDING:
        raise ValueError("wrong padding")
    # In pieces: the decoder keeps Python's lock, for which all requests wait.
    return b"".join(
        base64.b64decode(text[start : start + _BASE64_PIECE], validate=True)
        for start in range(0, len(text), _BASE64_PIECE)
    )


def _decode_loosely(text: str) -> bytes:
    try:
        found = text.encode("ascii").translate(None, _BASE64_SKIPPED)
        digits = found.rstrip(b"=.")
        missing = -len(digits) % 4
        if missing > _MAX_PADDING or len(found) - len(digits) not in (0, missing):
            raise ValueError("wrong padding")
        return _decode_digits(digits.decode("ascii") + "=" * missing)
    except ValueError as error:
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
    Write the text with `encode`: bytes that are no UTF-8 stay as they are.
    """
    if isinstance(value, dict):
        items = (f"{_quote(key)}: {dump(each)}" for key, each in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(dump(each) for each in value) + "]"
    if isinstance(value, np.float32):
        return format_float(float(value), is_single=True)
    if isinstance(value, float):
        return format_float(value)
    if isinstance(value, bytes):
        return _quote(value.decode("utf-8", "surrogateescape"))
    return _quote(value)


def _quote(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
