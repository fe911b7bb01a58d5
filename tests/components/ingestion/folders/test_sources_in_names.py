"""Class folders whose names hold a date, a part or a short split are asked about."""

from __future__ import annotations

import pytest

from graft.components.ingestion.folders.layout_detection import detect_layout
from graft.components.ingestion.names.folder_counts import count_folders
from graft.components.ingestion.sources.layout_answers import FolderLayout, Question


def _answer(tops: str) -> FolderLayout | Question:
    names = [
        f"{top.replace('~', ' ')}/{i}.png" for top in tops.split() for i in range(1, 8)
    ]
    return detect_layout(count_folders(names))


@pytest.mark.parametrize(
    ("tops", "classes"),
    [
        ("cat-2024-01-01 cat-2024-01-02 dog-2024-01-01", "'cat' (14), 'dog' (7)"),
        ("cat_20240101 cat_20240102 dog", "'cat' (14), 'dog' (7)"),
        ("2024-01-01_cat 2024-01-02_cat 2024-01-01_dog", "'cat' (14), 'dog' (7)"),
        ("cat_batch1 cat_batch2 dog_batch1 dog_batch2", "'cat' (14), 'dog' (14)"),
        ("part1-cat part2-cat part1-dog part2-dog", "'cat' (14), 'dog' (14)"),
        (
            "cat~cam1 cat~cam2 dog~cam1 dog~cam2 owl",
            "'cat' (14), 'dog' (14), 'owl' (7)",
        ),
    ],
)
def test_sources_are_no_part_of_the_class(tops: str, classes: str) -> None:
    answer = _answer(tops)
    assert isinstance(answer, Question), answer
    assert "the same classes from several sources" in answer.finding
    first, whole = answer.options
    assert "class_pattern" in first.settings
    assert classes in first.meaning
    assert whole.settings == {"format": "folders"}


def test_many_sources_have_a_short_pattern() -> None:
    days = [f"{label}_2024-01-{day:02}" for label in ("a", "b") for day in range(1, 30)]
    answer = _answer(" ".join(days))
    assert isinstance(answer, Question), answer
    assert len(str(answer.options[0].settings["class_pattern"])) < 150
    assert "'a' (203), 'b' (203)" in answer.options[0].meaning


@pytest.mark.parametrize("tops", ["tr_001 tr_002 te_001 te_002", "TR1 TR2 VA1 TS1"])
def test_numbered_abbreviations_of_splits_are_asked_about(tops: str) -> None:
    answer = _answer(tops)
    assert isinstance(answer, Question), answer
    assert "abbreviated splits and a number" in answer.finding


@pytest.mark.parametrize(
    "tops",
    [
        "Audi~S4~2007 Audi~S4~2012 Golf~GTI~2007 Golf~GTI~2012",
        "BMW~3 BMW~5 Audi~3 Audi~5",
        "tr te",
        "level1 level2 level3",
        "star_day1 star_night1",
        "ts1 ts2 ab1",
    ],
)
def test_names_with_numbers_are_classes(tops: str) -> None:
    assert isinstance(_answer(tops), FolderLayout)
