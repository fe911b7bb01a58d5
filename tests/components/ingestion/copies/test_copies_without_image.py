"""Copies whose image is missing are asked about; different photos are not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.components.ingestion.folders.layout_detection import detect_layout
from graft.components.ingestion.names.folder_counts import count_folders
from graft.components.ingestion.sources.layout_answers import FolderLayout, Question

CLASSES = ("cat", "dog")
NUMBERS = range(1, 10)


def _tree(*files: str) -> list[str]:
    """Return files of each class; "{}" is the number of an image."""
    return [f"{c}/{f.format(n)}" for c, f, n in product(CLASSES, files, NUMBERS)]


def _answer(names: list[str]) -> FolderLayout | Question:
    return detect_layout(count_folders(names))


@pytest.mark.parametrize(
    "files",
    [
        # Keras' save_prefix, with random numbers
        ["aug_{}_1234.png", "aug_{}_5678.png", "aug_{}_9012.png"],
        ["_{}_12.png", "_{}_5678.png"],
        ["flip_img{}.png", "rot90_img{}.png", "orig_img{}.png"],
        ["aug0_img{}.png", "aug1_img{}.png"],
        ["x{}_crop0.jpg", "x{}_crop1.jpg"],
        ["x{}_gauss1.jpg", "x{}_gauss2.jpg"],
        ["x{}_mixup1.jpg", "x{}_mixup2.jpg"],
        ["x{}_blur.jpg", "x{}_contrast.jpg", "x{}_brightness.jpg"],
        ["rgb_{}.png", "depth_{}.png"],
        ["original_{}.png", "gray_{}.png"],
        # WordPress, Wikimedia, responsive pages
        ["p{}-150x150.jpg", "p{}-300x200.jpg"],
        ["120px-Cat{}.jpg", "640px-Cat{}.jpg"],
        ["img{}_480w.webp", "img{}_1080w.webp"],
        ["p{}-1024x768.jpg", "p{}-scaled.jpg"],
        # Augmentor
        ["output/A_original_i{}.jpg_1b2c-11.jpg", "output/A_original_i{}.jpg_ff-2.jpg"],
        ["{}_jpg.rf.0123456789abcdef.jpg", "{}_jpg.rf.fedcba9876543210.jpg"],
    ],
)
def test_copies_of_the_same_images_are_asked_about(files: list[str]) -> None:
    names = _tree(*files)
    question = _answer(names)
    assert isinstance(question, Question), question
    assert f"{len(names)} files of {len(names)} images seem" in question.finding
    assert question.options[-1].settings == {"format": "folders"}
    for option in question.options[:-1]:
        pattern = str(option.settings["class_pattern"])
        read = [name for name in names if re.fullmatch(pattern, name)]
        assert len(read) == len(names) / len(files)


def test_the_original_and_the_largest_are_offered_first() -> None:
    question = _answer(_tree("120px-{}.jpg", "640px-{}.jpg", "original-{}.jpg"))
    assert isinstance(question, Question)
    meanings = [option.meaning.split("'")[1] for option in question.options[:-1]]
    assert meanings == ["original-", "640px-", "120px-"]


@pytest.mark.parametrize(
    "files",
    [
        ["IMG_{:04}.JPG", "IMG_E{:04}.JPG"],  # of iPhones
        ["c{}.jpg", "c{} 2.jpg"],  # of macOS
        ["IMG_{}.jpg", "IMG_{}~2.jpg"],  # of Android
        ["i{}.jpg", "output/cat_original_i{}.jpg_1b2c3d4e-11.jpg"],  # of Augmentor
        ["i{}.png", "i{}.png_0001.png"],
        ["a{}.jpg", "a{}-480w.jpg"],
    ],
)
def test_copies_that_programs_name_can_be_left_aside(files: list[str]) -> None:
    images, copies = _tree(files[0]), _tree(files[1])
    question = _answer([*images, *copies])
    assert isinstance(question, Question), question
    assert question.finding.startswith("18 files of 36 images have the name of another")
    pattern = str(question.options[0].settings["class_pattern"])
    read = {n for n in (*images, *copies) if re.fullmatch(pattern, n)}
    assert read == set(images)


@pytest.mark.parametrize(
    "files",
    [
        ["left_{}.jpg", "right_{}.jpg"],
        ["s{}_front.jpg", "s{}_back.jpg"],
        ["{}_HR.png", "{}_LR.png"],
        ["x{}_0.jpg", "x{}_90.jpg", "x{}_180.jpg", "x{}_270.jpg"],
        ["x{}_512.jpg", "x{}_1024.jpg"],
        ["cell{}_4x.png", "cell{}_10x.png", "cell{}_40x.png"],
        ["x{}_1234.jpg", "x{}_5678.jpg", "x{}_9012.jpg"],
    ],
)
def test_what_may_be_the_same_things_is_told(files: list[str]) -> None:
    layout = _answer(_tree(*files))
    assert isinstance(layout, FolderLayout)
    assert "may show the same things by their names" in layout.warnings[0]


NAMES = ("sunset", "beach", "hill", "lake")
HASHES = (*("3f2a9c", "9c0e1b7a", "b41d", "0aa3f9e2", "e5b17c"), "7d2c4a1f")


@pytest.mark.parametrize(
    ("names", "ends"),
    [
        (HASHES, ["", "_0", "_1"]),
        (HASHES, ["", "-2"]),
        (HASHES, ["_0", "_1"]),
        (NAMES, ["", "_1"]),
        (NAMES, ["", "_0", "_1", "_2"]),
        (NAMES, ["_90", "_180", "_270"]),
        (NAMES, ["_1024", "_512"]),
        (NAMES, ["@2x", "@3x"]),
        (NAMES, ["_patch0", "_patch1", "_patch2", "_patch3"]),
        ([f"p{n}" for n in NUMBERS], ["_r0", "_r90", "_r180"]),
        ([f"p{n}" for n in NUMBERS], ["_q50", "_q75", "_q90"]),
    ],
)
def test_numbered_copies_of_names_that_do_not_count_are_told(
    names: Sequence[str], ends: list[str]
) -> None:
    stems = [f"{name}{end}" for name, end in product(names, ends)]
    layout = _answer([f"{c}/{stem}.jpg" for c, stem in product(CLASSES, stems)])
    assert isinstance(layout, FolderLayout)
    assert re.search("may (be copies|show the same)", " ".join(layout.warnings))


@pytest.mark.parametrize(
    "stems",
    [
        [f"{name} ({n})" for name in HASHES for n in (1, 2)],
        [f"IMG_{name} ({n})" for name in range(2001, 2010) for n in (1, 2)],
        [f"{n}-{name}" for name in HASHES for n in (1, 2, 3)],
        [f"{n}_IMG_{name}" for name in range(2001, 2007) for n in (0, 1, 2)],
        [f"IMG_{name}.{n}" for name in range(2001, 2007) for n in (1, 2, 3)],
        [f"{name}{letter}" for name in HASHES for letter in "ab"],
    ],
)
def test_copies_by_a_number_or_letter_are_told(stems: list[str]) -> None:
    names = [f"{c}/{stem}.jpg" for c, stem in product(CLASSES, stems)]
    layout = _answer(names)
    assert isinstance(layout, FolderLayout)
    (warning,) = layout.warnings
    assert "may show the same things by their names" in warning
    assert f"{names[0]!r}" in warning


@pytest.mark.parametrize("other", [".jpeg", ".JPG"])
def test_an_image_in_two_spellings_of_jpeg_is_told(other: str) -> None:
    names = [f"{c}/{x}{e}" for c, x, e in product(CLASSES, HASHES, (".jpg", other))]
    layout = _answer(names)
    assert isinstance(layout, FolderLayout)
    assert "may show the same things by their names" in layout.warnings[0]
    assert not _warnings(["cat/1.jpg", "cat/2.jpeg", "dog/1.jpeg", "dog/2.jpg"] * 9)


def _warnings(names: list[str]) -> Sequence[str]:
    layout = _answer(sorted(set(names)))
    assert isinstance(layout, FolderLayout)
    return layout.warnings


@pytest.mark.parametrize(
    "stems",
    [
        [f"photo ({n})" for n in range(1, 30)],
        [f"{a}-{b}" for a, b in product(range(1, 4), range(1, 10))],
        [f"{a:02}_{b:02}" for a, b in product(range(1, 13), range(1, 29))],
        [f"{n} {name}" for n, name in enumerate(HASHES)],
        [f"{n}{letter}" for n in NUMBERS for letter in "ab"],
        [f"{name}{'abcdef'[n]}" for n, name in enumerate(HASHES)],
        "cat car cap can cab mat map man".split(),
    ],
)
def test_other_numbers_and_letters_are_not_told(stems: list[str]) -> None:
    assert not _warnings([f"{c}/{stem}.jpg" for c, stem in product(CLASSES, stems)])


@pytest.mark.parametrize(
    "names",
    [
        [*HASHES, "3f2a9c_1"],
        ["cat", *(f"cat_{n}" for n in NUMBERS)],
        [f"2023-01-0{day}_{n}" for day in NUMBERS for n in range(1, 4)],
        [f"p{p}_frame{n}" for p in NUMBERS for n in range(1, 9)],
    ],
)
def test_series_of_such_names_are_read_without_a_word(names: list[str]) -> None:
    layout = _answer([f"{c}/{name}.jpg" for c, name in product(CLASSES, names)])
    assert isinstance(layout, FolderLayout)
    assert not layout.warnings


def test_numbered_copies_in_another_split_are_told() -> None:
    names = [f"train/{name}" for name in _tree("a{}_0.jpg", "a{}_1.jpg")]
    layout = _answer([*names, *(f"test/{name}" for name in _tree("a{}.jpg"))])
    assert isinstance(layout, FolderLayout)
    assert "'train/cat/a1_0.jpg'" in layout.warnings[0]
    assert "may be copies of other images" in layout.warnings[0]


def test_changed_copies_in_another_split_are_asked_about_or_told() -> None:
    changed = [f"test/{name}" for name in _tree("{}_flip.jpg")]
    layout = _answer([*(f"train/{name}" for name in _tree("{}.jpg")), *changed])
    assert isinstance(layout, FolderLayout)  # each split may count from 1
    assert "'test/cat/1_flip.jpg'" in layout.warnings[0]
    assert "may be copies of other images" in layout.warnings[0]
    names = [*(f"train/{n}" for n in _tree("IMG_{}.jpg"))]
    names += [f"test/{n}" for n in _tree("IMG_{}_flip.jpg")]
    question = _answer(names)
    assert isinstance(question, Question)
    assert question.finding.startswith("18 files of 36 images have the name of")


@pytest.mark.parametrize(
    "files",
    [
        ["flip_img{}.jpg"],
        ["cat_{}_flip.jpg"],
        ["100x100_{}.jpg"],
        ["{}_thermal.png"],
        ["IMG_{}.jpg", "DSC_1{}.jpg"],
        *([f"video{{}}_frame{i}.jpg" for i in range(5)],),
        *([f"video{{}}_frame_{i}.jpg" for i in range(0, 50, 10)],),
        *([f"x{{}}_{i}.jpg" for i in range(3)],),
        *([f"2024-05-0{{}} 12.00.0{i}.jpg" for i in (1, 2)],),
        ["mini_1_{}.jpg", "mini_2_{}.jpg"],
    ],
)
def test_different_photos_are_read_without_a_word(files: list[str]) -> None:
    layout = _answer(_tree(*files))
    assert isinstance(layout, FolderLayout), layout
    assert not layout.warnings


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(0, 10**6), min_size=6, max_size=12, unique=True),
    st.sampled_from(["", "x", "shot_", "DSC", "pic-"]),
    st.sampled_from(["_", "-", "."]),
    st.lists(
        st.sampled_from("flip rot90 blur aug0 aug1 150x150 1024x768 thumb".split()),
        min_size=2,
        max_size=4,
        unique=True,
    ),
    st.booleans(),
)
def test_a_part_that_varies_over_all_images_is_found_at_both_ends(
    numbers: list[int], start: str, separator: str, parts: list[str], is_first: bool
) -> None:
    names = []
    for label, number, part in product(CLASSES, numbers, parts):
        image = f"{start}{number}"
        pair = (part, image) if is_first else (image, part)
        names.append(f"{label}/{separator.join(pair)}.jpg")
    question = _answer(names)
    assert isinstance(question, Question), question
    assert f"{len(names)} files of {len(names)} images seem" in question.finding
