"""The same names in several given splits are told, unless they count."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig

HASHES = ("3f2a9c", "9c0e1b7a", "b41d", "0aa3f9e2", "e5b17c")
WORDS = ("sunset", "beach", "hill", "lake", "wood")
SAID = "in another given split"


def _warnings(root: Path, names: list[str]) -> list[str]:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return list_images(DataConfig(path=str(root)), "unused").warnings


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ([f"{x}.jpg" for x in HASHES], [f"{x}.jpg" for x in HASHES]),
        ([f"{x}.jpg" for x in WORDS], [f"{x}.png" for x in WORDS]),
        ([f"{x}_1.jpg" for x in HASHES], [f"{x}_2.jpg" for x in HASHES]),
        (
            [f"{x}_{n}.jpg" for x in WORDS for n in (1, 2, 3)],
            [f"{x}.jpg" for x in WORDS],
        ),
    ],
)
def test_the_same_names_in_two_splits_are_told(
    tmp_path: Path, train: list[str], test: list[str]
) -> None:
    names = [f"train/{c}/{name}" for c, name in product(("cat", "dog"), train)]
    names += [f"test/{c}/{name}" for c, name in product(("cat", "dog"), test)]
    (warning,) = [each for each in _warnings(tmp_path, names) if SAID in each]
    assert warning.startswith(f"{len(names)} images of {len(names)} images ")
    assert "'test/cat/" in warning or "'train/cat/" in warning


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ([f"{n}.jpg" for n in range(9)], [f"{n}.jpg" for n in range(9)]),
        ([f"IMG_{n:04}.jpg" for n in range(9)], [f"IMG_{n:04}.jpg" for n in range(9)]),
        ([f"a ({n}).jpg" for n in range(9)], [f"a ({n}).jpg" for n in range(9)]),
        ([f"a{n}_b1.jpg" for n in range(9)], [f"a{n}_b1.jpg" for n in range(9)]),
        ([f"{n:08x}.jpg" for n in range(40)], [f"{n:08x}.jpg" for n in range(40)]),
        ([f"cat_{n}.jpg" for n in range(9)], [f"cat_{n}.jpg" for n in range(9, 18)]),
        (
            [f"{x}_{n}.jpg" for x in WORDS for n in range(20)],
            [f"{x}_{n}.jpg" for x in WORDS for n in range(20, 30)],
        ),
        ([f"{x}.jpg" for x in HASHES], [f"{x}0.jpg" for x in HASHES]),
    ],
)
def test_names_that_count_are_not_told(
    tmp_path: Path, train: list[str], test: list[str]
) -> None:
    names = [f"train/{c}/{name}" for c, name in product(("cat", "dog"), train)]
    names += [f"test/{c}/{name}" for c, name in product(("cat", "dog"), test)]
    assert not any(SAID in each for each in _warnings(tmp_path, names))


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ([f"{x}_L.jpg" for x in HASHES], [f"{x}_R.jpg" for x in HASHES]),
        (
            [f"{n}_left.jpg" for n in range(1001, 1031)],
            [f"{n}_right.jpg" for n in range(1001, 1031)],
        ),
        (
            [f"IMG_{n}_1.jpg" for n in range(2001, 2013)],
            [f"IMG_{n}_2.jpg" for n in range(2001, 2013)],
        ),
        (
            [f"p{n}_{i}.jpg" for n in range(31, 61) for i in (1, 2)],
            [f"p{n}_{i}.jpg" for n in range(31, 61) for i in (3, 4)],
        ),
    ],
)
def test_names_with_another_end_in_each_split_are_told(
    tmp_path: Path, train: list[str], test: list[str]
) -> None:
    names = [f"train/{c}/{name}" for c, name in product(("cat", "dog"), train)]
    names += [f"test/{c}/{name}" for c, name in product(("cat", "dog"), test)]
    (warning,) = [each for each in _warnings(tmp_path, names) if SAID in each]
    assert warning.startswith(f"{len(names)} images of {len(names)} images ")


def test_names_of_another_class_in_another_split_are_told(tmp_path: Path) -> None:
    names = [f"train/cat/{x}.jpg" for x in HASHES]
    names += [f"test/dog/{x}.jpg" for x in HASHES]
    names += ["train/dog/kennel.jpg", "test/cat/basket.jpg"]
    (warning,) = [each for each in _warnings(tmp_path, names) if SAID in each]
    assert warning.startswith("10 images of 12 images have the name of another in ")


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (["{c}/{n}.jpg"], ["{o}/{n}.jpg"]),
        (["{c}/{w}_a.jpg"], ["{c}/{n}_b.jpg"]),
        (["{c}/{n}_1.jpg"], ["{c}/{n}_2.jpg"]),
        (["{c}/{c}_{n}.jpg"], ["{c}/{c}_{n}.jpg"]),
        (["{c}/{w}.jpg", "{o}/{w}.jpg"], ["{c}/x{w}y.jpg"]),
    ],
)
def test_other_names_in_other_splits_are_not_told(
    tmp_path: Path, train: list[str], test: list[str]
) -> None:
    names = [
        f"{split}/{name.format(c=c, o=o, n=n, w=w)}"
        for split, of_split in (("train", train), ("test", test))
        for name in of_split
        for c, o in (("cat", "dog"), ("dog", "cat"))
        for n, w in enumerate(WORDS, start=1)
    ]
    found = _warnings(tmp_path, sorted(set(names)))
    assert not any(SAID in each for each in found)


def test_names_after_the_class_are_not_told(tmp_path: Path) -> None:
    starts = [f"{s}/{w}/{w}" for s, w in product(("train", "test"), WORDS)]
    names = [f"{start}_{n}.jpg" for start, n in product(starts, range(2))]
    assert not any(SAID in each for each in _warnings(tmp_path, names))


def test_the_split_column_of_a_manifest_counts(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    rows = [
        f"{folder}/{name}.jpg,{label},{split}"
        for (folder, split), (name, label) in product(
            (("o", "train"), ("n", "test")), zip(HASHES, "aabba", strict=True)
        )
    ]
    path.write_text("\n".join(["path,label,split", *rows]))
    warnings = list_images(DataConfig(path=str(path)), "unused").warnings
    assert any(SAID in each for each in warnings)
