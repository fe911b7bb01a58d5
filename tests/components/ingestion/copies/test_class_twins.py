"""Classes of which most have a twin with one addition to the name have a warning."""

from __future__ import annotations

import pytest

from graft.components.ingestion.copies.class_twins import (
    numbered_twins,
    twins_of,
    versions_of_all,
)
from graft.components.ingestion.folders.layout_detection import detect_layout
from graft.components.ingestion.names.folder_counts import count_folders
from graft.components.ingestion.sources.layout_answers import FolderLayout


@pytest.mark.parametrize(
    ("names", "twins"),
    [
        ("cat dog owl cat_new dog_new owl_new", "cat_new dog_new owl_new"),
        ("cat dog new_cat new_dog", "new_cat new_dog"),
        ("cat catfish cat_ai catfish_ai", "cat_ai catfish_ai"),
        ("cat dog cat-2 dog-2", "cat-2 dog-2"),
        ("cat dog owl cat_new dog_new", "cat_new dog_new"),
        ("cat dog owl cat2 dog2", "cat2 dog2"),
        ("cat dog owl hen new_cat new_dog new_hen", "new_cat new_dog new_hen"),
        ("cat dog cat_new", ""),
        ("class1 class2 class11 class21", ""),
        ("cat dog owl cat_new dog_new hen", ""),
        ("cat cat_new", ""),
        ("cat_A cat_B dog_A dog_B", ""),
        ("1 11 111 1111", ""),
        ("0 1 2 3 4 5 6 7 8 9", ""),
        ("0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19", ""),
        ("mask no_mask", ""),
    ],
)
def test_twins_of_classes(names: str, twins: str) -> None:
    assert sorted(twins_of(names.split())) == twins.split()


@pytest.mark.parametrize("above", ["", "train/ test/"])
@pytest.mark.parametrize("twin", ["{}_new", "new_{}", "{}_synthetic", "{}_2"])
def test_twins_have_a_warning(twin: str, above: str) -> None:
    names = [
        f"{split}{top}/{number}.jpg"
        for split in above.split() or [""]
        for name in ("cat", "dog", "owl")
        for top in (name, twin.format(name))
        for number in range(1, 8)
    ]
    answer = detect_layout(count_folders(names))
    assert isinstance(answer, FolderLayout), answer
    (warning,) = answer.warnings
    assert "Each class has a second one with the same addition" in warning
    assert repr(twin.format("cat")) in warning


def test_twins_of_most_classes_have_a_warning() -> None:
    tops = ("cat", "dog", "owl", "cat2", "dog2")
    names = [f"{top}/{number}.jpg" for top in tops for number in range(1, 8)]
    answer = detect_layout(count_folders(names))
    assert isinstance(answer, FolderLayout), answer
    (warning,) = answer.warnings
    assert "Most classes have a second one with the same addition" in warning


@pytest.mark.parametrize(
    "names", ["cat1 cat2 dog1 dog2", "cat_0 dog_0 cat_1 dog_1", "a-1 A-2 b-1 b-2"]
)
def test_the_same_words_with_the_same_numbers_have_a_warning(names: str) -> None:
    assert numbered_twins(names.split()) == sorted(names.split())
    files = [f"{top}/{number}.jpg" for top in names.split() for number in range(1, 8)]
    answer = detect_layout(count_folders(files))
    assert isinstance(answer, FolderLayout), answer
    assert "the same words with the same numbers" in answer.warnings[0]


@pytest.mark.parametrize(
    "names",
    ["type1 type2", "BMW3 BMW5 Audi3 Audi5", "cat1 cat2 dog1", "cat1 cat2 dog", "1 2"],
)
def test_other_numbers_are_those_of_classes(names: str) -> None:
    assert numbered_twins(names.split()) == []


@pytest.mark.parametrize(
    "names",
    [
        "cat_rgb cat_depth dog_rgb dog_depth",
        "cat-original cat-aug dog-original dog-aug",
    ],
)
def test_versions_of_all_classes_have_a_warning(names: str) -> None:
    assert versions_of_all(names.split()) == sorted(names.split())
    files = [
        f"{top}/{chr(n)}{top}.jpg" for top in names.split() for n in range(97, 107)
    ]
    answer = detect_layout(count_folders(files))
    assert isinstance(answer, FolderLayout), answer
    assert "the same words with the same ends" in answer.warnings[0]


@pytest.mark.parametrize(
    "names", ["cat_left cat_right dog_left dog_right", "cat_rgb cat_depth", "a_crop b"]
)
def test_other_words_are_those_of_classes(names: str) -> None:
    assert versions_of_all(names.split()) == []
