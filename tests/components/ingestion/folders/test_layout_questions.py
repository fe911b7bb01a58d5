"""Folders that may be no classes are asked about, with the configs that read them."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from graft.components.ingestion.folders.layout_detection import detect_layout
from graft.components.ingestion.names.folder_counts import count_folders
from graft.components.ingestion.sources.layout_answers import (
    FolderLayout,
    Question,
    text_of,
)
from graft.components.ingestion.tables.label_tables import Table

Rows = Iterable[tuple[str, ...]]


def _images(*folders: str, number: int = 4) -> list[str]:
    return [f"{folder}/{i}.jpg" for folder in folders for i in range(number)]


def _named(*folders: str, number: int = 4) -> list[str]:
    """Return images whose names differ between the folders."""
    return [f"{f}/{k}{i}.jpg" for k, f in enumerate(folders) for i in range(number)]


def _question(names: Iterable[str], *tables: Table) -> Question:
    answer = detect_layout(count_folders(names), tables)
    assert isinstance(answer, Question), answer
    return answer


@pytest.mark.parametrize(
    ("names", "is_asked"),
    [
        (["images_001/0.jpg", "images_002/1.jpg", "labels.csv"], True),
        (["HAM_part_1/0.jpg", "HAM_part_2/1.jpg", "metadata.csv"], True),
        (["batch_a/0.jpg", "batch_b/1.jpg", "list.jsonl"], True),
        (["left1/0.jpg", "left2/1.jpg", "labels.tsv"], True),
        (["images_001/0.jpg", "images_002/1.jpg"], True),
        (["part1/0.jpg", "part2/1.jpg"], True),
        (["HAM10000_images_part_1/0.jpg", "HAM10000_images_part_2/1.jpg"], True),
        (["batch_001/0.jpg", "batch_002/1.jpg"], True),
        (["type1/0.jpg", "type2/1.jpg"], False),
        (["parting_1/0.jpg", "parting_2/1.jpg"], False),
        (["cat/0.jpg", "dog/1.jpg", "labels.csv"], False),
        (["0/0.jpg", "1/1.jpg", "labels.csv"], False),
        (["cat1/0.jpg", "dog1/1.jpg", "labels.csv"], False),
        (["part1/0.jpg", "other/1.jpg", "labels.csv"], False),
    ],
)
def test_parts_of_a_data_set_are_asked_about(names: list[str], is_asked: bool) -> None:
    answer = detect_layout(count_folders(names))
    assert isinstance(answer, Question) is is_asked
    if isinstance(answer, Question):
        assert "may be parts of one data set" in text_of(answer, "photos")


@pytest.mark.parametrize(
    ("tops", "what"),
    [
        (["100CANON", "101CANON"], "by what their images were taken"),
        (["2024-05-01", "2024-05-02"], "by what their images were taken"),
        (["20240501_1200", "cam2"], "by what their images were taken"),
        (list("0123456789abcdef"), "the start of a hash"),
        (list("0123456789ABCD"), "the start of a hash"),
        ([f"{i:02x}" for i in range(256)], "the start of a hash"),
    ],
    ids=["cameras", "dates", "both", "0 to f", "most", "00 to ff"],
)
@pytest.mark.parametrize("below", ["", "/x/y"])
def test_folders_called_after_no_class_are_asked_about(
    tops: list[str], what: str, below: str
) -> None:
    question = _question(_images(*(f"{top}{below}" for top in tops)))
    assert what in question.finding
    assert [option.settings for option in question.options] == [{"format": "folders"}]


def test_a_class_in_their_file_names_is_offered() -> None:
    names = [f"2024-05-0{d}/{c}_{i}.jpg" for d in "12" for c in "ab" for i in range(3)]
    patterns = [o.settings.get("class_pattern") for o in _question(names).options]
    assert patterns[0] == r"(?P<class>.+)_\d+"


@pytest.mark.parametrize(
    "tops",
    [
        list("0123456789"),
        list("abcdef"),
        [f"{i:02x}" for i in [*range(0x30, 0x3A), *range(0x41, 0x5B)]],
        list("0123456789abcdefgh"),
        ["cat", "dog"],
    ],
    ids=["digits", "letters", "codes of letters", "more letters", "words"],
)
def test_short_names_of_classes_are_no_doubt(tops: list[str]) -> None:
    answer = detect_layout(count_folders(_images(*tops)))
    assert answer == FolderLayout("folders")


def test_a_date_beside_classes_has_a_warning() -> None:
    answer = detect_layout(count_folders(_images("cat", "dog", "2024-05-01")))
    assert isinstance(answer, FolderLayout)
    (warning,) = answer.warnings
    assert warning.startswith("The folder '2024-05-01' is called after a date")


def test_a_table_that_names_all_parts_shows_that_they_are_no_classes() -> None:
    names = [*_named("images_1", "images_2"), "labels.csv"]
    stems = Table("labels.csv", ("id", "dx"), (("00", "a"), ("10", "b"), ("01", "a")))
    question = _question(names, stems)
    assert question.options == ()
    assert "move them into one folder" in question.finding
    # The images of one part alone are never read.
    twice = Table("labels.csv", ("id", "dx"), (("0", "a"), ("1", "b"), ("2", "a")))
    assert _question([*_images("images_1", "images_2"), "labels.csv"], twice)
    paths = tuple((name, "ab"[i % 2]) for i, name in enumerate(names[:-1]))
    whole = Table("labels.csv", ("path", "dx"), paths)
    (option,) = [
        option
        for option in _question(names, whole).options
        if "path" in option.settings
    ]
    assert option.settings == {"path": "labels.csv", "label_column": "dx"}
    assert option.meaning.startswith("8 images that labels.csv names")


@pytest.mark.parametrize(
    "box", ["images", "Photos", "data", "unlabeled", "augmented", "results", "temp"]
)
def test_a_folder_that_says_no_class_is_asked_about(box: str) -> None:
    question = _question(_images(box, "cat", "dog"))
    assert f"The folder {box!r} has a name that says no class" in question.finding
    without, as_classes = question.options
    assert without.meaning == "2 classes: 'cat' (4), 'dog' (4); left aside: 4"
    pattern = re.compile(str(without.settings["class_pattern"]))
    assert pattern.fullmatch(f"{box}/1.jpg") is None
    assert pattern.fullmatch("cat/a/1.jpg")["class"] == "cat"  # type: ignore[index]
    assert as_classes.settings == {"format": "folders"}


@pytest.mark.parametrize(
    "name", ["imagery", "output_shaft", "photo_frame", "result_1x"]
)
def test_a_word_of_it_is_no_evidence(name: str) -> None:
    answer = detect_layout(count_folders(_images(name, "cat", "dog")))
    assert answer == FolderLayout("folders")


LABELS = ("cat", "dog")


def _table(names: list[str], labels: Iterable[str], column: str = "label") -> Table:
    return Table("t.csv", ("path", column), tuple(zip(names, labels, strict=True)))


@pytest.mark.parametrize(
    "tops", [("left", "right"), ("rgb", "depth"), ("2020", "2021"), ("a", "b", "c")]
)
@pytest.mark.parametrize("column", ["label", "dx", "level"])
def test_a_table_with_other_labels_than_the_folders_is_asked_about(
    tops: tuple[str, ...], column: str
) -> None:
    names = _named(*tops)
    table = _table(names, [LABELS[i % 2] for i in range(len(names))], column)
    question = _question([*names, "t.csv"], table)
    by_table, by_folder = question.options
    expected = {"path": "t.csv"} | (
        {} if column == "label" else {"label_column": column}
    )
    assert by_table.settings == expected
    assert by_folder.settings == {"format": "folders"}
    assert f"by the column {column!r}" in question.finding


def test_a_table_beside_splits_is_asked_about() -> None:
    names = _named(*(f"{s}/{c}" for s in ("train", "test") for c in LABELS))
    table = _table(names, ["xy"[i % 2] for i in range(len(names))])
    *_, by_folder = _question([*names, "t.csv"], table).options
    assert by_folder.settings == {"split_folders": {"train": "train", "test": "test"}}


def _is_read(names: list[str], table: Table) -> bool:
    return isinstance(
        detect_layout(count_folders([*names, "t.csv"]), [table]), FolderLayout
    )


NAMES = _named("cat", "dog")


@pytest.mark.parametrize(
    "table",
    [
        _table(NAMES, ["Cat"] * 4 + ["DOG"] * 4),
        _table(NAMES, ["0"] * 4 + ["1"] * 4),
        _table(NAMES, ["x"] * 8),
        _table(NAMES, [str(i) for i in range(8)]),
        _table(NAMES, ["train", "test"] * 4, "split"),
        _table(NAMES, ["640", "480"] * 4, "width"),
        Table("t.csv", ("class", "index"), (("cat", "0"), ("dog", "1"))),
        Table(
            "t.csv",
            ("path", "age", "camera", "label"),
            tuple((n, "5", "ab"[i % 2], n[:3]) for i, n in enumerate(NAMES)),
        ),
        Table("t.csv", ("path", "w", "h"), tuple((n, "640", "48") for n in NAMES)),
        Table(
            "t.csv",
            ("path", "cat", "dog"),
            tuple((n, str(int(n < "d")), str(int(n > "d"))) for n in NAMES),
        ),
    ],
    ids=[
        "names", "indices", "constant", "distinct", "split", "width", "classes",
        "further", "sizes", "one-hot",
    ],
)  # fmt: skip
def test_a_table_that_agrees_or_holds_no_labels_is_no_doubt(table: Table) -> None:
    assert _is_read(NAMES, table)


@pytest.mark.parametrize("rows", [1, 2, 8, 24])
@pytest.mark.parametrize("label", ["dog", "Dog", "DOG "])
def test_a_row_that_contradicts_a_folder_is_asked_about(rows: int, label: str) -> None:
    names = _named("cat", "dog", number=12)
    table = _table(names, [label, *(name[:3] for name in names[1:])])
    question = _question([*names, "t.csv"], table._replace(rows=table.rows[:rows]))
    finding = question.finding.replace(label.strip(), "dog")
    assert "'t.csv' gives 1 image a label" in finding
    assert f"{names[0]!r} lies in 'cat', and its label is 'dog'" in finding
    assert question.options[0].settings == {"format": "folders"}


@pytest.mark.parametrize(
    ("tops", "rows"),
    [
        # The labels count the folders, from another start.
        (("0", "1"), [("0/00.jpg", "1"), ("1/10.jpg", "2")]),
        # A split is no class, and neither is a column of another kind.
        (
            ("train/cat", "val/cat", "train/dog", "val/dog"),
            [("train/cat/00.jpg", "val")],
        ),
        (("cat", "dog"), [("cat/00.jpg", "unsure")]),
        (("cat", "dog"), [("cat/00.jpg", "")]),
        (("0", "1"), [("1/10.jpg", "-")]),
    ],
)
def test_rows_that_name_no_other_class_are_no_correction(
    tops: tuple[str, ...], rows: list[tuple[str, str]]
) -> None:
    assert _is_read(_named(*tops), Table("t.csv", ("path", "label"), tuple(rows)))


def test_a_number_of_a_fold_is_no_label_of_a_class() -> None:
    rows = (("1/10.jpg", "0"), ("0/00.jpg", "0"))
    assert _is_read(_named("0", "1"), Table("t.csv", ("path", "fold"), rows))
    question = _question(
        [*_named("0", "1"), "t.csv"], Table("t.csv", ("path", "digit"), rows)
    )
    assert "'1/10.jpg' lies in '1', and its label is '0'" in question.finding


def test_a_table_whose_names_several_folders_hold_is_asked_about() -> None:
    rows = tuple((f"{i}.jpg", "xy"[i % 2]) for i in range(4))
    table = Table("labels.csv", ("path", "label"), rows)
    question = _question([*_images("rgb", "depth"), table.name], table)
    assert "the folders 'depth', 'rgb' hold images of the names" in question.finding
    assert [option.settings for option in question.options] == [
        {"path": "labels.csv", "image_folder": "depth"},
        {"path": "labels.csv", "image_folder": "rgb"},
        {"format": "folders"},
    ]


def test_a_table_of_a_split_is_paired_with_its_images() -> None:
    rows = tuple((str(i), str(i % 2)) for i in range(4))
    train = Table("train.csv", ("id_code", "diagnosis"), rows)
    sample = Table("sampleSubmission.csv", ("id_code", "diagnosis"), rows)
    names = [*_images("test_images", "train_images"), train.name, sample.name]
    (option,) = [
        each
        for each in _question(names, sample, train).options
        if "path" in each.settings
    ]
    assert option.settings == {
        "path": "train.csv",
        "path_column": "id_code",
        "label_column": "diagnosis",
        "image_folder": "train_images",
    }


def test_ambiguous_one_hot_columns_are_asked_about() -> None:
    rows = tuple((str(i), str(i % 2), str(1 - i % 2)) for i in range(4))
    table = Table("t.csv", ("id", "rust", "scab"), rows)
    question = _question(_images("rgb", "depth"), table)
    assert "by the columns 'rust', 'scab'" in question.finding
    assert [option.settings for option in question.options] == [{"format": "folders"}]


@pytest.mark.parametrize(
    "rows",
    [
        [("0", "cat"), ("1", "cat"), ("0", "dog"), ("1", "dog")],
        [("0", "7"), ("1", "8"), ("2", "9")],
        [("0", "x"), ("1", "x"), ("2", "x")],
        [("0", "x"), ("7", "y"), ("8", "x"), ("9", "y")],
    ],
    ids=["names of folders", "distinct", "constant", "few"],
)
def test_ambiguous_names_without_other_labels_are_no_doubt(
    rows: list[tuple[str, ...]],
) -> None:
    table = Table("t.csv", ("id", "label"), tuple(rows))
    assert _is_read(_images("cat", "dog"), table)


def test_numbers_of_classes_may_have_leading_zeros() -> None:
    names = _named("00000", "00007")
    assert _is_read(names, _table(names, ["0"] * 3 + ["7"] * 4 + ["7"])) is False
    assert _is_read(names, _table(names, ["0"] * 4 + ["7"] * 4))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 1), min_size=8, max_size=8),
    st.sampled_from([("cat", "dog"), ("left", "right"), ("0", "1")]),
)
def test_folders_are_read_only_if_the_table_groups_alike(
    labels: list[int], tops: tuple[str, str]
) -> None:
    assume(0 < sum(labels) < len(labels))
    names = _named(*tops)
    groups = {
        (label, name.split("/")[0]) for label, name in zip(labels, names, strict=True)
    }
    table = _table(names, ["uv"[label] for label in labels])
    assert _is_read(names, table) is (len(groups) == 2)


@pytest.mark.parametrize(
    ("tops", "splits", "options"),
    [
        (("fold_0", "fold_1"), ("train", "val"), ["path", "class_pattern"]),
        (("batch 1", "batch 2"), ("train", "val", "test"), ["path", "class_pattern"]),
        (("siteA", "siteB"), ("train", "test"),
         ["path", "class_pattern", "class_pattern", "format"]),
    ],
)  # fmt: skip
def test_splits_within_parts_can_be_read(
    tops: tuple[str, ...], splits: tuple[str, ...], options: list[str]
) -> None:
    names = _images(*(f"{t}/{s}/{c}" for t in tops for s in splits for c in LABELS))
    question = _question(names)
    assert [next(iter(option.settings)) for option in question.options] == options
    one, together, *_ = question.options
    assert one.settings["path"] == tops[0]
    assert len(one.settings["split_folders"]) == len(splits)
    assert f"left aside: {len(names) // 2}" in one.meaning
    matches = [
        re.fullmatch(str(together.settings["class_pattern"]), name) for name in names
    ]
    assert {(m["split"], m["class"]) for m in matches if m} == {
        (split, label) for split in splits for label in LABELS
    }
    assert all(matches)


def test_folds_that_hold_no_classes_are_told_what_to_do() -> None:
    question = _question(
        _images("fold1/train", "fold1/val", "fold2/train", "fold2/val")
    )
    assert question.options == ()
    assert "Move each image into a folder named after its class" in question.finding


def test_folds_of_classes_or_in_splits_are_never_classes() -> None:
    for names in (
        _images(*(f"fold{i}/{c}" for i in range(3) for c in LABELS)),
        _images(*(f"{s}/fold{i}/{c}" for s in ("train", "test") for i in range(3)
                  for c in LABELS)),
    ):  # fmt: skip
        (option,) = _question(names).options
        assert "the lowest folder is the class: 2 classes: 'cat'" in option.meaning


@pytest.mark.parametrize(
    ("columns", "rows", "is_told"),
    [
        (("cat/0.jpg", "dog"), (), True),
        (("cat/0.jpg", "dog"), (("dog/1.jpg", "cat"),), True),
        (("path", "label"), (("cat/0.jpg", "dog"), ("dog/1.jpg", "cat")), False),
    ],
)
def test_a_correction_needs_no_header(
    columns: tuple[str, str], rows: Rows, is_told: bool
) -> None:
    question = _question(_images(*LABELS), Table("fix.csv", columns, tuple(rows)))
    assert "'cat/0.jpg' lies in 'cat', and its label is 'dog'" in question.finding
    assert ("insert a header above it" in question.finding) is is_told
    has_table = any("path" in option.settings for option in question.options)
    assert has_table is not is_told


def test_numbers_of_the_folders_correct_nothing() -> None:
    names = _images("0", "1")
    rows = tuple((name, str(1 - int(name[0]))) for name in names)
    answer = detect_layout(
        count_folders(names), [Table("t.csv", ("path", "label"), rows)]
    )
    assert isinstance(answer, FolderLayout)


def test_a_table_without_a_header_gives_no_option() -> None:
    rows = tuple((f"{i}.jpg", "cat") for i in range(1, 4))
    question = _question(_images("train"), Table("t.csv", ("0.jpg", "dog"), rows))
    assert question.options == ()
    assert "The first line of 't.csv' names an image" in question.finding


def test_names_without_their_folders_are_told_what_to_do() -> None:
    names = _named("left", "right")
    stems = [name.split("/")[1] for name in names]
    rows = tuple((stem, "ab"[i % 2]) for i, stem in enumerate(stems))
    question = _question([*names, "t.csv"], Table("t.csv", ("id", "label"), rows))
    assert "move the images into one folder" in question.finding
    (by_folder,) = question.options
    assert by_folder.settings == {"format": "folders"}
    whole = _table(names, [LABELS[i % 2] for i in range(len(names))])
    assert "move the images" not in _question([*names, "t.csv"], whole).finding


def test_one_hot_columns_may_group_otherwise_than_the_folders() -> None:
    names = _named("left", "right")
    rows = tuple((n, str(i % 2), str(1 - i % 2)) for i, n in enumerate(names))
    question = _question(names, Table("t.csv", ("path", "rust", "scab"), rows))
    assert (
        "groups them by the columns 'rust', 'scab' in another way" in question.finding
    )
    assert "add a column label with the name of the column" in question.finding


def _found(names: list[str]) -> FolderLayout | Question:
    return detect_layout(count_folders([f"{n}/{i}.jpg" for n in names for i in (1, 2)]))


def test_of_two_other_folders_neither_is_taken_for_train() -> None:
    tops = ("pets", "wild", "pets_val", "pets_test")
    answer = _found([f"{top}/{name}" for top in tops for name in ("cat", "dog")])
    assert isinstance(answer, Question)
    assert not any("split_folders" in option.settings for option in answer.options)


def test_a_split_without_a_class_of_train_is_no_option() -> None:
    answer = _found(["train/cat", "train/dog", "test/x", "test/y"])
    assert isinstance(answer, Question)
    assert {"split_folders": {"train": "train"}} in [o.settings for o in answer.options]
    assert not any("test" in str(option.settings) for option in answer.options)


def test_a_few_common_folders_are_not_the_same_folders() -> None:
    answer = _found([*(f"a/{name}" for name in "xyuvw"), "b/x", "b/y"])
    assert isinstance(answer, Question)
    assert "of the same names" not in answer.finding


def test_folders_beside_images_of_a_deeper_folder_are_no_classes() -> None:
    answer = _found(["cat/a", "cat/a/u", "cat/a/v", "dog/a"])
    assert isinstance(answer, FolderLayout)


@pytest.mark.parametrize(
    ("splits", "inner", "is_asked"),
    [
        ([""], "2024-05-01 2024-05-02", False),
        (["train/", "test/"], "2024-05-01 2024-05-02", False),
        ([""], "session1 session2", False),
        ([""], "early late", True),
        ([""], "2023 2024", True),
    ],
)
def test_dates_in_each_class_are_folders_of_the_class(
    splits: list[str], inner: str, is_asked: bool
) -> None:
    folders = [
        f"{split}{top}/{each}"
        for split in splits
        for top in ("OK", "NG")
        for each in inner.split()
    ]
    assert isinstance(_found(folders), Question) == is_asked
