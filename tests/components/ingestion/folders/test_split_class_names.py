"""Folder names that hold a split and a class are asked about, never read as classes."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.components.ingestion.folders.layout_detection import detect_layout
from graft.components.ingestion.names.folder_counts import count_folders
from graft.components.ingestion.names.folder_names import role_of
from graft.components.ingestion.sources.layout_answers import FolderLayout, Question


def _detect(tops: Iterable[str]) -> FolderLayout | Question:
    names = [f"{top}/{i}.jpg" for top in tops for i in range(3)]
    return detect_layout(count_folders(names))


@pytest.mark.parametrize(
    ("tops", "pattern"),
    [
        ("train_cat train_dog test_cat test_dog",
         "(?P<split>test|train)_(?P<class>[^/]+)/.+"),
        ("train.cat train.dog val.cat val.dog",
         r"(?P<split>train|val)\.(?P<class>[^/]+)/.+"),
        ("cat_train dog_train cat_test dog_test",
         "(?P<class>[^/]+?)_(?P<split>test|train)/.+"),
        ("cat dog cat_test dog_test",
         "(?P<class>[^/]+?)(?:_(?P<split>test))?/.+"),
        ("TrainCat TrainDog TestCat TestDog",
         "(?P<split>Test|Train)(?P<class>[^/]+)/.+"),
        ("trainA trainB testA testB",
         "(?P<split>test|train)(?P<class>[^/]+)/.+"),
        ("train_A train_B test_A test_B",
         "(?P<split>test|train)_(?P<class>[^/]+)/.+"),
        ("train_cat train-dog test_cat test-dog",
         r"(?P<split>test|train)(?:\-|_)(?P<class>[^/]+)/.+"),
    ],
)  # fmt: skip
def test_split_and_class_in_one_name_are_asked_about(tops: str, pattern: str) -> None:
    question = _detect(tops.split())
    assert isinstance(question, Question)
    assert "in several splits" in question.finding
    by_name, by_folder = question.options
    assert by_name.settings == {"class_pattern": pattern}
    assert by_folder.settings == {"format": "folders"}


def test_names_with_a_space_hold_both_too() -> None:
    question = _detect(["Train Cat", "Train Dog", "Test Cat", "Test Dog"])
    assert isinstance(question, Question)
    assert "'Test Cat', 'Train Cat' seem to hold one class, 'Cat'" in question.finding
    assert "move the images into folders such as 'Train/Cat'" in question.finding


@pytest.mark.parametrize("name", ["{} ({})", "{}[{}]", "{}_({})"])
def test_brackets_around_the_split_belong_to_no_class(name: str) -> None:
    tops = [name.format(c, s) for c in ("cat", "dog") for s in ("train", "test")]
    question = _detect(tops)
    assert isinstance(question, Question)
    pattern = str(question.options[0].settings["class_pattern"])
    matches = [re.fullmatch(pattern, f"{top}/1.jpg") for top in tops]
    assert [(m["class"], m["split"]) for m in matches if m] == [
        ("cat", "train"), ("cat", "test"), ("dog", "train"), ("dog", "test")
    ]  # fmt: skip


def test_without_one_order_only_moving_is_advised() -> None:
    question = _detect(["train_cat", "cat_test", "dog"])
    assert isinstance(question, Question)
    assert "read both from the name" not in question.finding
    assert [option.settings for option in question.options] == [{"format": "folders"}]


@pytest.mark.parametrize(
    "tops",
    [
        "train_station bus_station",
        "train_station test_tube",
        "bullet_train freight_train",
        "cat_train dog_train",
        "train bus car",
    ],
)
def test_words_of_splits_in_classes_are_no_doubt(tops: str) -> None:
    assert isinstance(_detect(tops.split()), FolderLayout)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(["cat", "dog", "Big Bird", "n01440764", "Bär", "a-b"]),
        min_size=2,
        max_size=4,
        unique=True,
    ),
    st.lists(
        st.sampled_from(
            [
                "train",
                "test",
                "val",
                "Training",
                "holdout",
                "pruebas",
                "Entraînement",
                "",
            ]
        ),
        min_size=2,
        max_size=3,
        unique_by=lambda split: role_of(split) or "",
    ),
    st.sampled_from(["_", "-", ".", " "]),
    st.booleans(),
)
def test_the_offered_pattern_reads_split_and_class(
    classes: list[str], splits: list[str], separator: str, is_split_first: bool
) -> None:
    labels = {}
    for name in classes:
        for split in splits:
            parts = (split, name) if is_split_first else (name, split)
            labels[separator.join(filter(None, parts))] = (split or None, name)
    question = _detect(labels)
    assert isinstance(question, Question)
    pattern = next(
        str(option.settings["class_pattern"])
        for option in question.options
        if "class_pattern" in option.settings
    )
    for top, expected in labels.items():
        match = re.fullmatch(pattern, f"{top}/0.jpg")
        assert match is not None
        assert (match["split"], match["class"]) == expected
    meaning = question.options[0].meaning
    assert ("without a split: train" in meaning) is ("" in splits)
