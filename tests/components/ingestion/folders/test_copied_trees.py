"""A folder that holds another one again can be left out."""

from __future__ import annotations

import itertools
import re
import shlex
import time
from pathlib import Path

import pytest

from graft.components.ingestion.folders.copied_trees import (
    with_options_without_copied_tree,
)
from graft.components.ingestion.listing import list_images
from graft.components.ingestion.names.folder_counts import count_folders
from graft.components.ingestion.sources.layout_answers import FolderLayout, Question
from graft.contract.errors import DataError
from graft.pipeline.config import load_config


def _expanded(files: str) -> list[str]:
    names: list[str] = []
    for pattern in files.split():
        parts = re.split(r"(\{[^}]*\})", pattern.replace("#", "{1,2,3,4}"))
        choices = [p[1:-1].split(",") if p[:1] == "{" else [p] for p in parts]
        names += map("".join, itertools.product(*choices))
    return names


# Of a tree: the images that are wanted, and the copy.
TREES = {
    "in itself": ("pets/{cat,dog}/#.jpg", "pets/pets/{cat,dog}/#.jpg"),
    "in itself, with splits": (
        "xray/{train,test}/{ill,well}/#.jpg", "xray/xray/{train,test}/{ill,well}/#.jpg",
    ),
    "Simpsons": (
        "simpsons/{bart,lisa}/#.jpg",
        "simpsons/simpsons/{bart,lisa}/#.jpg testset/testset/bart_#.jpg",
    ),
    "in another folder": ("pets/{cat,dog}/#.jpg", "extracted/pets/{cat,dog}/#.jpg"),
    "parts in another folder": (
        "{00,01}/{palm,fist}/#.jpg", "hands/{00,01}/{palm,fist}/#.jpg",
    ),
    "splits in another folder": (
        "{train,test}/{cat,dog}/#.jpg", "extracted/{train,test}/{cat,dog}/#.jpg",
    ),
    "splits of one name": (
        "real/{train,test}/{cat,dog}/#.jpg",
        "fullset/real/{train,test}/{cat,dog}/#.jpg",
    ),
    "classes in another folder": ("{cat,dog}/#.jpg", "x/{cat,dog}/#.jpg"),
}  # fmt: skip


@pytest.mark.parametrize(("wanted", "copy"), TREES.values(), ids=TREES)
def test_an_option_reads_the_tree_without_its_copy(
    tmp_path: Path, wanted: str, copy: str
) -> None:
    for name in _expanded(f"{wanted} {copy}"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    with pytest.raises(DataError) as stopped:
        list_images(load_config(None, data=str(tmp_path)).data, "unused")
    read = []
    for line in re.findall(r"^  \d\. (.*)$", str(stopped.value), re.MULTILINE):
        words = list(itertools.pairwise(shlex.split(line)))
        data = dict(words).get("--data", str(tmp_path))
        overrides = [after for word, after in words if word == "--set"]
        config = load_config(None, data=data, overrides=overrides).data
        refs = list_images(config, "unused").refs
        labels = {ref.path[len(str(tmp_path)) + 1 :]: ref.class_name for ref in refs}
        read.append(labels)
    assert {name: name.split("/")[-2] for name in _expanded(wanted)} in read, read


@pytest.mark.parametrize(
    "files",
    [
        "{cat,dog}/#.jpg test/{cat,dog}/#.jpg",
        "kitchen/{cat,dog}/#.jpg garden/{cat,dog}/#.jpg",
        "pets/{cat,dog}/#.jpg pets/web/{cat,dog}/x#.jpg",
        "pets/{cat,dog}/#.jpg old/pets/{cat,dog}/{7,8}#.jpg",
        "{train,test}/{cat,dog}/#.jpg",
        "{site1,site2}/{2020-01-01,2020-02-01}/{deer,fox}/#.jpg",
    ],
)
def test_other_trees_have_no_such_option(files: str) -> None:
    question = Question("?")
    root = count_folders(_expanded(files))

    def detect(folder: object) -> FolderLayout:
        raise AssertionError(folder)

    assert with_options_without_copied_tree(root, question, detect) is question


def test_thousands_of_classes_with_folders_cost_little() -> None:
    names = [f"{c}/{s}/1.jpg" for c in range(5000) for s in ("a", "b")]
    root = count_folders(names)
    start = time.process_time()
    with_options_without_copied_tree(root, Question("?"), lambda _: Question("?"))
    assert time.process_time() - start < 60
