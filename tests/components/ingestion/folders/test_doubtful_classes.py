"""Folders beside classes that may be none by their names are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from graft.components.ingestion.folders.layout_detection import detect_layout
from graft.components.ingestion.listing import list_images
from graft.components.ingestion.names.folder_counts import count_folders
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.layout_answers import FolderLayout, Question


def _warnings(*classes: str, end: str = "") -> list[str]:
    names = (f"{name}/IMG_{n}{end}.jpg" for name in classes for n in range(9))
    answer = detect_layout(count_folders(names))
    assert isinstance(answer, FolderLayout), answer
    return list(answer.warnings)


@pytest.mark.parametrize(
    "name",
    "to_sort to_review review skip ignored deleted rejects inbox DCIM to-label "
    "Uploads unsortiert 未分类 false_positives à_trier".split(),
)
def test_what_waits_or_was_put_aside_is_told(name: str) -> None:
    (warning,) = _warnings("cat", "dog", name)
    assert warning.startswith(f"The folder {name!r} may be no class by its name")


@pytest.mark.parametrize(
    "name", ["Test cases", "Validation cases", "holdout cases", "TEST-cases"]
)
def test_a_split_with_the_word_of_all_classes_is_told(name: str) -> None:
    (warning,) = _warnings("Bengin cases", "Malignant cases", "Normal cases", name)
    assert f"The folder {name!r} has the name of a split" in warning


@pytest.mark.parametrize(
    "name",
    ["Mask_images", "masks_png", "gt_masks", "defect_mask", "SegmentationClass"],
)
def test_a_folder_with_a_word_of_masks_is_told(name: str) -> None:
    (warning,) = _warnings("Defect", "NoDefect", name)
    assert warning.startswith(f"{name!r} may be masks of other images")


ORIGINS = [
    ("iCloud Photos Part 1 of 2", "iCloud Photos Part 2 of 2"),
    ("October 1, 2024", "October 3, 2024"),
    ("1. Oktober 2024", "3. März 2024"),
    ("2024-05 Berlin", "2024-07-01 Roma"),
    ("Export 2024-01", "Export 2024-02"),
    ("upload_1", "upload_2"),
    ("May 2024", "June 2024"),
]


@pytest.mark.parametrize("names", ORIGINS)
def test_folders_called_after_dates_or_parts_are_asked_about(
    names: tuple[str, str],
) -> None:
    files = (f"{name}/IMG_{n}.jpg" for name in names for n in range(9))
    assert isinstance(detect_layout(count_folders(files)), Question)


@pytest.mark.parametrize("name", [first for first, _ in ORIGINS])
def test_one_of_them_beside_classes_is_told(name: str) -> None:
    (warning,) = _warnings("cat", "dog", name)
    assert "is called after a date, a camera or a part" in warning


@pytest.mark.parametrize(
    "classes",
    [
        ["may", "june"],
        ["2012 sedan", "2013 coupe"],
        ["with_mask", "without_mask"],
        ["mask", "no mask"],
        ["mask_weared_incorrect", "with_mask", "without_mask"],
        ["blood test", "urine test", "skin test"],
        ["glass", "paper", "cardboard", "plastic", "metal", "trash"],
        ["train station", "bus station"],
    ],
)
def test_honest_classes_are_not_told(classes: list[str]) -> None:
    assert _warnings(*classes) == []


@pytest.mark.parametrize("name", ["New folder", "untitled folder", "Neuer Ordner (2)"])
def test_an_empty_folder_that_a_desktop_made_is_left_aside(
    tmp_path: Path, name: str
) -> None:
    for each in ("cat", "dog"):
        (tmp_path / each).mkdir()
        for number in range(3):
            (tmp_path / each / f"{number}.jpg").write_bytes(b"1")
    (tmp_path / name).mkdir()
    found = list_images(DataConfig(path=str(tmp_path)), "")
    assert found.empty_classes == []
    (warning,) = found.warnings
    assert warning.startswith("Left aside: 1 folder without images")
    assert name in warning


def test_an_empty_class_is_not_left_aside(tmp_path: Path) -> None:
    for each in ("cat", "dog", "owl"):
        (tmp_path / each).mkdir()
    for each in ("cat", "dog"):
        (tmp_path / each / "1.jpg").write_bytes(b"1")
    assert list_images(DataConfig(path=str(tmp_path)), "").empty_classes == ["owl"]
