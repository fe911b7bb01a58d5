"""Subfolders of class folders lead to a question if they may be the classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from graft.components.ingestion.listing import list_images
from graft.components.ingestion.names.class_levels import (
    folders_that_may_be_classes,
    options_of_levels,
)
from graft.components.ingestion.names.folder_counts import Folder, count_folders
from graft.components.ingestion.names.folder_names import is_source
from graft.components.ingestion.sources.config import DataConfig


def _root(*folders: str, files: tuple[str, ...] = ()) -> Folder:
    return count_folders([*(f"{folder}/1.jpg" for folder in folders), *files])


@pytest.mark.parametrize(
    ("folders", "inner"),
    [
        (["animals/cat", "animals/dog", "things/cup"], ["animals/cat", "animals/dog"]),
        (["odd/1", "odd/3", "even/0", "even/2"], ["odd/1", "odd/3"]),
        (["a/cat", "a/dog", "b/cup", "b/dog"], ["a/cat", "a/dog"]),
        (["a/2020/cat", "a/2020/dog", "b/2021/cup"], ["a/2020/cat", "a/2020/dog"]),
        (["a/x/cat/s", "a/x/dog/s", "b/y/cup"], ["a/x/cat", "a/x/dog"]),
        (["animals/cat", "animals/dog", "cup"], ["animals/cat", "animals/dog"]),
        (["cat", "dog", "cat/dog"], ["cat/dog"]),
        (["yes", "no", "all/yes", "all/no"], ["all/no", "all/yes"]),
        (["day/car", "day/bus", "night/car", "night/bus"], ["day/bus", "day/car"]),
        (
            ["a/imgs/car", "a/imgs/bus", "b/x/bus", "b/x/car"],
            ["a/imgs/bus", "a/imgs/car"],
        ),
        (["cat/cat", "dog/dog"], []),
        (["cat/2020", "cat/2021", "dog/2020", "dog/2021"], []),
        (["cat/a", "dog/b"], []),
        (["cat/2020-01-02", "cat/2020-01-03", "dog/2021"], []),
        (["cat/session1", "cat/Session 2", "dog/100CANON"], []),
        (["station/day", "station/night", "stop/day"], []),
        (
            ["animals/cat", "animals/dog", "cup", "pen"],
            ["animals/cat", "animals/dog"],
        ),
        (["cat/train", "cat/images", "dog/raw"], []),
    ],
)
def test_which_folders_may_be_classes(folders: list[str], inner: list[str]) -> None:
    assert folders_that_may_be_classes(_root(*folders).filled) == inner


def test_images_in_the_class_folder_show_that_it_is_one() -> None:
    files = ("animals/1.jpg", "animals/2.jpg")
    root = _root("animals/cat", "animals/dog", "things/cup", files=files)
    assert folders_that_may_be_classes(root.filled) == []


def test_a_few_images_beside_the_folders_show_nothing() -> None:
    root = _root("animals/cat", "animals/dog", "things/cup", files=("animals/1.jpg",))
    found = folders_that_may_be_classes(root.filled)
    assert found == ["animals/cat", "animals/dog"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("2021", True), ("2021-05-06", True), ("20210506_120000", True),
        ("06.05.2021", True), ("100CANON", True), ("DCIM", False), ("cam-2", True),
        ("fold_1", True), ("images", True), ("test", True), ("1", False),
        ("type1", False), ("Audi A4 2012", False), ("n01440764", False),
        ("3021", False), ("studio", False),
    ],
)  # fmt: skip
def test_names_of_sources(name: str, expected: bool) -> None:
    assert is_source(name) is expected


def test_each_level_has_an_option() -> None:
    root = _root("a/x/cat", "a/x/dog", "b/y/cat", files=("b/y/cat/2.jpg", "0.jpg"))
    found = [
        (option.settings["class_pattern"], option.meaning)
        for option in options_of_levels(root, {})
    ]
    assert found == [
        (
            "[^/]+/(?P<class>[^/]+)/.+",
            "the second folder is the class: 2 classes: 'x' (2), 'y' (2); left aside: "
            "1",
        ),
        (
            "(?:.+/)?(?P<class>[^/]+)/[^/]+",
            "the lowest folder is the class: 2 classes: 'cat' (3), 'dog' (1); left "
            "aside: 1",
        ),
        (
            "(?P<class>.+)/[^/]+",
            "the whole path is the class: 3 classes: 'a/x/cat' (1), 'a/x/dog' (1), "
            "'b/y/cat' (2); left aside: 1",
        ),
    ]


def test_split_folders_of_any_depth_are_skipped(tmp_path: Path) -> None:
    names = [
        f"{split}/{name}/1.jpg"
        for split in ("train", "other/test (1)")
        for name in ("animals/cat", "things/cup", "things/pen")
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(name)
    splits = {"train": ("train",), "test": ("other/test (1)",)}
    *_, whole = options_of_levels(count_folders(names), splits)
    listing = list_images(DataConfig(path=str(tmp_path), **whole.settings), "unused")
    assert {(ref.class_name, ref.splits) for ref in listing.refs} == {
        (name, splits)
        for name in ("animals/cat", "things/cup", "things/pen")
        for splits in (("train", "eval"), ("test",))
    }


def test_nested_folders_in_splits_are_told(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for name in ("cat/studio", "dog"):
            (tmp_path / split / name).mkdir(parents=True)
            (tmp_path / split / name / "1.jpg").write_text(split + name)
    listing = list_images(DataConfig(path=str(tmp_path)), "unused")
    assert (
        "The class 'cat' holds folders: 'studio'. The images in them count as images "
        "of the class." in listing.warnings
    )
