"""A manifest without a split column whose paths name the splits."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.components.ingestion import listing
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.tables.manifests import list_images
from graft.components.ingestion.tables.path_splits import roles_of_paths

NO_SPLITS = st.sampled_from(["cat", "dog", "img", "a", "2024", "trainer", "contest"])


@pytest.mark.parametrize(
    "names",
    [
        ("train/{}.jpg", "val/{}.jpg", "test/{}.jpg"),
        (
            "a/cat/Training/{}.jpg",
            "a/dog/Validation/{}.jpg",
            "a/x/test/{}.jpg",
        ),
        ("train\\a\\{}.jpg", "valid\\a\\b\\{}.jpg", "test\\{}.jpg"),
        ("cat_{}_train.png", "cat_{}_val.png", "dog-{}-test.png"),
        ("images/train_{}_aligned.jpg", "images/val_{}.jpg", "images/test_{}.jpg"),
        ("all/a/b/train/{}.jpg", "all/val/{}.jpg", "all/a/test/{}.jpg"),
        # Evaluation beside validation is the test set.
        ("training/{}.jpg", "validation/{}.jpg", "evaluation/{}.jpg"),
        ("train_{}.jpg", "dev_{}.jpg", "eval_{}.jpg"),
        ("a/Train/{}.jpg", "a/Val/{}.jpg", "a/Eval/{}.jpg"),
    ],
)
def test_paths_that_name_the_splits_give_them(names):
    paths = [name.format(number) for number in range(3) for name in names]
    found = roles_of_paths(paths, ["cat"] * len(paths))
    assert found == ["train", "validation", "test"] * 3


@pytest.mark.parametrize(
    "paths",
    [
        [],
        ["train/1.jpg", "train/2.jpg"],
        ["train/1.jpg", "plane/2.jpg"],
        ["test/1.jpg", "val/2.jpg"],
        ["trainer_1.jpg", "contest_2.jpg"],
        ["1.jpg", "2.jpg"],
    ],
)
def test_other_paths_say_nothing(paths):
    assert not any(roles_of_paths(paths, ["cat"] * len(paths)))


@given(st.lists(st.tuples(NO_SPLITS, NO_SPLITS), min_size=1))
def test_ordinary_paths_say_nothing(words):
    paths = [f"{first}/{second}_{n}.jpg" for n, (first, second) in enumerate(words)]
    assert not any(roles_of_paths(paths, ["cat"] * len(paths)))


def test_words_of_the_labels_are_no_splits():
    paths = ["i/test_rig_1.png", "i/train_wagon_1.png", "i/Train_wagon_2.png"]
    assert not any(roles_of_paths(paths, ["test rig", "train wagon", "train wagon"]))
    assert all(roles_of_paths(paths, ["rig", "wagon", "wagon"]))


def write(folder: Path, header: str, lines: list[str]) -> str:
    path = folder / "labels.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return str(path)


def splits_of(path: str) -> dict[str, set[tuple[str, ...]]]:
    found = list_images(path, "csv", DataConfig(path=path))
    by_folder: dict[str, set[tuple[str, ...]]] = {}
    for ref in found.refs:
        by_folder.setdefault(ref.name.split("/")[0], set()).add(ref.splits)
    return by_folder


@pytest.fixture
def lines(tmp_path: Path) -> list[str]:
    names = [f"{split}/{n}.jpg" for split in ("train", "test") for n in range(4)]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return [f"{name},{'cat' if n % 2 else 'dog'}" for n, name in enumerate(names)]


def test_the_splits_of_a_manifest_s_paths_hold_and_are_told(tmp_path, lines):
    path = write(tmp_path, "path,label", lines)
    assert splits_of(path) == {"train": {("train", "eval")}, "test": {("test",)}}
    found = list_images(path, "csv", DataConfig(path=path))
    assert any("name the splits: 4 train, 4 test" in each for each in found.warnings)


def test_a_split_column_counts_more_than_the_paths(tmp_path, lines):
    path = write(tmp_path, "path,label,split", [f"{line}," for line in lines])
    every = {("train", "eval", "test")}
    assert splits_of(path) == {"train": every, "test": every}
    given_splits = [
        f"{line},{'test' if line.startswith('train') else 'train'}" for line in lines
    ]
    path = write(tmp_path, "path,label,split", given_splits)
    assert splits_of(path) == {"train": {("test",)}, "test": {("train", "eval")}}


def test_splits_of_some_paths_are_told_and_do_not_hold(tmp_path, lines):
    (tmp_path / "new.jpg").touch()
    path = write(tmp_path, "path,label", [*lines, "new.jpg,cat"])
    every = {("train", "eval", "test")}
    assert splits_of(path) == {"train": every, "test": every, "new.jpg": every}
    found = list_images(path, "csv", DataConfig(path=path))
    (warning,) = [each for each in found.warnings if "name a split" in each]
    assert "8 of 9 paths name a split: 4 train, 4 test" in warning
    assert "'new.jpg'" in warning
    assert "column 'split'" in warning


@pytest.mark.parametrize(
    ("usual", "other", "told"),
    [
        ("images/{}.jpg", "test/{}.jpg", "2 of 10 paths name a split: 2 test"),
        ("a/pets/{}.jpg", "a/pets_test/{}.jpg", "2 of 10 paths name a split: 2 test"),
        ("cat/{}.jpg", "blood/{}.jpg", ""),
        ("test/{}.jpg", "test/{}.png", ""),
    ],
)
def test_a_split_beside_folders_of_none_is_told(
    tmp_path: Path, usual: str, other: str, told: str
) -> None:
    names = [(usual if n % 5 else other).format(n) for n in range(10)]
    lines = [f"{name},{('cat', 'dog')[n % 2]}" for n, name in enumerate(names)]
    path = write(tmp_path, "path,label", lines)
    found = list_images(path, "csv", DataConfig(path=path)).warnings
    warnings = [each for each in found if "name a split" in each]
    assert len(warnings) == bool(told)
    assert all(each.startswith(told) for each in warnings)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("{split}/{label}/{n}.jpg", "[^/]+/(?P<class>[^/]+)/.+"),
        ("{label}/{split}/{n}.jpg", "(?P<class>[^/]+)/.+"),
        ("x/{split}_{label}_{n}.jpg", r"[a-z]+_(?P<class>[a-z]+)_\d+"),
        ("{label}/{n}_{split}.jpg", "(?P<class>[^/]+)/.+"),
    ],
)
def test_splits_that_a_pattern_does_not_read_are_told(tmp_path, name, pattern):
    for split in ("train", "test"):
        for label in ("cat", "dog"):
            for n in range(3):
                path = tmp_path / name.format(split=split, label=label, n=n)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    config = DataConfig(path=str(tmp_path), class_pattern=pattern)
    found = listing.list_images(config, "unused")
    (warning,) = [each for each in found.warnings if "name a split" in each]
    assert "12 of 12 paths name a split" in warning
    assert "no group `split`" in warning
    fields = {"split_folders": {"train": "train", "test": "test"}}
    if name.startswith("{split}"):
        config = DataConfig(path=str(tmp_path), class_pattern=pattern, **fields)
        found = listing.list_images(config, "unused")
        assert not any("name a split" in each for each in found.warnings)


def test_evaluation_beside_a_test_set_is_no_second_one():
    paths = [f"{split}/1.jpg" for split in ("train", "val", "eval", "test")]
    found = roles_of_paths(paths, ["cat"] * 4)
    assert found == ["train", "validation", "validation", "test"]
