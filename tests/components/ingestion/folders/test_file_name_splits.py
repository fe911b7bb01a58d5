"""Splits in the names of files in class folders are asked about, and can be kept."""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.components.ingestion.folders.layout_detection import detect_layout
from graft.components.ingestion.listing import list_images
from graft.components.ingestion.names.folder_counts import count_folders
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.layout_answers import FolderLayout, Question

CLASSES = ("angry", "happy")


def _tree(*files: str, classes: tuple[str, ...] = CLASSES) -> list[str]:
    return [f"{c}/{f.format(n)}" for c, f, n in product(classes, files, range(4))]


@pytest.mark.parametrize(
    "files",
    [
        # FER-2013
        ("Training_{}.jpg", "PublicTest_{}.jpg", "PrivateTest_{}.jpg"),
        ("train_{}.jpg", "val_{}.jpg", "test_{}.jpg"),
        ("train{}.jpg", "test{}.jpg"),
        ("x_{}_train.jpg", "y_{}_test.jpg"),
        ("x{}-train (1).jpg", "x{}-val (1).jpg"),
        ("day/train.{}.png", "test.{}.png"),
        ("TRAIN-IMG_{}.JPG", "VALID-IMG_{}.JPG"),
    ],
)
def test_the_option_reads_class_and_split(tmp_path: Path, files: tuple[str]) -> None:
    names = _tree(*files)
    question = detect_layout(count_folders(names))
    assert isinstance(question, Question)
    assert "names of the files in the class folders say splits: 8 train" in (
        question.finding
    )
    pattern, whole = (option.settings for option in question.options)
    assert whole == {"format": "folders"}
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    refs = list_images(DataConfig(path=str(tmp_path), **pattern), "unused").refs
    assert Counter(ref.class_name for ref in refs) == dict.fromkeys(
        CLASSES, len(names) / 2
    )
    assert all(("train" in ref.splits) == ("train" in ref.name.lower()) for ref in refs)


@pytest.mark.parametrize(
    "files", [("tr_{}.jpg", "te_{}.jpg"), ("{}-Tr.jpg", "{}-Va.jpg")]
)
def test_abbreviations_of_splits_are_read(tmp_path: Path, files: tuple[str]) -> None:
    names = _tree(*files)
    question = detect_layout(count_folders(names))
    assert isinstance(question, Question)
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    pattern = question.options[0].settings
    refs = list_images(DataConfig(path=str(tmp_path), **pattern), "unused").refs
    assert Counter("train" in ref.splits for ref in refs) == {True: 8, False: 8}
    assert all(("train" in r.splits) == ("tr" in r.name.lower()) for r in refs)


def test_codes_of_languages_are_no_splits() -> None:
    for files in (("tr_{}.jpg", "te_{}.jpg", "ta_{}.jpg"), ("te_{}.jpg", "ta_{}.jpg")):
        answer = detect_layout(count_folders(_tree(*files)))
        assert isinstance(answer, FolderLayout)
    tops = detect_layout(count_folders(_tree("{}.jpg", classes=("tr", "te"))))
    assert isinstance(tops, FolderLayout)


def test_splits_of_most_files_are_told() -> None:
    names = [*_tree("train_{}.jpg", "test_{}.jpg"), "happy/new.jpg"]
    layout = detect_layout(count_folders(names))
    assert isinstance(layout, FolderLayout)
    (warning,) = layout.warnings
    assert warning.startswith("16 files of 17 say a split in their name (8 train, 8 te")


@pytest.mark.parametrize(
    ("files", "classes"),
    [
        (("train_{}.jpg",), CLASSES),
        (("test_{}.jpg", "val_{}.jpg"), CLASSES),
        (("trainer_{}.jpg", "contest_{}.jpg"), CLASSES),
        (("train_{}.jpg",), ("train", "plane")),
        (("{}.jpg",), ("train", "test rig")),
    ],
)
def test_other_names_are_read(files: tuple[str], classes: tuple[str]) -> None:
    layout = detect_layout(count_folders(_tree(*files, classes=classes)))
    assert isinstance(layout, FolderLayout)
    assert not any("in their name" in each for each in layout.warnings)


def test_words_of_the_classes_are_no_splits() -> None:
    names = [f"{c} rig/{c}_rig_{n}.jpg" for c in ("train", "test") for n in range(4)]
    answer = detect_layout(count_folders(names))
    assert "names of the files" not in str(answer)


@given(
    st.lists(st.sampled_from("img photo cat IMG DSC left right a".split()), min_size=1)
)
def test_ordinary_names_say_no_split(words: list[str]) -> None:
    names = [f"{c}/{w}_{n}.jpg" for c in CLASSES for n, w in enumerate(words)]
    answer = detect_layout(count_folders(names))
    assert "split" not in str(getattr(answer, "finding", answer.warnings))


@pytest.mark.parametrize("files", [("{}.jpg", "x{}.jpg", "test_{}.jpg")])
def test_one_split_beside_other_names_is_told(files: tuple[str]) -> None:
    layout = detect_layout(count_folders(_tree(*files)))
    assert isinstance(layout, FolderLayout)
    (warning,) = layout.warnings
    assert warning.startswith("8 files of 24 images say the split test in their name")


@pytest.mark.parametrize(
    "names",
    [
        _tree("test_{}.jpg"),
        _tree("{}.jpg", "test_strip_{}.jpg"),
        [*_tree("{}.jpg"), "angry/test_1.jpg", "happy/test_1.jpg"],
        [*_tree("{}.jpg"), *(f"angry/test_{n}.jpg" for n in range(3))],
    ],
    ids=["all", "other words", "one each", "one class"],
)
def test_a_few_names_of_one_split_are_read_without_a_word(names: list[str]) -> None:
    layout = detect_layout(count_folders(names))
    assert isinstance(layout, FolderLayout)
    assert not layout.warnings


def test_splits_in_names_are_told_where_the_format_is_given(tmp_path: Path) -> None:
    for name in _tree("train_{}.jpg", "test_{}.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    config = DataConfig(path=str(tmp_path), format="folders")
    warnings = list_images(config, "unused").warnings
    assert any("The names of the files in the class folders" in w for w in warnings)
