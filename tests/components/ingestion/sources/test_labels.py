"""A label is one text; other values are refused with a reason."""

from __future__ import annotations

import math

import pytest

from graft.components.ingestion.sources.labels import (
    LabelKinds,
    several_labels,
    shown,
    text_of_cell,
    text_of_label,
    warn_of_missing,
)
from graft.contract.errors import DataError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("cat", "cat"),
        (" 1.50 ", " 1.50 "),
        ("[other]", "[other]"),
        ("(20, 30]", "(20, 30]"),
        ("none", "none"),
        ("#1", "#1"),
        ("=cat", "=cat"),
        ("Nan bread", "Nan bread"),
        (7, "7"),
        (7.0, "7"),
        (-0.0, "0"),
        (2**70, str(2**70)),
    ],
)
def test_one_label(value: object, text: str) -> None:
    assert text_of_label(value) == text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "is blank"),
        ("", "is blank"),
        ("nan", "missing value"),
        ("<NA>", "missing value"),
        ("#REF!", "missing value"),
        (" #N/A ", "missing value"),
        ("(null)", "missing value"),
        ("[NaN]", "missing value"),
        ("[object Object]", "prints for an object"),
        ("System.String[]", "prints for an object"),
        ("System.Collections.Generic.List`1[System.String]", "prints for an object"),
        ("[Ljava.lang.String;@1b6d3586", "prints for an object"),
        ("com.acme.Label@1b6d3586", "prints for an object"),
        ("<Label object at 0x7f3a2c>", "prints for an object"),
        ("<class 'str'>", "prints for an object"),
        ('="cat"', "as a program prints it"),
        ("[1,0]", "list of several values"),
        ("[0. 1. 0.]", "list of several values"),
        ("('cat', 'dog')", "list of several values"),
        ('["cat"  "dog"]', "list of several values"),
        ([], "a list of 0 values"),
        (["cat"], "a list of 1 value"),
        ({}, "an object"),
        (True, "true or false"),
        (1.5, "fraction"),
        (2.0**60, "too large to be exact"),
        (2.0**53, "too large to be exact"),
        (math.nan, "not a finite number"),
        (math.inf, "not a finite number"),
        (-3, "negative"),
        (-3.0, "negative"),
        ("'cat'", "name in quotes"),
        ('"cat"', "name in quotes"),
        ("`cat`", "name in quotes"),
        ("“big cat”", "name in quotes"),
        ("„cat“", "name in quotes"),
        ("‘cat’", "name in quotes"),
        ("«cat»", "name in quotes"),
        ("Zo\ufffd X", "lost characters"),
    ],
)
def test_no_single_label(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        text_of_label(value)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("0.5", "number with a fraction"),
        ("-.25e3", "number with a fraction"),
        ("-1", "negative number"),
        ("-1.0", "negative number"),
        ("1 0 0", "list of several values"),
        ("0;1", "list of several values"),
        ("{'cat'}", "as a program prints it"),
        ("('cat',)", "as a program prints it"),
        ("['cat']", "as a program prints it"),
        ("b'cat'", "as a program prints it"),
        ("np.str_('cat')", "as a program prints it"),
        ("np.int64(3)", "as a program prints it"),
        ("tensor(0)", "as a program prints it"),
        ("array(['cat'], dtype=object)", "as a program prints it"),
        ('b"cat"', "as a program prints it"),
        ("0,5", "number with a fraction, or two numbers"),
        ("-1,25", "number with a fraction, or two numbers"),
        ("2,5000", "number with a fraction, or two numbers"),
    ],
)
def test_no_single_label_in_a_cell(cell: str, message: str) -> None:
    for text in (cell, f" {cell} "):
        with pytest.raises(ValueError, match=message):
            text_of_cell(text)


@pytest.mark.parametrize(
    "cell",
    [
        "7",
        "007",
        "1.0",
        "1e5",
        "v0.5",
        "0.5 mm",
        "-",
        "-a",
        "10",
        "1st 0",
        "it's",
        "'90s and '80s'",
        '5" disk',
        "“a” or “b”",
        "1,000",
        "12,500,000",
        "b'",
    ],
)
def test_one_label_in_a_cell(cell: str) -> None:
    assert text_of_cell(cell) == cell


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("cat|dog", ["cat", "dog"]),
        ("cat ; dog", ["cat", "dog"]),
        ("cat,dog,cat", ["cat", "dog", "cat"]),
        ("cat & dog", ["cat", "dog"]),
        ("cat", []),
        ("cat|bird", []),
        ("cat dog", []),
        ("cat|", []),
    ],
)
def test_joined_labels(text: str, parts: list[str]) -> None:
    assert several_labels(text, {"cat", "dog", text}) == parts


def test_a_number_among_names_is_told_with_both_places() -> None:
    kinds = LabelKinds()
    kinds.check(is_number=False, text="7", where="line 1")
    kinds.check(is_number=True, text="8", where="line 2")
    with pytest.raises(DataError, match=r"number 8 \(line 2\).*name 'cat' \(line 3\)"):
        kinds.check(is_number=False, text="cat", where="line 3")


def test_long_values_are_cut() -> None:
    assert shown("x" * 100) == f"{'x' * 80!r} and 20 more characters"
    assert shown([1, "é"]) == '[1, "\\u00e9"]'


@pytest.mark.parametrize(
    "name",
    (
        "None NONE null NULL nil NA N/A n/a n.a. - -- ? . missing undefined unknown "
        "Unknown <unk> [UNK] (unknown) {none}"
    ).split(),
)
def test_names_that_may_stand_for_a_missing_label_are_told(name: str) -> None:
    (warning,) = warn_of_missing({"cat": 5, name: 2})
    assert f"missing label: {name!r} (2)." in warning
    assert "leave the names out by `class_names`" in warning
    assert text_of_label(name) == name


@pytest.mark.parametrize("name", ["unknowns", "nonet", "NAD", "a-b", "nullarbor", "0"])
def test_other_names_are_not(name: str) -> None:
    assert warn_of_missing({"cat": 5, name: 2}) == []


def test_several_are_told_in_one_line() -> None:
    (warning,) = warn_of_missing({"null": 1, "cat": 5, "NA": 2})
    assert "'NA' (2), 'null' (1)." in warning
