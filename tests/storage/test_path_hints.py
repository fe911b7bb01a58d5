from __future__ import annotations

from pathlib import Path

import pytest

from graft.storage.path_hints import hint_about


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "Photos" / "Cat").mkdir(parents=True)
    (tmp_path / "photos.zip").write_bytes(b"PK")
    (tmp_path / "photos.tar.gz").write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        (r"C:\photos\cat", "below /mnt: '/mnt/c/photos/cat'"),
        ("D:/photos", "'/mnt/d/photos'"),
        (r"\\server\share", "network path of Windows. Mount"),
        (r"..\photos", r"Write `/` between folders, not `\`: '../photos'."),
        (r"Photos\Cat", "'Photos/Cat'; that exists"),
        ("file:///tmp/a%20b", "without `file://`: '/tmp/a b'"),
        ("file:/tmp/a", "without `file://`: '/tmp/a'"),
        ("~/photos", "`~` stands for '"),
        ("photos.zip", "Unpack it first"),
        ("photos.tar.gz", "Unpack it first"),
        ("photos/cat", "Did you mean 'Photos/Cat'?"),
        ("./photos", "Did you mean 'Photos'?"),
        ("'Photos'", "it exists: 'Photos'"),
        (" Photos ", "it exists: 'Photos'"),
    ],
)
def test_a_path_that_shows_its_mistake_gets_a_hint(path: str, hint: str) -> None:
    assert hint in hint_about(path)


@pytest.mark.parametrize(
    "path", ["Photos", "Photos/", "pictures", "gs://bucket/x", "nowhere.zip", ""]
)
def test_another_path_gets_none(path: str) -> None:
    assert hint_about(path) == ""


def test_an_absolute_path_in_another_case(here: Path) -> None:
    assert hint_about(f"{here}/PHOTOS") == (
        f"Names are case-sensitive. Did you mean {str(here / 'Photos')!r}?"
    )


def test_a_path_that_exists_gets_none(here: Path) -> None:
    (here / "home" / "photos").mkdir(parents=True)
    (here / r"a\b").touch()
    (here / "a.txt").touch()
    for path in ("~/photos", r"a\b", "a.txt", "'nowhere'", " nowhere "):
        assert hint_about(path) == ""
