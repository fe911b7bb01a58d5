"""Images that a manifest does not name are told, with their number and some names."""

from __future__ import annotations

from pathlib import Path

import pytest

from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.tables.unnamed_images import warn_of_unnamed

NAMED = ("a/1.jpg", "a/2.jpg", "b/3.jpg")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        *NAMED,
        "a/4.jpg",
        "a/notes.txt",
        "a/.5.jpg",
        "a/sub/6.jpg",
        "c/7.jpg",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def _warnings(folder: Path, lines: tuple[str, ...], **fields: str) -> list[str]:
    rows = "".join(f"{line},{'cat' if i else 'dog'}\n" for i, line in enumerate(lines))
    (folder / "list.csv").write_text(f"path,label\n{rows}")
    return list_images(DataConfig(path=str(folder / "list.csv"), **fields), "").warnings


def test_folders_of_named_images_are_searched(folder: Path) -> None:
    assert _warnings(folder, NAMED) == [
        "Left aside: 1 file beside the images of the manifest that is named by no line "
        "('a/4.jpg')."
    ]


def test_the_image_folder_is_searched_with_its_subfolders(folder: Path) -> None:
    (warning,) = _warnings(folder, ("1", "2.jpg"), image_folder="a")
    assert "2 files" in warning
    assert "are named by no line ('a/4.jpg', 'a/sub/6.jpg')" in warning


@pytest.mark.parametrize(
    "first", ["a/4.jpg", "a/4", "./a/4.jpg", "b/../a/4.jpg", r"a\4"]
)
def test_each_spelling_of_a_name_counts(folder: Path, first: str) -> None:
    assert _warnings(folder, (first, *NAMED)) == []


def test_many_are_counted_and_some_named(tmp_path: Path) -> None:
    for i in range(9):
        (tmp_path / f"{i}.jpg").touch()
    (warning,) = warn_of_unnamed([str(tmp_path / "0.jpg")], str(tmp_path), None)
    assert "8 files" in warning and "'5.jpg' and 3 more" in warning


def test_missing_folders_are_no_reason_to_stop(tmp_path: Path) -> None:
    assert warn_of_unnamed([str(tmp_path / "x" / "1.jpg")], str(tmp_path), None) == []


def test_a_folder_that_cannot_be_listed_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("os.scandir", refuse)
    (warning,) = warn_of_unnamed([str(folder / "a/1.jpg")], str(folder), None)
    assert "unknown whether there are images" in warning and "denied" in warning
