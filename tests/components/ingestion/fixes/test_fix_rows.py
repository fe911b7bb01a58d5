"""Files of label fixes: what a person or a spreadsheet may have written."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from graft.components.ingestion.fixes.fix_rows import (
    COLUMNS,
    FixFile,
    protected,
    read_fix_files,
)
from graft.contract.errors import DataError

HASH = "ab" * 32
TEXT = f"path,label,new_label,content_hash\nkät/1.jpg,kät,dog,{HASH}\n"


def _read(tmp_path: Path, content: str | bytes) -> FixFile:
    path = tmp_path / "fixes.csv"
    raw = content.encode() if isinstance(content, str) else content
    path.write_bytes(raw)
    (found,) = read_fix_files([str(path)])
    return found


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.replace("\n", "\r\n").encode("utf-8-sig"),
        TEXT.replace(",", ";").encode("utf-8-sig"),
        TEXT.replace(",", "\t").encode("utf-16"),
        ("sep=;\n" + TEXT.replace(",", ";")).encode(),
        ("\n\n" + TEXT + ",,,\n\n").encode(),
        TEXT.replace("new_label", "New Label").encode(),
        TEXT.replace("label,new", "note,new").replace(",kät,", ',"a\nb",').encode(),
        TEXT.replace(HASH, HASH.upper()).encode(),
    ],
    ids="plain bom crlf semicolons utf-16 sep blank-lines title note upper".split(),
)
def test_spreadsheets_write_one_table_in_many_ways(tmp_path: Path, content: bytes):
    found = _read(tmp_path, content)
    (fix,) = found.fixes
    assert (fix.kind, fix.path, fix.new_label) == ("relabel", "kät/1.jpg", "dog")
    assert fix.content_hash == HASH
    assert (found.num_rows, found.num_undecided) == (1, 0)


@pytest.mark.parametrize(
    ("cells", "kind", "new_label"),
    [
        ("cat,dog,,", None, None),
        ("cat,dog,,bird", "relabel", "bird"),
        ("cat,dog,relabel,bird", "relabel", "bird"),
        ("cat,dog,ACCEPT,", "relabel", "dog"),
        ("cat,dog,accept,dog", "relabel", "dog"),
        ("cat,dog,keep,", "keep", None),
        ("cat,dog,keep,cat", "keep", None),
        ("cat,dog,drop,", "drop", None),
        (",,add,bird", "add", "bird"),
        ("bird,,add,", "add", "bird"),
        ("cat,dog,new_class,bat", "relabel", "bat"),
    ],
)
def test_a_row_says_what_to_do(tmp_path: Path, cells: str, kind, new_label):
    text = f"path,label,suggestion,action,new_label\na.jpg,{cells}\n"
    found = _read(tmp_path, text)
    decided = [(fix.kind, fix.new_label) for fix in found.fixes]
    assert decided == ([] if kind is None else [(kind, new_label)])
    assert found.num_undecided == (kind is None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path,label\na.jpg,cat\n", "must have the column `action` or `new_label`"),
        ("label,new_label\ncat,dog\n", "must have the column `path` or `content_hash`"),
        ("path,newlabel\na,b\n", "Did you mean `new_label` by 'newlabel'?"),
        ("path,action,Action\na,b,c\n", "has the column `action` twice"),
        ("", "is empty"),
        ("path;new_label\na.jpg;cat;dog\n", "line 2: 3 cells, the header has 2"),
        ('path,new_label\na.jpg,"cat\n', "line 2: not valid CSV"),
        ("path,action\na.jpg,kep\n", "line 2: `action` must be .* mean 'keep'?"),
        ("path,action,new_label\na.jpg,relabel,\n", "needs the class .* blank"),
        ("path,action,new_label\na.jpg,new class, \n", "needs the class .* blank"),
        ("path,action,new_label\na.jpg,drop,dog\n", "contradicts a new label"),
        ("path,action,new_label\na.jpg,keep,dog\n", "contradicts a new label"),
        ("path,suggestion,action\na.jpg,,accept\n", "takes the suggestion, which is"),
        (
            "path,new_label\n ,dog\n",
            "line 2: the row names no image. Write its name into `path` or",
        ),
        (
            f"content_hash,action,label\n{HASH},add,dog\n",
            "Write its name into `path`, or delete",
        ),
        ("content_hash,new_label\n1.2E+45,dog\n", "64 hexadecimal digits"),
        (TEXT.encode("latin-1"), "line 2: not UTF-8 text"),
        (TEXT.encode("utf-16-le"), "NUL byte"),
        (TEXT.encode("utf-16")[:-1], "not UTF-8 text|UTF-16"),
        (b"PK\x03\x04rest", "is a spreadsheet or an archive, not CSV"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "or not a text file"),
        ("path,new_label," + "x" * 200_000 + "\na,b,c\n", "line 1: not valid CSV"),
    ],
)
def test_an_unclear_file_stops(tmp_path: Path, content: str | bytes, message: str):
    with pytest.raises(DataError, match=message):
        _read(tmp_path, content)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"`label_fixes` must name files .*none\.csv"):
        read_fix_files([str(tmp_path / "none.csv")])


def test_lines_are_counted_as_in_an_editor(tmp_path: Path):
    text = 'sep=,\n\npath,note,action\na.jpg,"two\nlines",keep\n\nb.jpg,,kep\n'
    with pytest.raises(DataError, match="line 7: `action`"):
        _read(tmp_path, text)


@pytest.mark.parametrize("name", ["=1+1", "-1.jpg", "@a", "'=x", "''-1", "a=b", "'q'"])
def test_no_cell_is_a_formula(tmp_path: Path, name: str):
    """A file name comes from a stranger, and a spreadsheet runs formulas."""
    assert protected(name)[0] not in "=+-@"
    text = io.StringIO()
    csv.writer(text).writerows([COLUMNS, ["", protected(name), *[""] * 4, "keep"]])
    lines = text.getvalue().splitlines()
    (fix,) = _read(tmp_path, "\n".join([lines[0], lines[1] + ",,,"])).fixes
    assert fix.path == name


def test_the_path_of_an_added_image_starts_from_the_file(tmp_path: Path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "1.jpg").write_bytes(b"x")
    text = "path,action,label\nnew\\1.jpg,add,dog\nnew/2.jpg,add,dog\n"
    first, second = _read(tmp_path, text).fixes
    entry = first.file_of_added()
    assert Path(entry.path) == tmp_path / "new" / "1.jpg"
    assert (entry.name, entry.size) == ("new/1.jpg", 1)
    with pytest.raises(DataError, match=r"line 3: `path` must name the image to add"):
        second.file_of_added()
