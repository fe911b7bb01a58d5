"""Boxes, masks and one-hot vectors are named; folders of them are no classes."""

from __future__ import annotations

import pytest

from graft.components.ingestion.folders.layout_detection import detect_layout
from graft.components.ingestion.names.folder_counts import count_folders
from graft.components.ingestion.sources.layout_answers import Question
from graft.components.ingestion.tables.label_tables import Table


def _images(*folders: str) -> list[str]:
    return [f"{folder}/{i}.jpg" for folder in folders for i in range(3)]


def _question(names: list[str], *tables: Table) -> Question:
    answer = detect_layout(count_folders(names), tables)
    assert isinstance(answer, Question), answer
    return answer


BOXES = Table(
    "train/_annotations.csv",
    ("filename", "class", "xmin", "ymin"),
    (
        ("0.jpg", "cat", "1", "1"),
        ("0.jpg", "cat", "5", "5"),
        ("1.jpg", "dog", "1", "1"),
    ),
)
EXPORTS = {
    "YOLO": ([*_images("images/train", "images/val"), "labels/train/0.txt"], "YOLO"),
    "YOLO of Roboflow": (
        [*_images("train/images", "valid/images"), "train/labels/0.txt", "data.yaml"],
        "YOLO",
    ),
    "Darknet": (
        [*_images("train", "valid"), "train/0.txt", "train/_darknet.labels"],
        "YOLO",
    ),
    "COCO": (
        [*_images("train2017", "val2017"), "annotations/instances_train2017.json"],
        "COCO",
    ),
    "COCO of Roboflow": (
        [*_images("train", "valid"), "train/_annotations.coco.json"],
        "COCO",
    ),
    "COCO in images": ([*_images("images"), "annotations/train.json"], "COCO"),
    "VOC": ([*_images("JPEGImages"), "Annotations/0.xml"], "Pascal VOC"),
    "VOC of Roboflow": ([*_images("train", "valid"), "train/0.xml"], "Pascal VOC"),
    "masks": (_images("images", "masks"), "masks"),
    "masks in splits": (_images("train/images", "train/masks"), "masks"),
}


@pytest.mark.parametrize(("names", "kind"), EXPORTS.values(), ids=EXPORTS)
def test_exports_for_detection_are_named_and_never_read(
    names: list[str], kind: str
) -> None:
    question = _question(names)
    assert kind in question.finding
    assert "which graft does not read" in question.finding
    assert "cut the objects out, into one folder per class" in question.finding
    assert question.options == ()


def test_a_line_per_box_is_no_line_per_image() -> None:
    question = _question([*_images("train", "valid"), BOXES.name], BOXES)
    assert f"{BOXES.name!r} has a line for each box" in question.finding
    assert question.options == ()
    # With one box an image, the class of the box is that of the image.
    single = BOXES._replace(rows=BOXES.rows[1:])
    (option,) = _question([*_images("train"), BOXES.name], single).options
    assert option.settings["label_column"] == "class"


@pytest.mark.parametrize(
    "names",
    [
        [*_images("cat/1", "cat/2"), "cat/1/0.txt", "README.md"],
        [*_images("images"), "images/0.txt"],
        [*_images("images"), "labels/notes.txt"],
        [*_images("images"), "images/x.xml"],
        [*_images("images"), "images/info.json"],
    ],
    ids=["captions", "captions in a box", "other text", "other XML", "other JSON"],
)
def test_other_files_beside_images_are_no_boxes(names: list[str]) -> None:
    assert "does not read" not in _question(names).finding


def test_class_folders_are_offered_beside_boxes() -> None:
    names = [*_images("images/cat", "images/dog"), "annotations/0.xml"]
    question = _question(names)
    (option,) = question.options
    assert option.settings == {"path": "images"}
    assert "cut the objects out" not in question.finding


@pytest.mark.parametrize("one", ["1", "1.0"])
def test_one_hot_columns_are_named_and_not_offered_one_by_one(one: str) -> None:
    zero = "0.0" if "." in one else "0"
    rows = (("0", one, zero, "u"), ("1", zero, one, "v"), ("2", one, zero, "w"))
    table = Table("train.csv", ("id", "rust", "scab", "note"), rows)
    question = _question([*_images("images"), "train.csv"], table)
    assert "The columns 'rust', 'scab' of 'train.csv' are one class each" in (
        question.finding
    )
    assert question.options == ()


def test_flags_of_which_an_image_has_several_are_offered() -> None:
    rows = (("0", "1", "1"), ("1", "0", "1"), ("2", "0", "0"))
    table = Table("train.csv", ("id", "rust", "scab"), rows)
    question = _question([*_images("images"), "train.csv"], table)
    assert "one-hot" not in question.finding
    (option,) = question.options
    assert option.meaning.endswith("'rust' (or another one of 'rust', 'scab')")


def test_one_column_of_ones_is_not_one_hot() -> None:
    table = Table("train.csv", ("id", "n", "m"), (("0", "1", "a"), ("1", "1", "b")))
    question = _question([*_images("images"), "train.csv"], table)
    assert "one-hot" not in question.finding
    assert question.options


def test_a_line_that_stands_twice_is_no_box() -> None:
    table = Table("t.csv", ("id", "label"), (("0", "a"), ("0", "a"), ("1", "b")))
    (option,) = _question([*_images("images"), "t.csv"], table).options
    assert option.settings["path"] == "t.csv"


@pytest.mark.parametrize(
    "name", ["result.json", "list_attr.txt", "train.txt", "labels.xlsx", "a.parquet"]
)
@pytest.mark.parametrize("folder", ["images", "img_align_celeba", "train"])
def test_a_file_that_may_hold_the_labels_is_named(name: str, folder: str) -> None:
    images = [f"{folder}/{number}.jpg" for number in range(4)]
    question = detect_layout(count_folders([*images, name, "README.txt"]))
    assert isinstance(question, Question)
    assert f"{name!r} lies beside the images: if it holds one label" in question.finding
    assert "README" not in question.finding


def test_a_column_of_one_value_is_not_the_label() -> None:
    rows = tuple((f"{i}", "nevus", str(i % 2)) for i in range(6))
    table = Table("train.csv", ("image_name", "diagnosis", "target"), rows)
    names = [*(f"train/{i}.jpg" for i in range(6)), "test/7.jpg", "train.csv"]
    question = detect_layout(count_folders(names), [table])
    assert isinstance(question, Question)
    assert question.options[0].settings["label_column"] == "target"
