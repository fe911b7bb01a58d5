"""Texts and offsets of RapidJSON for documents that can't be read."""

from __future__ import annotations

import pytest

from graft.serving.embedded.contract.json_errors import find_problem

NAME = "Missing a name for object member."
COLON = "Missing a colon after a name of object member."
COMMA_OR_BRACE = "Missing a comma or '}' after an object member."
COMMA_OR_BRACKET = "Missing a comma or ']' after an array element."
QUOTE = "Missing a closing quotation mark in string."
ESCAPE = "Invalid escape character in string."
HEX = "Incorrect hex digit after \\u escape in string."
PAIR = "The surrogate pair in string is invalid."
VALUE = "Invalid value."
TOO_BIG = "Number too big to be stored in double."


@pytest.mark.parametrize(
    ("text", "reason", "position"),
    [
        ("", "The document is empty.", 0),
        ("  ", "The document is empty.", 2),
        ("]", "The document is empty.", 0),
        ("x", VALUE, 0),
        ("tr", VALUE, 2),
        ("nul1", VALUE, 3),
        ("-", VALUE, 1),
        ("-x", VALUE, 1),
        ("Na", VALUE, 2),
        ("Infi", VALUE, 4),
        ("+1", VALUE, 0),
        (".5", VALUE, 0),
        ("1.", "Miss fraction part in number.", 2),
        ("[1.e5]", "Miss fraction part in number.", 3),
        ("1e", "Miss exponent in number.", 2),
        ("[1E+]", "Miss exponent in number.", 4),
        ("[0, 1e400]", TOO_BIG, 4),
        ("[" + "9" * 400 + "]", TOO_BIG, 1),
        ("[01]", COMMA_OR_BRACKET, 2),
        ("[1 2]", COMMA_OR_BRACKET, 3),
        ("[1", COMMA_OR_BRACKET, 2),
        ("[1}", COMMA_OR_BRACKET, 2),
        ("[1,]", VALUE, 3),
        ("[,1]", VALUE, 1),
        ("[", VALUE, 1),
        ("{", NAME, 1),
        ("{1: 2}", NAME, 1),
        ('{"a": 1,}', NAME, 8),
        ('{"a": 1,', NAME, 8),
        ('{"a" 1}', COLON, 5),
        ('{"a":}', VALUE, 5),
        ('{"a": 1 "b": 2}', COMMA_OR_BRACE, 8),
        ('{"a": [1, {"b": 2]}', COMMA_OR_BRACE, 17),
        ('{"a": 1]', COMMA_OR_BRACE, 7),
        ('"abc', QUOTE, 4),
        ('["a\0"]', QUOTE, 3),
        ('["a\n"]', ESCAPE, 3),
        ('["\\x"]', ESCAPE, 2),
        ('"\\', ESCAPE, 1),
        ('["\\u12g4"]', HEX, 2),
        ('["a\\ud800"]', PAIR, 3),
        ('["a\\ud800\\u0041"]', PAIR, 3),
        ('["a\\ud800\\udc"]', HEX, 3),
    ],
)
def test_problem(text, reason, position):
    assert find_problem(text) == (reason, position)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [1, -0.5e-3, NaN, -Infinity, Inf, -NaN], "b": {}, "c": []}',
        ' [true, false, null, "\\u00e9\\ud83d\\ude00\\n\\/"] ',
        '["\\udc00"]',
        "{} ] x",
        "1 2",
        "[" * 5000 + "]" * 5000,
    ],
    ids=range(6),
)
def test_no_problem(text):
    assert find_problem(text) is None


def test_long_documents_are_not_searched():
    assert find_problem("[" + " " * 2**20) is None
