from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from graft.storage import atomic, listing
from graft.storage.paths import join

NAMES = [
    "cat [1]/a.png",
    "cat [1]/b*.png",
    "dog/#1 50%.png",
    "dog/deep/ü.png",
    "top.txt",
]


@pytest.fixture
def tree(folder: str) -> str:
    for name in NAMES:
        atomic.write_bytes(join(folder, name), name.encode())
    atomic.write_bytes(join(folder, "dog/.hidden"), b"")
    return folder


def test_a_tree_is_listed_the_same_way_everywhere(tree: str) -> None:
    found = listing.list_tree(tree, lambda name, _: name.startswith("."))
    assert [entry.name for entry in found.files] == sorted(NAMES)
    assert found.folders == ["cat [1]", "dog", "dog/deep"]
    assert [entry.path for entry in found.files] == [
        join(tree, n) for n in sorted(NAMES)
    ]
    assert [entry.size for entry in found.files] == [
        len(name.encode()) for name in sorted(NAMES)
    ]
    assert all(entry.modified > 1e18 for entry in found.files)
    assert len(listing.list_tree(tree).files) == len(NAMES) + 1


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("cat [1]/*", ["a.png", "b*.png"]),
        ("*/?.png", ["cat [1]/a.png"]),
        ("*/*", ["cat [1]/a.png", "cat [1]/b*.png", "dog/#1 50%.png"]),
        ("cat [1]/[ab].png", []),
        ("dog/#1 50%.png", ["#1 50%.png"]),
        ("dog/*", ["#1 50%.png"]),
        ("missing/*", []),
        ("missing", []),
    ],
)
def test_only_stars_and_question_marks_are_patterns(
    tree: str, pattern: str, names: list[str]
) -> None:
    found = listing.find_files(join(tree, pattern))
    visible = [entry.name for entry in found if ".hidden" not in entry.name]
    assert sorted(visible) == names
    assert all(
        entry.path.startswith(tree) and entry.size for entry in found if entry.size
    )


def test_a_file_that_is_not_there_has_no_size(folder: str) -> None:
    entry = listing.entry_of(join(folder, "a"), "a")
    assert (entry.size, entry.modified) == (None, 0)
    atomic.write_bytes(join(folder, "a"), b"12")
    assert listing.entry_of(join(folder, "a"), "a").size == 2


def test_a_link_that_leads_back_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "back").symlink_to(tmp_path)
    with pytest.raises(OSError, match="leads back") as caught:
        listing.list_tree(str(tmp_path))
    assert caught.value.errno == errno.ELOOP
    assert caught.value.filename2 == str(tmp_path)


def test_a_dangling_link_is_listed_without_a_size(tmp_path: Path) -> None:
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    (entry,) = listing.list_tree(str(tmp_path)).files
    assert (entry.name, entry.size) == ("gone.png", None)


def test_a_pattern_is_taken_from_the_working_folder_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.tfrecord").write_bytes(b"1")
    monkeypatch.chdir(tmp_path)
    assert [entry.path for entry in listing.find_files("*.tfrecord")] == ["a.tfrecord"]
    absolute = os.path.join(tmp_path, "*.tfrecord")
    assert [entry.name for entry in listing.find_files(absolute)] == ["a.tfrecord"]
