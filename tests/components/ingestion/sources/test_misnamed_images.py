"""Images that their names hide are told, and other files are not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources import misnamed_images
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.source import Listing

Make = Callable[..., Any]


def _list(root: Path) -> Listing:
    return list_images(DataConfig(path=str(root)), "unused")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
@pytest.mark.parametrize("name", ["1.doc", "1.png.bak", "1.txt"])
def test_an_image_with_the_name_of_a_document_is_told(
    tmp_path: Path, write_photos: Make, make_image: Make, kind: str, name: str
) -> None:
    write_photos(tmp_path, number=3)
    (tmp_path / "cat" / name).write_bytes(make_image(1, kind=kind))
    listing = _list(tmp_path)
    assert len(listing.refs) == 6
    assert listing.ignored == {os.path.splitext(name)[1]: 1}
    assert listing.warnings == [
        "Left aside because of its name, but an image by content: 1 file "
        f"('cat/{name}'). To read it, let the names end in .jpg or .png."
    ]


@pytest.mark.timeout(20)
def test_texts_and_files_of_systems_are_not_told(
    tmp_path: Path, write_photos: Make, make_image: Make
) -> None:
    write_photos(tmp_path, number=3)
    (tmp_path / "cat" / "1.txt").write_text("BMW and other cars")
    (tmp_path / "cat" / "2.txt").write_text("")
    (tmp_path / "cat" / "3.txt").symlink_to("nowhere")
    (tmp_path / "cat" / "._4.png").write_bytes(make_image(4))
    os.mkfifo(tmp_path / "cat" / "5.txt")
    assert _list(tmp_path).warnings == []


def test_only_the_first_are_read(
    tmp_path: Path,
    write_photos: Make,
    make_image: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_photos(tmp_path, number=3)
    for number in range(4):
        (tmp_path / "cat" / f"{number}.txt").write_bytes(make_image(number))
    monkeypatch.setattr(misnamed_images, "_MOST_FILES", 3)
    (warning,) = _list(tmp_path).warnings
    assert "their names" in warning
    assert "3 files ('cat/0.txt', 'cat/1.txt', 'cat/2.txt')" in warning
