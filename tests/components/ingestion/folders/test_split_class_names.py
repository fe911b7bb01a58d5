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


def _product(template: str, classes: str, splits: str) -> list[str]:
    pairs = ((c, s) for c in classes.split() for s in splits.split())
    return [template.format(c, s) for c, s in pairs]


@pytest.mark.parametrize(
    ("template", "classes", "splits"),
    [
        ("[{1}] {0}", "cat dog", "train test"),
        ("({1}){0}", "cat dog", "train test"),
        ("{0}-[{1}]", "cat dog", "train val test"),
        ("{1} ({0})", "cat dog", "train test"),
        ("{0}_{1}_set", "cat dog", "training test"),
        ("{0} {1} set", "cat dog", "training testing"),
        ("{0}_{1}_images", "cat dog", "train test"),
        ("{0}_{1}Images", "apple pear", "Train Test"),
        ("{0}_{1}_2024", "cat dog", "train test"),
        ("img_{1}_{0}", "cat dog", "train test"),
        ("2024_{1}_{0}", "cat dog", "train test"),
        ("dataset_{1}_{0}", "cat cow", "train val"),
        ("{0}{1}", "猫 犬", "训练 测试"),
        ("{1}{0}", "猫 犬", "训练 测试"),
        ("{0}{1}", "cat dog", "训练集 测试集"),
        ("{0}_{1}", "cat dog", "tr te"),
        ("{1}_{0}", "cat dog", "tr te"),
        ("{0}{1}", "cat dog", "Tr Te"),
        ("{0}_{1}", "apple pear", "tr val te"),
    ],
)
def test_the_word_of_a_split_may_stand_anywhere(
    template: str, classes: str, splits: str
) -> None:
    question = _detect(_product(template, classes, splits))
    assert isinstance(question, Question)
    assert "in several splits" in question.finding
    pattern = re.compile(str(question.options[0].settings["class_pattern"]))
    for class_name in classes.split():
        for split in splits.split():
            path = f"{template.format(class_name, split)}/1.jpg"
            match = pattern.fullmatch(path)
            assert match is not None, path
            assert (match["class"], match["split"]) == (class_name, split)


@pytest.mark.parametrize("extra", ["test ({})", "{} (val) 2", "1_{}_holdout"])
def test_some_classes_with_a_split_beside_all_of_them_are_asked_about(
    extra: str,
) -> None:
    question = _detect(["cat", "dog", extra.format("cat"), extra.format("dog")])
    assert isinstance(question, Question)
    assert "in several splits" in question.finding


@pytest.mark.parametrize(
    "tops",
    [
        "word_tr word_te word_hi other_tr other_hi",  # codes of languages
        "test_tube rack train_station port",
        "unit_test code_review train_driver",
        "exam_test_a exam_test_b homework",
        "night_train day_train bus",
    ],
)
def test_words_of_splits_in_names_of_other_things_are_not_asked_about(
    tops: str,
) -> None:
    assert isinstance(_detect(tops.split()), FolderLayout)
