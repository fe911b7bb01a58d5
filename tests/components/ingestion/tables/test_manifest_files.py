"""Names in a manifest are resolved to the intended files."""

from __future__ import annotations

from pathlib import Path

import pytest

from graft.components.ingestion.tables.manifest_files import ManifestFiles
from graft.contract.errors import DataError


def _path_of(folder: Path, name: str, image_folder: str | None = None) -> str:
    path = ManifestFiles(str(folder), image_folder).path_of(name, "'m.csv', line 2")
    return str(Path(path).relative_to(folder))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "a.jpg", "a.png", "b.jpg", "b.txt", ".b.png", "c", "c.jpg", "sub/d.webp",
        "sub/e.1", "w\\x.jpg", "sub/w\\x.jpg", "f.jpg.txt",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "x.jpg").write_text("x")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.jpg", "a.jpg"),
        ("a.JPG", "a.JPG"),
        ("missing.jpg", "missing.jpg"),
        ("missing", "missing"),
        ("b", "b.jpg"),
        ("c", "c"),
        ("./sub/d", "sub/d.webp"),
        ("sub\\d", "sub/d.webp"),
        ("sub\\d.webp", "sub/d.webp"),
        ("sub\\e.1", "sub/e.1"),
        ("w\\x.jpg", "w\\x.jpg"),
        ("w\\x", "w/x.jpg"),
        ("no folder/b", "no folder/b"),
    ],
)
def test_which_file_a_name_means(folder: Path, name: str, found: str) -> None:
    assert _path_of(folder, name) == found


def test_names_start_from_the_image_folder(folder: Path) -> None:
    assert _path_of(folder, "d", "sub") == "sub/d.webp"
    assert _path_of(folder, "w\\x.jpg", "sub") == "sub/w\\x.jpg"


def test_several_extensions_are_asked_about(folder: Path) -> None:
    with pytest.raises(DataError, match=r"^'m\.csv', line 2: the image 'a' may be any"):
        _path_of(folder, "a")


def test_remote_names_are_not_looked_up_locally() -> None:
    files = ManifestFiles("gs://bucket/data")
    assert files.path_of("sub\\d.webp", "m") == "gs://bucket/data/sub/d.webp"
    assert files.path_of("a.jpg", "m") == "gs://bucket/data/a.jpg"
    assert files.path_of("s3://other/a.jpg", "m") == "s3://other/a.jpg"
    with pytest.raises(DataError, match="path of Windows"):
        files.path_of("C:\\a.jpg", "m")


@pytest.mark.parametrize(
    ("image_folder", "message"),
    [
        ("subs", "Received: 'subs', that is '{}/subs'. It is looked for from the"),
        ("a.jpg", "must name an existing folder. Received: 'a.jpg'"),
        ("Sub", "Names are case-sensitive. Did you mean '{}/sub'?"),
        (r"sub\x", "Write `/` between folders"),
        (r"C:\photos", "This is a path of Windows. Under WSL"),
        ("file:///photos", "Give a local path without `file://`: '/photos'."),
        ("ftp://host/a", "Received: 'ftp://host/a'"),
    ],
)
def test_an_image_folder_that_is_none(
    folder: Path, image_folder: str, message: str
) -> None:
    with pytest.raises(DataError) as caught:
        ManifestFiles(str(folder), image_folder)
    assert message.format(folder) in str(caught.value)
