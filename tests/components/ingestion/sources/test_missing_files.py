"""A path of a manifest without a file is told with the file that it may mean."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graft.components.ingestion.sources.missing_files import hint_about_file
from graft.contract.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("0.png", "zo\u00eb.png", "Sub/b c.jpg", "e\u0301/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "broken.png").symlink_to("nowhere.png")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("0.png ", "the folder has '0.png'"),
        ("0.PNG", "the folder has '0.png'"),
        ("0.jpg", "the folder has '0.png'"),
        ("0\u200b.png", "the folder has '0.png'"),
        ("'0.png'", "the folder has '0.png'"),
        ("a/../0.png", "without '..' in it, the path is '{}/0.png'"),
        ("Sub/b%20c.jpg", "the folder has 'b c.jpg'"),
        ("sub /b c.JPG", "there is '{}/Sub/b c.jpg'"),
        ("\u00e9/1.png", "there is '{}/e\u0301/1.png'"),
        (
            "zoe\u0308.png",
            "the folder has 'zo\u00eb.png' in another form of Unicode: 'zo\\xeb.png'",
        ),
        ("broken.png", "it is a link to a file that does not exist"),
        ("000.png", "the folder has '0.png'"),
        ("00", "the folder has '0.png'"),
        ("10.png", ""),
        ("1.png", ""),
        ("no folder/0.png", ""),
        ("0.png/0.png", ""),
    ],
)
def test_what_the_folder_has(folder: Path, name: str, hint: str) -> None:
    assert hint_about_file(f"{folder}/{name}") == hint.format(folder)


def test_a_relative_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert hint_about_file("0.PNG") == "the folder has '0.png'"
    assert hint_about_file("sub/b c.png") == "there is 'Sub/b c.jpg'"


def test_a_changed_folder_is_listed_again(folder: Path) -> None:
    assert hint_about_file(f"{folder}/9.png") == ""
    (folder / "9.jpg").touch()
    os.utime(folder, ns=(1, 1))
    assert hint_about_file(f"{folder}/9.png") == "the folder has '9.jpg'"


def test_wrong_paths_are_corrected_and_not_deleted(
    tmp_path: Path,
    make_image: Callable[..., bytes],
    run_ingestion: Callable[..., Any],
) -> None:
    for index in range(6):
        (tmp_path / f"{index}.png").write_bytes(make_image(index))
    lines = [f"{n}.jpg,{('cat', 'dog')[n % 2]}" for n in range(6)]
    path = tmp_path / "list.csv"
    path.write_text("\n".join(["path,label", *lines]))
    with pytest.raises(DataError) as caught:
        run_ingestion(path)
    message = str(caught.value)
    assert (
        "'0.jpg': can't be read: No such file or directory; the folder has '0.png'\n"
        in message
    )
    assert "\nCorrect the paths of missing files" in message
    assert "delete" not in message
    (tmp_path / "0.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"Correct the paths .*, repair the others"):
        run_ingestion(path)
