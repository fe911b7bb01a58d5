"""Images in two formats are asked about, and one of the formats can be chosen."""

from __future__ import annotations

import re

import pytest

from graft.components.ingestion.folders.layout_detection import detect_layout
from graft.components.ingestion.names.folder_counts import count_folders
from graft.components.ingestion.sources.layout_answers import FolderLayout, Question

CLASSES = ("cat", "dog")


def _tree(extensions: dict[str, int], above: str = "") -> list[str]:
    """Return files of each class: the number of files by extension."""
    return [
        f"{above}{name}/{i}{extension}"
        for name in CLASSES
        for extension, number in extensions.items()
        for i in range(number)
    ]


def test_one_of_two_formats_can_be_chosen() -> None:
    names = [*_tree({".jpg": 4, ".png": 4}), "cat/9.jpeg", "cat/8.JPEG"]
    question = detect_layout(count_folders(names))
    assert isinstance(question, Question)
    assert question.finding.startswith("16 files of 18 images have the name of")
    jpeg, png, every = question.options
    for option, endings in ((jpeg, (".jpg", ".JPEG", ".jpeg")), (png, (".png",))):
        pattern = str(option.settings["class_pattern"])
        read = {name for name in names if re.fullmatch(pattern, name)}
        assert read == {name for name in names if name.endswith(endings)}
    assert jpeg.meaning.startswith("only .jpg files: ")
    assert jpeg.meaning.endswith("'cat' (6), 'dog' (4); left aside: 8")
    assert every.settings == {"format": "folders"}


def test_two_pairs_are_enough() -> None:
    answer = detect_layout(count_folders(_tree({".jpg": 2, ".png": 2})))
    assert isinstance(answer, Question)
    answer = detect_layout(count_folders(_tree({".jpg": 3, ".png": 2})))
    assert isinstance(answer, Question)


def test_pairs_in_splits_are_asked_about() -> None:
    names = [
        *_tree({".jpg": 4, ".png": 4}, above="train/"),
        *_tree({".jpg": 4}, above="test/"),
    ]
    question = detect_layout(count_folders(names))
    assert isinstance(question, Question)
    assert question.options[0].settings["split_folders"] == {
        "train": "train",
        "test": "test",
    }


@pytest.mark.parametrize(
    "names",
    [
        _tree({".jpg": 4}),
        _tree({".jpg": 8, ".png": 2}),
        _tree({".jpg": 6, ".png": 2}),
        _tree({".jpg": 4, ".jpeg": 4}),
        _tree({".jpg": 1, ".png": 1}),
        [*(f"cat/{i}.jpg" for i in range(4)), *(f"dog/{i}.png" for i in range(4))],
        _tree({"": 4, ".png": 4}),
    ],
    ids=[
        "one format",
        "few pairs",
        "half",
        "JPEG",
        "one pair",
        "by class",
        "no extension",
    ],
)
def test_other_names_are_no_pairs(names: list[str]) -> None:
    assert isinstance(detect_layout(count_folders(names)), FolderLayout)


@pytest.mark.parametrize("refused", [".CR2", ".heic", ".tif"])
def test_a_format_that_is_refused_is_no_option(refused: str) -> None:
    names = _tree({".jpg": 4, refused: 4})
    question = detect_layout(count_folders(names))
    assert isinstance(question, Question)
    assert f"graft does not read '{refused.lower()}'" in question.finding
    (option,) = question.options
    pattern = str(option.settings["class_pattern"])
    read = {name for name in names if re.fullmatch(pattern, name)}
    assert read == set(_tree({".jpg": 4}))
