"""A manifest is read completely, or an error names the bad line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graft.components.ingestion.fingerprint import fingerprint
from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.tables.manifest_rows import read_rows
from graft.contract.errors import DataError


def _labels(folder: Path, content: str | bytes, kind: str = "csv") -> list[str]:
    path = folder / f"list.{kind}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refs = list_images(DataConfig(path=str(path)), "unused").refs
    return [ref.class_name for ref in refs]


def _refused(folder: Path, content: str | bytes, kind: str) -> str:
    """Return the message; the fingerprint must give the same one."""
    with pytest.raises(DataError) as refused:
        _labels(folder, content, kind)
    with pytest.raises(DataError) as first:
        fingerprint(DataConfig(path=str(folder / f"list.{kind}")))
    assert str(first.value) == str(refused.value)
    return str(refused.value)


HEADER = "path,label\n"
TWO = "a.png,cat\nb.png,dog\n"

BAD_CSV = {
    "empty": ("", "is empty. Write a header, such as 'path,label'"),
    "blank": ("\n \n", "is empty. Write a header"),
    "only a delimiter": ("sep=;\n", "is empty. Write a header"),
    "a delimiter that is not used": (
        "sep=;\n" + HEADER + TWO,
        "line 2 lacks the columns 'path', 'label'. Received: columns ['path,label'] "
        "(delimiter ';')",
    ),
    "delimiters at the ends": (
        HEADER + "a.png,cat,, \n",
        "line 2: 4 cells, the header has 2. Remove the delimiter ',' at the end of the "
        "lines. Received: 'a.png,cat,, '.",
    ),
    "no lines": (HEADER, "it is empty, or has a header only. Add a line"),
    "other columns": (
        "path,lable\na.png,cat\n",
        "lacks the column 'label'. Received: columns ['path', 'lable']. "
        "Did you mean 'lable'? Add them",
    ),
    "other columns by semicolons": (
        "file;lable\na.png;cat\n",
        "Received: columns ['file', 'lable'] (delimiter ';')",
    ),
    "no header": (
        TWO,
        "line 1: the header is missing: the first line names an image. "
        "Received: 'a.png,cat'. Insert a header above it, such as 'path,label'",
    ),
    "blank label": (HEADER + "a.png,\n", "line 2: the column 'label' is blank"),
    "white label": (HEADER + "a.png,\xa0 \n", "line 2: the column 'label' is blank"),
    "invisible label": (
        HEADER + "a.png,\u200b\n",
        "line 2): all of its characters are invisible",
    ),
    "blank path": (HEADER + ",cat\n", "line 2: the column 'path' is blank"),
    "white path": (HEADER + "  ,cat\n", "line 2: the column 'path' is blank"),
    "one cell": (
        HEADER + "a.png\n",
        "line 2: 1 cell, the header has 2. Complete the line",
    ),
    "more cells": (
        HEADER + "a.png,cat\nb.png,Apple, scab\n",
        "line 3: 3 cells, the header has 2. If a value holds the delimiter ',', put "
        "the value in double quotes. Received: 'b.png,Apple, scab'.",
    ),
    "comma at the end": (HEADER + "a.png,cat,\n", "line 2: 3 cells"),
    "line after blank lines": (HEADER + "\n\r\n  \n,\nb,c,d\n", "line 6: 3 cells"),
    "other delimiter": (HEADER + "a.png;cat\n", "line 2: 1 cell, the header has 2"),
    "column twice": (
        "path,label,label\na.png,cat,dog\n",
        "line 1: the columns 'label', 'label' have the same name. Received: columns "
        "['path', 'label', 'label']. Rename or delete one.",
    ),
    "column twice but for case": (
        "path,label,Label \na.png,cat,dog\n",
        "the columns 'label', 'Label' have the same name",
    ),
    "further column twice": (
        "path,label,camera,camera\na.png,cat,1,2\n",
        "the columns 'camera', 'camera' have the same name",
    ),
    "header twice": (HEADER + TWO + HEADER, "line 4 repeats the header"),
    "open quote": (
        HEADER + 'a.png,"cat\nb.png,dog\n',
        "line 2: not valid CSV: unexpected end of data (in line 3). Close every",
    ),
    "open quote that closes in another line": (
        HEADER + 'a.png,"cat\nb.png,cat"\nc.png,dog\n',
        "line 2: a double quote opens here and closes in line 3",
    ),
    "open quote in a further column": (
        'path,label,note\na.png,cat,"bad\nb.png,dog,"\n',
        "line 2: a double quote opens here and closes in line 3",
    ),
    "open quote in the header": (
        'path,"label\na.png,cat\n',
        "line 1: the header is no",
    ),
    "text after a quote": (HEADER + 'a.png,"cat"s\n', "line 2: not valid CSV"),
    "endless cell": (HEADER + f"a.png,{'x' * 140_000}\n", "line 2: not valid CSV"),
    "control character": (HEADER + "a.png,c\x1bat\n", r"line 2): it holds the control"),
    "line separator": (HEADER + "a.png,c\u2028t\n", r"or line break '\u2028'"),
    "NUL": (HEADER + "a.png,c\0at\n", "line 2 contains a NUL byte"),
    "UTF-16 with a mark": (HEADER.encode("utf-16"), "line 1: the file is UTF-16. Save"),
    "big-endian UTF-16": (
        b"\xfe\xff" + HEADER.encode("utf-16-be"),
        "line 1: the file is UTF-16. Save it as UTF-8",
    ),
    "UTF-16 without": (
        HEADER.encode("utf-16-le"),
        "line 1 contains a NUL byte. The file is",
    ),
    "Latin-1": (
        HEADER.encode() + "a.png,cat\nb.png,café\n".encode("latin-1"),
        "line 3: not UTF-8 text: the byte 0xe9 after 'b.png,caf'. Save the file",
    ),
    "Shift JIS": (HEADER.encode() + "a.png,猫\n".encode("shift_jis"), "not UTF-8 text"),
    "unknown split": (
        "path,label,split\na.png,cat,train\nb.png,cat,tset\n",
        "line 3: `split` must be 'train'",
    ),
    "missing value": (
        HEADER + "a.png,NaN\n",
        "is a missing value",
    ),
    "one-hot": (HEADER + 'a.png,"[1, 0, 0]"\n', "line 2: the column 'label' is a list"),
    "list of names": (HEADER + "a.png,\"['a', 'b']\"\n", "is a list of several values"),
}


@pytest.mark.parametrize(("content", "message"), BAD_CSV.values(), ids=BAD_CSV)
def test_bad_csv_files(tmp_path: Path, content: str | bytes, message: str) -> None:
    assert message in _refused(tmp_path, content, "csv")


def _line(label: str) -> str:
    return f'{{"path": "b.png", "label": {label}}}\n'


FIRST = _line('"cat"')

BAD_JSON = {
    "cut": ("{\n", "line 1: not valid JSON"),
    "no object": ("[1]\n", "line 1: each line must be a JSON object"),
    "an array of objects": ("[\n" + FIRST + "]\n", "line 1: not valid JSON"),
    "two objects": (FIRST.strip() + FIRST, "line 1: not valid JSON: Extra data"),
    "deep": ("[" * 100_000, "line 1: not valid JSON"),
    "no label": ('{"path": "a.png"}\n', "line 1 lacks the column 'label'"),
    "no lines": ("\n\n", "names no images"),
    "list": (
        FIRST + _line('["cat", "dog"]'),
        "line 2: the column 'label' is a list of 2",
    ),
    "list of one": (_line('["cat"]'), "is a list of 1 value. An image has one label"),
    "one-hot": (_line("[0, 1]"), "Received: [0, 1]."),
    "object": (_line('{"name": "cat"}'), "is an object of 1 key"),
    "fraction": (_line("0.5"), "is a number with a fraction. Write a name"),
    "large float": (_line("1e300"), "is a number too large to be exact"),
    "NaN": (_line("NaN"), "is not a finite number"),
    "infinite": (_line("-Infinity"), "is not a finite number"),
    "null": (_line("null"), "the column 'label' is blank"),
    "true": (_line("true"), "is true or false"),
    "blank": (_line('" "'), "the column 'label' is blank"),
    "negative": (_line("-1"), "is a negative number"),
    "endless number": (_line("1" * 5000), "line 1: not valid JSON"),
    "number among names": (
        FIRST + _line("3"),
        "Labels must all be names or all be whole numbers. Received: the number 3 (",
    ),
    "surrogate": (_line('"\\ud800"'), "line 1): it is not UTF-8 text"),
    "line break": (_line('"a\\nb"'), "line 1): it holds the control character"),
    "key twice": (
        '{"path": "a.png", "label": "cat", "label": "dog"}\n',
        "line 1: the object has the key 'label' twice",
    ),
    "key twice but for case": (
        '{"path": "a.png", "label": "cat", "Label": "dog"}\n',
        "line 1: the columns 'label', 'Label' have the same name",
    ),
    "path is a number": ('{"path": 5, "label": "cat"}\n', "'path' must be a text"),
    "path is a list": ('{"path": ["a"], "label": "cat"}\n', "'path' must be a text"),
    "split is a number": (
        '{"path": "a.png", "label": "cat", "split": 0}\n',
        "line 1: `split` must be 'train'",
    ),
    "Latin-1": ('{"path": "é"}\n'.encode("latin-1"), "line 1: not UTF-8 text"),
    "UTF-16": (FIRST.encode("utf-16"), "line 1: the file is UTF-16"),
}


@pytest.mark.parametrize(("content", "message"), BAD_JSON.values(), ids=BAD_JSON)
def test_bad_json_lines(tmp_path: Path, content: str | bytes, message: str) -> None:
    assert message in _refused(tmp_path, content, "jsonl")


@pytest.mark.parametrize(
    "content",
    [
        HEADER + TWO,
        "\ufeff" + HEADER + TWO,
        (HEADER + TWO).replace("\n", "\r\n"),
        (HEADER + TWO).replace("\n", "\r"),
        (HEADER + TWO).replace(",", ";"),
        (HEADER + TWO).replace(",", "\t"),
        '"path","label"\n"a.png","cat"\n"b.png","dog"\n',
        '\nlabel , path \ncat,a.png\n\n dog ,b.png\n,\n',
        "path;label;note\na.png;cat;1,5\nb.png;dog;\n",
    ],
    ids=[
        "plain", "BOM", "CR LF", "CR", "semicolon", "tab", "quoted", "blank",
        "decimal comma",
    ],
)  # fmt: skip
def test_csv_files_with_one_meaning(tmp_path: Path, content: str) -> None:
    assert _labels(tmp_path, content) == ["cat", "dog"]


def test_json_lines_with_one_meaning(tmp_path: Path) -> None:
    lines = [{"path": "a", "label": 7}, {"path": "b", "label": 7.0}]
    lines += [{"path": "c", "label": "7"}, {"path": "d", "label": 10**30}]
    text = "\ufeff" + "\r".join(map(json.dumps, lines)) + "\n\n"
    assert _labels(tmp_path, text, "jsonl") == ["7", "7", "7", str(10**30)]


def test_a_column_without_a_name_is_told(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(",path,label,\n0,a.png,cat,\n1,b.png,dog,\n")
    listing = list_images(DataConfig(path=str(path)), "unused")
    assert [ref.class_name for ref in listing.refs] == ["cat", "dog"]
    assert [ref.columns for ref in listing.refs] == [(), ()]
    (warning,) = listing.warnings
    assert "Column 1" in warning and "Left aside: its 2 values" in warning


def test_quoted_columns_of_other_names_are_no_open_quote(tmp_path: Path) -> None:
    message = _refused(tmp_path, '"file","kind"\na.png,cat\n', "csv")
    assert "lacks the columns 'path', 'label'" in message


def test_further_columns_may_differ_in_case_alone(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("path,label,Site,site,\na.png,cat,1,2,3\nb.png,dog,4,5,6\n")
    refs = list_images(DataConfig(path=str(path)), "unused").refs
    assert [ref.columns for ref in refs] == [
        (("Site", "1"), ("site", "2")),
        (("Site", "4"), ("site", "5")),
    ]


def test_a_manifest_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"can't be read: Is a directory\. Give this"):
        list(read_rows(str(tmp_path), "csv", DataConfig(path="x")))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04\x14\x00\x06\x00", "an Excel or OpenDocument spreadsheet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel spreadsheet"),
        (b"PAR1\x15\x00", "a Parquet file"),
        (b"\x1f\x8b\x08\x00", "a gzip archive"),
        (b"\x80\x04\x95\x00\x00", "a pickle"),
    ],
)
def test_a_file_of_another_kind_is_named(
    tmp_path: Path, content: bytes, what: str
) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"is no text, but {what}.*Save the table as"):
        list(read_rows(str(path), "csv", DataConfig(path=str(path))))
