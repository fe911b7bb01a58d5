"""A layout that the config names is read, with a line for each doubt."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig

CLASSES = ("cat", "dog")
LOWEST = {"class_pattern": "(?:.+/)?(?P<class>[^/]+)/[^/]+"}
IN_NAME = {"class_pattern": r"(?P<class>.+)_\d+"}
FOLDERS = {"format": "folders"}
SPLITS = {"split_folders": {"train": "train", "test": "test"}}


def _warnings(root: Path, names: Iterable[str], settings: dict[str, Any]) -> str:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    config = DataConfig(path=str(root), **settings)
    return "\n".join(list_images(config, "unused").warnings)


def _files(*patterns: str, above: str = "") -> list[str]:
    """Return files of each class: "=" is its name, "#" a number."""
    return [
        above + pattern.replace("=", name).replace("#", str(number))
        for pattern in patterns
        for name in CLASSES
        for number in range(9)
    ]


@pytest.mark.parametrize(
    ("names", "settings", "what"),
    [
        (_files("=/#.jpg", "=/#_mask.png"), FOLDERS, "seem to be masks of others"),
        (_files("=/#.jpg", "=/#_thumb.jpg"), FOLDERS, "may be made of it"),
        (_files("=/a#_flip_0.jpg", "=/a#_flip_1.jpg"), FOLDERS, "copies of the same"),
        (_files("=/#.jpg", "=/#.png"), FOLDERS, "in another format"),
        (_files("=/=#.jpg", "all/=#.jpg"), FOLDERS, "The class 'all' has 18 images"),
        (_files("train/=/#.jpg", "test/=/#.jpg"), FOLDERS,
         "The classes 'test', 'train' have the names of a split"),
        (["train_1.jpg", "train_2.jpg", "test_1.jpg", "test_2.jpg"], IN_NAME,
         "The classes 'test', 'train' have the names of splits"),
        (_files("train/=/#.jpg", "x/=/#.jpg", "val/=/#.jpg"), FOLDERS,
         "The classes 'train', 'val' have the names of a split"),
        (_files("train_=/#.jpg", "test_=/#.jpg"), FOLDERS, "seem to hold one class"),
        (_files("=/train/#.jpg", "=/test/#.jpg"), FOLDERS,
         "hold folders with names of splits, 'test', 'train'"),
        (_files("train/=/t#.jpg", "test/=/#.jpg", "train/=/t#_thumb.jpg"), SPLITS,
         "may be made of it"),
        (_files("train/=/#.jpg", "test/=/#.jpg", "train/=/#_mask.png"), SPLITS,
         "seem to be masks of others"),
        (_files("train/=/=#.jpg", "test/=/#.jpg", "train/all/=#.jpg"),
         {"format": "pre_split"}, "The class 'all' has 18 images"),
        (_files("train/=/#.jpg", "test/=/#.jpg"), LOWEST,
         "36 of 36 paths name a split"),
        (_files("train_=_#.jpg", "test_=_#.jpg"), IN_NAME, "seem to hold one class"),
        (_files("=_train/#.jpg", "=_test/#.jpg"), LOWEST, "seem to hold one class"),
    ],
)  # fmt: skip
def test_what_would_be_asked_about_is_told(
    tmp_path: Path, names: list[str], settings: dict[str, Any], what: str
) -> None:
    warnings = _warnings(tmp_path, names, settings)
    (line,) = [each for each in warnings.splitlines() if what in each]
    if settings is FOLDERS:
        assert line.endswith("It is read so, since `data.format` is set.")


@pytest.mark.parametrize(
    ("names", "settings"),
    [
        (_files("=/#.jpg"), FOLDERS),
        (_files("=/studio/#.jpg", "train/#.jpg"), FOLDERS),
        (_files("train/=/#.jpg", "test/=/#.jpg"), SPLITS),
        (_files("train/=/#.jpg", "test/=/#.jpg"), {"format": "pre_split"}),
        (_files("a/=/#.jpg", "b/=/#.jpg"), LOWEST),
        (_files("=_#.jpg"), IN_NAME),
        (_files("train/=/#.jpg", "test/=/#.jpg"),
         {"class_pattern": "(?P<split>[^/]+)/(?P<class>[^/]+)/.+"}),
    ],
)  # fmt: skip
def test_a_plain_layout_has_no_warning(
    tmp_path: Path, names: list[str], settings: dict[str, Any]
) -> None:
    warnings = _warnings(tmp_path, names, settings).splitlines()
    assert not [line for line in warnings if not line.endswith("images of the class.")]
