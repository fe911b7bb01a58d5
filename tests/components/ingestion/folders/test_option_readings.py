"""No option of a question stops when it is followed, and no two read the same."""

from __future__ import annotations

import itertools
import re
import shlex
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from graft.components.ingestion.folders.option_readings import with_options_that_read
from graft.components.ingestion.listing import list_images
from graft.components.ingestion.names.folder_counts import count_folders
from graft.components.ingestion.sources.layout_answers import Option, Question
from graft.components.ingestion.summary import select_classes
from graft.contract.errors import DataError
from graft.pipeline.config import load_config

Make = Callable[[str], Path]


@pytest.fixture
def make_tree(tmp_path: Path) -> Make:
    def make(files: str) -> Path:
        for pattern in files.split():
            parts = re.split(r"(\{[^}]*\})", pattern.replace("#", "{1,2,3,4,5,6}"))
            choices = [p[1:-1].split(",") if p[:1] == "{" else [p] for p in parts]
            for name in map("".join, itertools.product(*choices)):
                path = tmp_path / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(name)
        return tmp_path

    return make


def _followed(root: Path, *given: str) -> list[str]:
    """Follow each option, and return what it reads: images by class and first split."""
    with pytest.raises(DataError) as stopped:
        list_images(load_config(None, data=str(root), overrides=given).data, "unused")
    read = []
    for line in re.findall(r"^  \d\. (.*)$", str(stopped.value), re.MULTILINE):
        words = list(itertools.pairwise(shlex.split(line)))
        data = dict(words).get("--data", str(root))
        overrides = [*given, *(after for word, after in words if word == "--set")]
        config = load_config(None, data=data, overrides=overrides).data
        refs = select_classes(list_images(config, "unused"), config)
        counts = Counter(f"{ref.class_name} {ref.splits[0]}" for ref in refs)
        read.append(" ".join(f"{key} {n}" for key, n in sorted(counts.items())))
    assert read, str(stopped.value)
    return read


# Of a tree: what one of its options reads.
TREES = {
    "splits in a folder called train": (
        "train/{train,val}/{cat,dog}/#.jpg",
        "cat test 6 cat train 6 dog test 6 dog train 6",
    ),
    "three splits in a folder called training": (
        "training/{train,val,test}/{cat,dog}/#.jpg",
        "cat eval 6 cat test 6 cat train 6 dog eval 6 dog test 6 dog train 6",
    ),
    "splits in train, beside test": (
        "train/{train,val}/{cat,dog}/#.jpg test/{cat,dog}/#.jpg",
        "cat eval 6 cat test 6 cat train 6 dog eval 6 dog test 6 dog train 6",
    ),
    "a part of one class beside test with an image": (
        "part_a/cat/thumbs/#.jpg part_b/dog/#.jpg test/{cat,dog}/#.jpg test/x.jpg",
        "cat train 12 dog train 12",
    ),
    "a folder with one image": (
        "fruits/{Train,Test}/{apple,pear}/#.jpg papers/x.png",
        "apple test 6 apple train 6 pear test 6 pear train 6",
    ),
    "a class with two images": (
        "animals/{cat,dog,hen}/#.jpg animals/owl/{1,2}.jpg things/{cup,pen}/#.jpg",
        "cat train 6 cup train 6 dog train 6 hen train 6 pen train 6",
    ),
    "MVTec": (
        "bottle/train/good/#.png bottle/test/{good,broken}/#.png "
        "bottle/ground_truth/broken/#_mask.png",
        "broken train 6 good train 12",
    ),
    "several sets of MVTec": (
        "{bottle,cable}/train/good/#.png {bottle,cable}/test/{good,broken}/#.png "
        "{bottle,cable}/ground_truth/broken/#_mask.png",
        "broken train 12 good train 24",
    ),
    "sites with splits beside a class": (
        "{site_a,site_b}/{train,test}/{mouse,rat}/#.jpg owl/#.jpg",
        "mouse test 12 mouse train 12 owl train 6 rat test 12 rat train 12",
    ),
    "classes that are in test only": (
        "pets/train/{cat,dog}/#.jpg pets/test/{cat,dog,hen}/#.jpg papers/{x,y,z}.png",
        "cat train 12 dog train 12 hen train 6",
    ),
    "abbreviations of splits in names": (
        "{cat,dog}/{tr,te}_#.jpg",
        "cat test 6 cat train 6 dog test 6 dog train 6",
    ),
    "copies of classes beside them": (
        "{cat,dog}/{7f3a,9b1c,d4e5}.jpg gris/{cat,dog}/{7f3a,9b1c,d4e5}.jpg",
        "cat train 3 dog train 3",
    ),
}


@pytest.mark.parametrize(("files", "wanted"), TREES.values(), ids=TREES)
def test_each_option_reads_the_tree(make_tree: Make, files: str, wanted: str) -> None:
    read = _followed(make_tree(files))
    assert wanted in read, read
    assert len(set(read)) == len(read)


def test_the_number_that_the_config_asks_for_holds(make_tree: Make) -> None:
    root = make_tree("animals/{cat,dog}/#.jpg animals/owl/{1,2}.jpg things/#.jpg")
    wanted = "cat train 6 dog train 6 owl train 2 things train 6"
    assert wanted not in _followed(root)
    assert wanted in _followed(root, "data.min_images_per_class=2")


def _question(*settings: dict[str, object]) -> Question:
    return Question("?", tuple(Option(each, "read") for each in settings))


def test_a_class_that_is_left_out_is_named() -> None:
    root = count_folders(
        [f"{t}/{i}.jpg" for t in ("a", "b") for i in range(5)] + ["c/1.jpg"]
    )
    (option,) = with_options_that_read(
        root, _question({"format": "folders"}), 3
    ).options
    assert option.settings == {"format": "folders", "class_names": ["a", "b"]}
    assert option.meaning == (
        "read; without the class 'c' (1), since each class needs 3 images"
    )


def test_the_only_option_says_why_it_would_stop() -> None:
    root = count_folders(["a/1.jpg", "b/1.jpg"])
    (option,) = with_options_that_read(
        root, _question({"format": "folders"}), 3
    ).options
    assert option.meaning == (
        "read; it would stop: each class needs 3 images, and there are 'a' (1), 'b' (1)"
    )


def test_an_option_that_reads_the_same_is_left_out() -> None:
    root = count_folders([f"{t}/{i}.jpg" for t in ("a", "b") for i in range(5)])
    same: list[dict[str, object]] = [
        {"format": "folders"},
        {"class_pattern": "(?P<class>[^/]+)/.+"},
        {"class_pattern": "(?P<class>.+)/[^/]+"},
    ]
    table: dict[str, object] = {"path": "labels.csv"}
    options = with_options_that_read(root, _question(*same, table), 3).options
    assert [option.settings for option in options] == [{"format": "folders"}, table]


def test_classes_in_a_folder_called_train_alone_are_read(make_tree: Make) -> None:
    root = make_tree("train/{cat,dog,test}/#.jpg")
    refs = list_images(load_config(None, data=str(root)).data, "unused").refs
    assert Counter(ref.class_name for ref in refs) == {"cat": 6, "dog": 6, "test": 6}
