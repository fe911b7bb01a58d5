"""Of a folder, all files are taken but those that ingestion leaves aside by name."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.image_ref import read_bytes
from graft.serving.image_files import MOST_BYTES, find_images, read_image
from graft.storage import left_aside

JPEG = b"\xff\xd8\xff\xe0 and so on"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.jfif", "c", "d.jpg_large", "f.jpe", "sub/e.JPG"):
        _write(tmp_path / name, JPEG)
    _write(tmp_path / "._a.jpg", b"\0\5\x16\7")
    _write(tmp_path / "__MACOSX/._a.jpg", b"\0\5\x16\7")
    _write(tmp_path / "a.jpg:Zone.Identifier", b"[ZoneTransfer]")
    _write(tmp_path / "notes.txt", JPEG)
    _write(tmp_path / "settings", b"no image at all")
    return tmp_path


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_a_folder_is_read_as_ingestion_reads_it(folder: Path) -> None:
    found = find_images([str(folder)])
    assert [str(path.relative_to(folder)) for path in found.paths] == [
        "a.jpg", "b.jfif", "c", "d.jpg_large", "f.jpe", "settings", "sub/e.JPG"
    ]  # fmt: skip
    assert found.left_aside == {
        left_aside.MACOS: 2,
        left_aside.WINDOWS: 1,
        ".txt": 1,
    }
    assert found.describe_left_aside() == (
        "4 files left aside: 2 of macOS, 1 .txt, 1 of Windows\n"
    )


def test_every_other_file_is_answered_or_refused(tmp_path: Path) -> None:
    """The files are those that ingestion lists, so that no format is missed here."""
    names = ["a.ppm", "b.tga", "c.jp2k", "d", "empty.png", "phone.HEIC", "text.jpg"]
    for name in names:
        _write(tmp_path / "cat" / name, b"no image")
    _write(tmp_path / "cat" / "e.json", b"{}")
    _write(tmp_path / "cat" / ".hidden", b"")
    found = find_images([str(tmp_path)])
    assert [path.name for path in found.paths] == names
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog" / "1.jpg").touch()
    listed = list_images(DataConfig(path=str(tmp_path)), "unused")
    assert {ref.name for ref in listed.refs} == {f"cat/{name}" for name in names} | {
        "dog/1.jpg"
    }
    assert listed.ignored == found.left_aside


def test_a_file_given_by_its_name_is_never_left_aside(folder: Path) -> None:
    names = [str(folder / name) for name in ("._a.jpg", "notes.txt", "settings")]
    found = find_images(names)
    assert [str(path) for path in found.paths] == names
    assert not found.left_aside


def test_a_pattern_is_read_as_a_folder_is(folder: Path) -> None:
    found = find_images([str(folder / "*")])
    assert [path.name for path in found.paths] == [
        "a.jpg", "b.jfif", "c", "d.jpg_large", "f.jpe", "settings"
    ]  # fmt: skip
    assert found.left_aside.total() == 2


def test_home_and_folders_without_images(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert [path.name for path in find_images(["~/sub"]).paths] == ["e.JPG"]
    _write(folder / "texts" / "a.txt", b"a")
    with pytest.raises(FileNotFoundError, match=r"texts'; left aside: 1 \.txt"):
        find_images([str(folder / "texts")])
    with pytest.raises(FileNotFoundError, match=r"no image at .*Did you mean .*sub"):
        find_images([str(folder / "SUB")])


def test_a_link_that_leads_back_is_left_aside(folder: Path) -> None:
    before = find_images([str(folder)])
    (folder / "sub" / "back").symlink_to(folder)
    after = find_images([str(folder)])
    assert before.paths == after.paths
    assert after.left_aside["links back to a folder above"] == 1
    assert "1 links back to a folder above" in after.describe_left_aside()


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "name", ["pipe", "pipe.png", "socket.png", "link.png", "dangling.png"]
)
def test_what_is_no_file_is_refused_as_ingestion_does(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path / "cat" / "a.jpg", JPEG)
    _write(tmp_path / "dog" / "b.jpg", JPEG)
    path = tmp_path / "cat" / name
    if name.startswith("pipe"):
        os.mkfifo(path)
    elif name.startswith("socket"):
        monkeypatch.chdir(path.parent)  # the address of a socket is short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(name)
    else:
        os.mkfifo(tmp_path / "cat" / ".pipe")
        path.symlink_to(".pipe" if name.startswith("link") else "nowhere")
    listed = list_images(DataConfig(path=str(tmp_path)), "unused")
    (ref,) = [ref for ref in listed.refs if ref.path == str(path)]
    with pytest.raises(ValueError) as of_ingestion:
        read_bytes(ref, MOST_BYTES)
    for argument in (str(tmp_path), str(tmp_path / "*/*"), str(path)):
        found = find_images([argument])
        assert path in found.paths
        with pytest.raises(OSError) as of_predict:
            read_image(path)
        assert str(of_predict.value.strerror) in str(of_ingestion.value)


def test_nothing_found_says_what_to_give(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"1 \.txt\. Give image files, folders"):
        find_images([str(tmp_path)])


@pytest.mark.timeout(30)
def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    image = tmp_path / "huge.png"
    image.touch()
    os.truncate(image, 20 << 30)
    with pytest.raises(OSError, match="it is larger than 256 MiB"):
        read_image(image)
    image.write_bytes(b"small")
    assert read_image(image) == b"small"


def test_the_limit_is_that_of_ingestion() -> None:
    assert DataConfig.model_fields["max_file_bytes"].default == MOST_BYTES
