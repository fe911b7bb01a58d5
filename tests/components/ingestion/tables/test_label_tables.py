"""Tables are matched with the images that they name."""

from __future__ import annotations

import pytest

from graft.components.ingestion.names.folder_counts import count_folders
from graft.components.ingestion.tables.label_tables import (
    LocatedTable,
    Table,
    label_tables,
)


def _located(names: list[str], table: Table) -> LocatedTable:
    (located,) = label_tables(count_folders(names), [table])
    return located


@pytest.mark.parametrize(
    ("names", "table", "cells", "column", "start"),
    [
        (["a/1.jpg", "b/2.jpg"], "t.csv", ["a/1.jpg", "b/2.jpg"], "file", ""),
        (["x/a/1.jpg", "x/b/2.jpg"], "t.csv", ["a/1.jpg", "b/2.jpg"], "file", "x"),
        (["x/1.jpg", "x/2.jpg"], "t.csv", ["1", "2"], "file", "x"),
        (["x/1.jpg", "x/2.jpg"], "x/t.csv", ["1.jpg", "2.jpg"], "file", "x"),
        (["x/1.jpg", "y/1.jpg"], "y/t.csv", ["1.jpg"], "file", "y"),
        (["train/1.jpg", "test/1.jpg"], "train.csv", ["1"], "file", "train"),
        (["test/1.jpg", "train/1.jpg"], "train.csv", ["1"], "file", "train"),
        (["test_images/1.jpg", "train_images/1.jpg"], "train.csv", ["1"], "file",
         "train_images"),
        (["train_images/1.jpg", "test_images/1.jpg"], "test_labels.csv", ["1"], "file",
         "test_images"),
        (["test_images/1.jpg", "train_images/1.jpg"], "labels.csv", ["1"], "file",
         "train_images"),
        (["train/1.jpg", "test/1.jpg", "test/2.jpg"], "train.csv", ["1", "2"], "file",
         "test"),
        (["x/1.jpg", "y/1.jpg", "y/2.jpg"], "t.csv", ["1", "2"], "file", "y"),
        (["a/1.jpg"], "t.csv", [r"a\1.jpg"], "file", ""),
        (["a/1.jpg"], "t.csv", ["./a/1.jpg"], "file", ""),
    ],
)  # fmt: skip
def test_where_the_names_of_a_table_start(
    names: list[str], table: str, cells: list[str], column: str, start: str
) -> None:
    rows = tuple((cell, "cat") for cell in cells)
    located = _located(names, Table(table, ("file", "label"), rows))
    assert (located.image_column, located.start) == (column, start)


def test_file_names_count_more_than_numbers() -> None:
    rows = tuple((str(i), f"{i + 1}.jpg", "cat") for i in range(3))
    names = [f"{i}.jpg" for i in range(9)]
    located = _located(names, Table("t.csv", ("", "path", "label"), rows))
    assert located.image_column == "path"
    located = _located(names, Table("t.csv", ("row", "path", "label"), rows))
    assert located.image_column == "path"


def test_tables_that_name_no_image_are_left_out() -> None:
    root = count_folders(["a/1.jpg", "ab/2.jpg"])
    for cells in (("3", "cat"), ("b/2.jpg", "cat"), ("", "cat")):
        assert label_tables(root, [Table("t.csv", ("id", "label"), (cells,))]) == []
    # A table in a folder names no images outside of it.
    assert label_tables(root, [Table("a/t.csv", ("id",), (("2",),))]) == []


@pytest.mark.parametrize(
    ("name", "is_label_table"),
    [
        ("sample_submission.csv", False),
        ("sampleSubmission.csv", False),
        ("x/SampleSubmission.csv", False),
        ("sample_submission_stage1.csv", False),
        ("submission.csv", False),
        ("sample.csv", True),
        ("submissionary.csv", True),
        ("labels.csv", True),
    ],
)
def test_an_example_of_answers_is_no_label_table(
    name: str, is_label_table: bool
) -> None:
    table = Table(name, ("id", "label"), (("1", "0"), ("2", "0")))
    root = count_folders(["x/test/1.jpg", "x/test/2.jpg"])
    assert bool(label_tables(root, [table])) is is_label_table


def test_whether_one_folder_holds_all_images() -> None:
    names = ["x/1.jpg", "y/2.jpg"]
    table = Table("t.csv", ("id", "label"), (("1", "a"), ("2", "b"), ("3", "c")))
    assert not _located(names, table).reads_all
    assert _located(["x/1.jpg", "x/2.jpg"], table).reads_all
    assert _located(names, table).folders == ["x", "y", None]


@pytest.mark.parametrize(
    ("columns", "plain"),
    [
        (("id", "dx"), "dx"),
        (("id", "zzz"), "zzz"),
        (("id", "age", "Diagnosis"), "Diagnosis"),
        (("id", "a", "b"), None),
        (("", "id", "b"), "b"),
    ],
)
def test_which_column_plainly_holds_the_labels(
    columns: tuple[str, ...], plain: str | None
) -> None:
    cells = tuple("1" if name == "id" else "x" for name in columns)
    assert (
        _located(["x/1.jpg"], Table("t.csv", columns, (cells,))).label_column() == plain
    )


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("label", "ab", True),
        ("label", "aaaa", False),
        ("level", "ab", True),
        ("size", "ab", False),
        ("label_id", "ab", False),
        ("bbox_1", "ab", False),
        ("score", ("0.5", "0.7"), False),
        ("class", ("0", "1"), True),
        ("note", "abcdefgh", False),
    ],
)
def test_which_further_column_may_hold_labels(
    column: str, values: tuple[str, ...], expected: bool
) -> None:
    """The table has two further columns, so that none is plainly the label."""
    names = [f"{folder}/{i}.jpg" for folder in ("left", "right") for i in range(4)]
    names = [name.replace("right/", "right/x") for name in names]
    rows = tuple(
        (name, values[i % len(values)], str(i)) for i, name in enumerate(names)
    )
    located = _located(names, Table("t.csv", ("path", column, "index"), rows))
    assert located.other_labels() == ([column] if expected else [])


def test_few_known_images_are_no_evidence() -> None:
    rows = tuple((f"x/{i}.jpg", "ab"[i % 2]) for i in range(8))
    table = Table("t.csv", ("path", "label"), rows)
    half = [f"x/{i}.jpg" for i in range(4)] + ["y/z.jpg"]
    assert _located(half, table).other_labels() == ["label"]
    assert _located(half[1:], table).other_labels() == []
