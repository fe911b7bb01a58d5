"""Folders of copies are found by their names, or by those of their images."""

from __future__ import annotations

import re

import pytest

from graft.components.ingestion.folders.layout_detection import detect_layout
from graft.components.ingestion.names.folder_counts import count_folders
from graft.components.ingestion.sources.layout_answers import FolderLayout, Question

WORDS = ("ann", "bob", "eve", "kim", "lea")
IDS = ("7f31", "9b1c", "d4e5", "e77a", "f00d")
FRAMES = ("IMG_0412", "IMG_0413", "IMG_0415", "IMG_0418", "IMG_0419")
COUNT = ("1", "2", "3", "4", "5")


def _tree(*folders: str, stems: tuple[str, ...], above: str = "") -> list[str]:
    """Return the same images in folders of each class."""
    return [
        f"{above}{top}/{folder}{top[:1] if stems is WORDS else ''}{stem}.jpg"
        for top in ("cat", "dog", "hen")
        for folder in folders
        for stem in stems
    ]


def _question(names: list[str]) -> Question:
    answer = detect_layout(count_folders(names))
    assert isinstance(answer, Question), answer
    return answer


def _warnings(names: list[str]) -> str:
    answer = detect_layout(count_folders(names))
    assert isinstance(answer, FolderLayout), answer
    return " ".join(answer.warnings)


@pytest.mark.parametrize(
    ("image", "copy"),
    [
        ("IMG_041#", "Exports/IMG_041#-Edit"),
        ("IMG_041#", "bearbeitet/IMG_041#_bearbeitet"),
        ("9b1c#f", "sub/s_9b1c#f"),
        ("DSC041#", "small/dsc041#"),
        ("9b1c#f", "faces/9b1c#f_0"),
        ("#", "Exports/#-Edit"),
    ],
)
def test_a_folder_of_a_class_with_an_addition_to_its_images(
    image: str, copy: str
) -> None:
    names = [
        f"{top}/{stem.replace('#', str(number))}.jpg"
        for top in ("cat", "dog")
        for stem in (image, copy)
        for number in range(2, 8)
    ]
    pattern = str(_question(names).options[0].settings["class_pattern"])
    read = [name for name in names if re.fullmatch(pattern, name)]
    assert len(read) == 12
    assert all(name.count("/") == 1 for name in read)


def test_a_series_called_after_its_folder_is_no_copy() -> None:
    names = [f"{t}/{p}{i}.jpg" for t in ("cat", "dog") for p in ("", "web/web_")
             for i in range(1, 8)]  # fmt: skip
    assert _warnings(names) == ""


@pytest.mark.parametrize("above", ["", "train/"])
@pytest.mark.parametrize("stems", [WORDS, IDS, FRAMES, COUNT])
@pytest.mark.parametrize(
    "folder", ["web", "originals", "Export", "darktable_exported", "128x128",
               "bearbeitet", "web/klein", "480w", "thumbs"],
)  # fmt: skip
def test_a_folder_of_a_class_with_its_images(
    folder: str, stems: tuple[str, ...], above: str
) -> None:
    names = _tree("", f"{folder}/", stems=stems, above=above)
    names += [f"test/{top}/t{i}.jpg" for top in ("cat", "dog") for i in "12" if above]
    question = _question(names)
    assert (
        f"15 files of {len(names)} images have the name of another" in question.finding
    )
    pattern = str(question.options[0].settings["class_pattern"])
    read = {name for name in names if re.fullmatch(pattern, name)}
    assert not any(folder in name for name in read)
    assert len(read) == len(names) - 15


@pytest.mark.parametrize(
    "names",
    [
        # Each folder counts from 1.
        ["cat/1.jpg", "cat/2.jpg", "cat/3.jpg", "cat/web/1.jpg", "cat/web/2.jpg"],
        [f"cat/{s}/{i}.jpg" for s in ("session1", "session2") for i in range(6)],
        # Some names only are the same.
        [f"cat/{stem}.jpg" for stem in WORDS]
        + [f"cat/web/{stem}.jpg" for stem in ("ann", "bob", "joe", "max", "ian")],
        # The views of things.
        [f"cat/{p}/{v}.jpg" for p in ("tom", "kit") for v in ("front", "left", "top")]
        + [f"cat/c{i}.jpg" for i in range(6)],
    ],
)
def test_folders_of_other_images(names: list[str]) -> None:
    assert "copies" not in _warnings([*names, *(f"dog/d{i}.jpg" for i in range(6))])


@pytest.mark.parametrize(
    "copy", ["cat 2", "cat (2)", "cat copy", "cat - Copy", "cat_aug"]
)
def test_a_class_folder_that_was_copied(copy: str) -> None:
    names = [f"{top}/{stem}.jpg" for top in ("cat", copy) for stem in IDS]
    names += [f"dog/d{stem}.jpg" for stem in IDS]
    meaning = _question(names).options[0].meaning
    assert meaning.endswith("2 classes: 'cat' (5), 'dog' (5); left aside: 5")


@pytest.mark.parametrize("copy", ["cat 2", "cat (2)"])
def test_a_class_folder_that_may_have_been_copied(copy: str) -> None:
    names = [f"{top}/c{i}.jpg" for top in ("cat", copy, "dog") for i in range(9)]
    assert f"The folder {copy!r} may hold copies of the images in 'cat'" in _warnings(
        names
    )
    other = [name for name in names if name != f"{copy}/c8.jpg"]
    assert "copies" not in _warnings(other)


@pytest.mark.parametrize(
    ("tops", "is_told"),
    [
        (("paper", "copy_paper"), True),
        (("orange", "orange_peeled", "orange_cropped"), True),
        (("bolt", "bolt_rotated"), True),
        (("lens", "lens_blurred", "lens_scratched"), True),
        (("label", "flipped label"), True),
        (("cooper", "cooper_mini"), False),
        (("iPhone", "iPhone 2", "iPhone 3"), True),
        (("level 1", "level 2"), False),
    ],
)
def test_classes_whose_names_have_a_word_of_copies(
    tops: tuple[str, ...], is_told: bool
) -> None:
    names = [f"{top}/x{i}.jpg" for top in tops for i in range(1, 10)]
    assert ("may hold copies of the images in" in _warnings(names)) is is_told
    told = [f"{top}/{i}_{stem}.jpg" for top in tops for i, stem in enumerate(IDS)]
    if is_told:
        assert "have the name of another image" in _question(told).finding


def test_copies_in_train_alone_are_told_if_every_split_is_given() -> None:
    def tree(*splits: str) -> list[str]:
        return [
            f"{split}/{top}/{split}{stem}{end}.jpg"
            for split in splits
            for top in ("cat", "dog")
            for stem in IDS
            for end in (("", "_aug") if split == "train" else ("",))
        ]

    warnings = _warnings(tree("train", "val", "test"))
    assert "10 files of 40 images may be copies of others by their names" in warnings
    assert "They stay in the training set." in warnings
    # `eval` is taken from `train`.
    assert "10 files of 30" in _question(tree("train", "test")).finding
    in_test = [n.replace(".jpg", "_aug.jpg") for n in tree("test")]
    assert "20 files" in _question([*tree("train", "val", "test"), *in_test]).finding
    leak = [*tree("train", "val", "test"), "test/cat/train7f31_aug.jpg"]
    leak += ["test/dog/train9b1c_aug.jpg"]
    assert "have the name of another image" in _question(leak).finding
    other = [*tree("train", "val", "test"), "train/cat/test7f31_aug.jpg"]
    other += ["train/dog/test9b1c_aug.jpg"]
    assert "have the name of another image" in _question(other).finding
