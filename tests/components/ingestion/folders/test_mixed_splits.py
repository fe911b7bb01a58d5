"""Splits of which some are of another kind than the others have an option."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from graft.components.ingestion.folders.layout_detection import detect_layout
from graft.components.ingestion.listing import list_images
from graft.components.ingestion.names.folder_counts import count_folders
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.layout_answers import Question


def _expanded(files: str) -> list[str]:
    names: list[str] = []
    for pattern in files.split():
        parts = re.split(r"(\{[^}]*\})", pattern.replace("#", "{1,2,3,4}"))
        choices = [p[1:-1].split(",") if p[:1] == "{" else [p] for p in parts]
        names += map("".join, itertools.product(*choices))
    return names


def _readings(root: Path, files: str) -> list[dict[str, int]]:
    """Return what each option of the question reads: images by class and split."""
    names = [name.replace("~", " ") for name in _expanded(files)]
    question = detect_layout(count_folders(names))
    assert isinstance(question, Question), question
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    read = []
    for option in question.options:
        fields: dict[str, Any] = dict(option.settings)
        path = root / str(fields.pop("path", ""))
        refs = list_images(DataConfig(path=str(path), **fields), "unused").refs
        counts = Counter(f"{ref.class_name} {ref.splits[0]}" for ref in refs)
        read.append(dict(counts))
    return read


@pytest.mark.parametrize(
    "files",
    [
        "{train,test}/{cat,dog}/#.jpg val/{cat,dog}_#.jpg",
        "{train,test}/{cat,big_dog}/#_1.jpg val/{cat,big_dog}#.jpg",
        "{train,test}/{cat,dog}/#.jpg val/{cat,dog}~(#).jpg",
    ],
)
def test_a_split_with_classes_in_its_files_beside_class_folders(
    tmp_path: Path, files: str
) -> None:
    dog = "big_dog" if "big_dog" in files else "dog"
    splits = ("train", "eval", "test")
    wanted = {f"{name} {split}": 4 for name in ("cat", dog) for split in splits}
    assert wanted in _readings(tmp_path, files)


@pytest.mark.parametrize(
    "files",
    [
        "{train,test}/{cat,dog}/#.jpg train_aug/{cat,dog}/x_#.jpg",
        "{train,test}/{cat,dog}/#.jpg train_small/{cat,dog}/{1,2}.jpg test2/t#.jpg",
    ],
)
def test_a_second_folder_of_a_split_can_be_left_out(tmp_path: Path, files: str) -> None:
    wanted = {f"{c} {split}": 4 for c in ("cat", "dog") for split in ("train", "test")}
    assert wanted in _readings(tmp_path, files)


def test_files_of_other_names_are_not_read() -> None:
    names = _expanded("{train,test}/{cat,dog}/#.jpg val/{cat,hen}_#.jpg")
    question = detect_layout(count_folders(names))
    assert isinstance(question, Question)
    assert not any("say the class" in option.meaning for option in question.options)
