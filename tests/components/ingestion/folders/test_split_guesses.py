"""Folders with the same classes are offered as splits, whatever their names."""

from __future__ import annotations

import pytest

from graft.components.ingestion.folders.layout_detection import detect_layout
from graft.components.ingestion.names.folder_counts import count_folders
from graft.components.ingestion.sources.layout_answers import FolderLayout, Question

CLASSES = ("Katze", "Hund")


def _detect(tops: list[str], number: int = 4) -> FolderLayout | Question:
    names = [f"{t}/{c}/{i}.jpg" for t in tops for c in CLASSES for i in range(number)]
    return detect_layout(count_folders(names))


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Training", "Pr\u00fcfung"),
        ("Training", "Pru\u0308fung"),
        ("\u8bad\u7ec3\u96c6", "\u6d4b\u8bd5\u96c6"),
        ("\u5b66\u7fd2", "\u30c6\u30b9\u30c8"),
        ("\ud6c8\ub828", "\ud14c\uc2a4\ud2b8"),
        (
            "\u043e\u0431\u0443\u0447\u0435\u043d\u0438\u0435",
            "\u0442\u0435\u0441\u0442",
        ),
    ],
)
def test_splits_in_other_languages_are_read(train: str, test: str) -> None:
    layout = _detect([train, test])
    assert isinstance(layout, FolderLayout)
    assert layout.split_folders == {"train": (train,), "test": (test,)}


@pytest.mark.parametrize(
    ("tops", "expected"),
    [
        (["entrainement", "essai"], {"train": "entrainement", "test": "essai"}),
        (["train", "b\u00fccher"], {"train": "train", "test": "b\u00fccher"}),
        (
            ["Train", "Vaild", "Tset"],
            {"train": "Train", "validation": "Vaild", "test": "Tset"},
        ),
        (["trian", "tes"], {"train": "trian", "test": "tes"}),
        (
            ["Trainingsdaten", "Testdaten"],
            {"train": "Trainingsdaten", "test": "Testdaten"},
        ),
        (
            ["\u8bad\u7ec3\u6570\u636e", "\u6d4b\u8bd5\u6570\u636e"],
            {"train": "\u8bad\u7ec3\u6570\u636e", "test": "\u6d4b\u8bd5\u6570\u636e"},
        ),
        (
            ["trainn", "validd", "x"],
            {"train": "trainn", "validation": "validd", "test": "x"},
        ),
        (["pets", "test"], {"train": "pets", "test": "test"}),
        (["images", "test"], {"train": "images", "test": "test"}),
        (["tr", "te"], {"train": "tr", "test": "te"}),
        (["Tr", "Va", "Te"], {"train": "Tr", "validation": "Va", "test": "Te"}),
        (
            ["NCT-HE-100K", "CRC-TEST-HE"],
            {"train": "NCT-HE-100K", "test": "CRC-TEST-HE"},
        ),
    ],
)
def test_the_right_splits_are_the_first_option(
    tops: list[str], expected: dict[str, str]
) -> None:
    question = _detect(tops)
    assert isinstance(question, Question)
    option = question.options[0]
    assert option.settings == {"split_folders": expected}
    assert "test 8 images; 2 classes: 'Hund'" in option.meaning
    assert "left aside" not in option.meaning


@pytest.mark.parametrize(
    ("tops", "setting"),
    [
        (["A", "B", "C"], '{"train": "...", "validation": "...", "test": "..."}'),
        (["A", "B"], '{"train": "...", "test": "..."}'),
        (["train", "A", "B"], '{"train": "train", "validation": "...", "test": "..."}'),
        (["A", "test"], None),
        (["Vaild", "x"], None),
        (["A", "B", "C", "D"], None),
        (["part1", "part2"], None),
        (["original", "resized"], None),
        (["Training", "Tset"], None),
    ],
)
def test_what_no_name_tells_is_to_be_filled_in(
    tops: list[str], setting: str | None
) -> None:
    question = _detect(tops)
    assert isinstance(question, Question)
    example = f"name each of them: `--set 'data.split_folders={setting}'`."
    assert (example in question.finding) is (setting is not None)
    assert ("name each of them" in question.finding) is (setting is not None)


def test_the_smaller_of_two_folders_may_be_the_test_set() -> None:
    names = [f"A/{c}/{i}.jpg" for c in CLASSES for i in range(4)]
    names += [f"B/{c}/{i}.jpg" for c in CLASSES for i in range(6)]
    question = detect_layout(count_folders(names))
    assert isinstance(question, Question)
    assert "name each of them" not in question.finding
    splits = {"train": "B", "test": "A"}
    assert question.options[-1].settings == {"split_folders": splits}


def test_a_test_set_in_a_folder_beside_the_training_set() -> None:
    names = [f"images/{c}/{i}.jpg" for c in CLASSES for i in range(4)]
    names += [f"test/images/{c}/{i}.jpg" for c in CLASSES for i in range(4)]
    question = detect_layout(count_folders(names))
    assert isinstance(question, Question)
    splits = {"train": "images", "test": "test/images"}
    assert {"split_folders": splits} in [each.settings for each in question.options]


def test_folders_without_common_classes_are_no_splits() -> None:
    names = [f"Train/{c}/{i}.jpg" for c in CLASSES for i in range(4)]
    names += [f"Tset/{c}/{i}.jpg" for c in ("Esel", "Maus") for i in range(4)]
    question = detect_layout(count_folders(names))
    assert isinstance(question, Question)
    assert all(
        "test" not in str(o.settings.get("split_folders")) for o in question.options
    )
