"""Folders that hold the images of other classes again are found by their names."""

from __future__ import annotations

import time

import pytest

from graft.components.ingestion.copies.shared_names import (
    looks_alike,
    repeated_folders,
    telling_names,
)
from graft.components.ingestion.names.folder_counts import count_folders


def _found(files: dict[str, list[str]]) -> dict[str, list[str]]:
    names = [f"{top}/{stem}.jpg" for top, stems in files.items() for stem in stems]
    return {
        found.folder.name: found.classes
        for found in repeated_folders(count_folders(names).filled)
    }


def _count(start: str, number: int = 9) -> list[str]:
    return [f"{start}{i}" for i in range(1, number + 1)]


@pytest.mark.parametrize(
    ("stems", "telling"),
    [
        (["IMG_1", "IMG_2", "IMG_4"], []),
        (["0_0", "1_0", "0_1", "1_1"], []),
        (["s01_a", "s02_a", "s03_a"], []),
        (["1", "900"], ["1", "900"]),
        (["IMG_0412", "IMG_0413"], ["IMG_0412", "IMG_0413"]),
        (["20240101_1200", "20240101_1759"], ["20240101_1200", "20240101_1759"]),
        (["alice", "bob", "1", "2"], ["alice", "bob"]),
        ([], []),
    ],
)
def test_names_that_count_from_1_tell_nothing(
    stems: list[str], telling: list[str]
) -> None:
    assert telling_names(stems) == set(telling)


@pytest.mark.parametrize(
    ("files", "repeated"),
    [
        # A union of the classes, also with the name of the class in front.
        ({"cat": _count("a"), "dog": _count("b"), "all": _count("a") + _count("b")},
         {"all": ["cat", "dog"]}),
        ({"cat": _count(""), "dog": _count(""),
          "alle": _count("cat_") + _count("dog_")}, {"alle": ["cat", "dog"]}),
        ({"cat": ["x", "y"], "dog": ["u", "v"], "wrong": ["x", "u", "v"]},
         {"wrong": ["cat", "dog"]}),
        # The same with an addition to the names.
        ({"cat": ["7f3a", "9b1c", "d4e5"], "dog": ["e77a", "f00d", "aa10"],
          "pool": ["7f3a_cat", "9B1C_cat", "e77a_dog", "f00d_dog"]},
         {"pool": ["cat", "dog"]}),
        ({"cat": _count("c"), "dog": _count("d"),
          "mix": [f"{each}_aug" for each in (*_count("c"), *_count("d"))]},
         {"mix": ["cat", "dog"]}),
        ({"cat": ["ann", "bob", "eve"], "dog": ["u", "v", "w"],
          "gris": ["x_ann", "x_bob", "x_eve"]}, {"gris": ["cat"]}),
        ({"smile": ["ann_smile", "bob_smile", "eve_smile"],
          "frown": ["ann_frown", "bob_frown", "eve_frown"],
          "none": ["ann", "bob", "eve"]}, {}),
        ({"cat": _count(""), "dog": _count(""), "web": _count("x_")}, {}),
        # Some images of one class.
        ({"cat": ["ann", "bob", "eve"], "dog": ["u", "v", "w"],
          "cat web": ["ann", "bob", "eve"]}, {"cat web": ["cat"]}),
        ({"cat": ["7f", "a9", "b3", "99z"], "dog": ["u", "v", "w"],
          "best": ["7f", "a9", "99z"]}, {"best": ["cat"]}),
        # Two cameras that count alike.
        ({"cat": _count("IMG_", 40), "dog": _count("DSC_", 40),
          "hen": _count("IMG_", 9) + _count("DSC_", 9)}, {}),
        ({"cat": _count("IMG_"), "dog": _count("DSC_"),
          "set": _count("IMG_", 8) + _count("DSC_", 7)}, {"set": ["cat", "dog"]}),
        # Classes that count from 1, frames, tiles, persons.
        ({name: _count("IMG_") for name in ("cat", "dog", "hen")}, {}),
        ({"cat": _count("", 9), "dog": _count("", 20), "hen": _count("", 4)}, {}),
        ({"cat": _count("c"), "dog": _count("d"), "hen": _count("c", 3)}, {}),
        ({"cat": ["1", "3", "5", "7"], "dog": ["2", "4", "6"], "hen": ["1", "2"]}, {}),
        ({name: ["ann", "bob", "eve"] for name in ("smile", "frown", "none")}, {}),
        ({"before": ["ann", "bob", "eve"], "after": ["ann", "bob", "eve"]}, {}),
        ({name: [f"t_{x}_{y}" for x in range(4) for y in range(4)]
          for name in ("sea", "wood", "town")}, {}),
        # Names of classes that begin with another one's.
        ({"apple": _count("apple_"), "pie": _count("pie_"),
          "apple_pie": _count("apple_pie_")}, {}),
        ({"red": _count("red"), "green": _count("green"),
          "mixed": _count("redgreen")}, {}),
        ({"airplane": _count("airplane_"), "beach": _count("airplane_"),
          "sea": _count("airplane_")}, {}),
    ],
)  # fmt: skip
def test_folders_of_images_of_other_classes(
    files: dict[str, list[str]], repeated: dict[str, list[str]]
) -> None:
    assert _found(files) == repeated


def test_many_names_take_little_time() -> None:
    files = {
        f"class{c}": [f"{c}_{i:06}" for i in range(500)] + _count("x", 500)
        for c in range(100)
    }
    start = time.monotonic()
    assert _found(files) == {}
    assert time.monotonic() - start < 60


@pytest.mark.parametrize(
    ("top", "others", "is_alike"),
    [
        (["raw/1.jpg"], ["ripe/1.jpg", "rotten/2.jpg"], True),
        (["raw/raw_1.jpg"], ["ripe/ripe_1.jpg", "rotten/rotten_2.JPEG"], True),
        (["logs/loss.png", "logs/acc.png"], ["cat/1.png", "dog/2.png"], False),
        (["logs/1.png"], ["cat/1.jpg", "dog/2.jpg"], False),
        (["runs/a/1.jpg"], ["cat/1.jpg", "dog/2.jpg"], False),
        (["raw/x/1.jpg"], ["ripe/x/1.jpg", "rotten/2.jpg"], True),
        (["raw/my lunch.jpg"], ["ripe/1.jpg", "rotten/2.jpg"], False),
        (["raw/steak1.jpg"], ["ripe/pear1.jpg", "rotten/fig1.jpg"], True),
        (["raw/0a.jpg"], ["ripe/b1c2d.jpg", "ripe/c9x.jpg", "ripe/e.jpg"], True),
    ],
)
def test_images_that_look_as_those_of_other_classes(
    top: list[str], others: list[str], is_alike: bool
) -> None:
    root = count_folders([*top, *others])
    folder, *beside = root.filled
    assert looks_alike(folder, beside) is is_alike
