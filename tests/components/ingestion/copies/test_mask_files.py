"""Masks among the images of a class are asked about, and can be left aside."""

from __future__ import annotations

import re

import pytest

from graft.components.ingestion.folders.layout_detection import detect_layout
from graft.components.ingestion.names.folder_counts import count_folders
from graft.components.ingestion.sources.layout_answers import FolderLayout, Question

CLASSES = ("benign", "malignant")


def _tree(*files: str, above: str = "") -> list[str]:
    """Return files of each class; "{}" is the number of an image."""
    return [
        f"{above}{name}/{file}".format(number)
        for name in CLASSES
        for file in files
        for number in range(4)
    ]


def _question(names: list[str]) -> Question:
    answer = detect_layout(count_folders(names))
    assert isinstance(answer, Question), answer
    return answer


def _read(pattern: object, names: list[str]) -> set[str]:
    return {name for name in names if re.fullmatch(str(pattern), name)}


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("b ({}).png", "b ({})_mask.png"),
        ("b ({}).png", "b ({})_mask_1.png"),
        ("{}.jpg", "{}_seg.png"),
        ("{}.jpg", "{}_label.png"),
        ("IMG_{}.jpg", "IMG_{}_Segmentation.png"),
        ("{}.jpg", "{}-gt.png"),
        ("scan/{}.jpg", "scan/{}.mask.png"),
        ("{}.jpg", "masks/{}.png"),
        ("images/{}.jpg", "gt/{}.png"),
        ("images/{}.jpg", "masks/{}.png"),
        ("{}.png", "mask_{}.png"),
        ("{}.png", "Mask{}.png"),
        ("{}.png", "{}mask.png"),
        ("img_{}.png", "mask_{}.png"),
        ("{}_rgb.png", "{}_label.png"),
        ("{}_sat.jpg", "{}_mask.png"),
        ("sat_{}.jpg", "mask_{}.png"),
        ("{}_left.png", "{}_seg.png"),
        ("{}_leftImg8bit.png", "{}_gtFine_labelIds.png"),
        ("{}_img.jpg", "{}_lbl.png"),
        ("{}/image.png", "{}/mask.png"),
        ("{}/images/a.png", "{}/masks/0.png"),
    ],
)
def test_masks_among_images_are_counted_and_can_be_left_aside(
    image: str, mask: str
) -> None:
    images, masks = _tree(image), _tree(mask)
    question = _question([*images, *masks])
    without, *_ = question.options
    assert _read(without.settings["class_pattern"], [*images, *masks]) == set(images)
    assert without.meaning.endswith(
        "2 classes: 'benign' (4), 'malignant' (4); left aside: 8"
    )


def test_the_question_counts_the_masks() -> None:
    question = _question(_tree("{}.png", "{}_mask.png"))
    assert question.finding.startswith("8 files of 16 images in the class folders seem")
    assert question.options[1].settings == {"format": "folders"}


def test_masks_beside_the_images_of_a_split_are_left_aside() -> None:
    names = [
        name
        for split in ("train", "test")
        for kind in ("images", "masks")
        for name in _tree("{}.png", above=f"{split}/{kind}/")
    ]
    (option,) = _question(names).options
    assert option.settings == {
        "split_folders": {"train": "train/images", "test": "test/images"}
    }


def test_masks_in_splits_are_asked_about() -> None:
    images = [*_tree("{}.png", above="train/"), *_tree("{}.png", above="test/")]
    masks = [*_tree("{}_mask.png", above="train/"), *_tree("{}_seg.png", above="test/")]
    without, all_files = _question([*images, *masks]).options
    assert without.settings["split_folders"] == {"train": "train", "test": "test"}
    assert _read(without.settings["class_pattern"], [*images, *masks]) == set(images)
    assert "class_pattern" not in all_files.settings


@pytest.mark.parametrize(
    "names",
    [
        _tree("{}_mask.png"),
        _tree("{}.png", "x{}_mask.png"),
        _tree("{}.png", "{}_left.png"),
        _tree("x{}a.png", "x{}amask.png"),
        _tree("{}.png", "damask {}.png"),
        [f"{c}/{i}.png" for c in ("mask", "no_mask") for i in range(4)],
        [f"{c}/{c}_{i}.png" for c in ("hats", "masks", "ties") for i in range(4)],
        _tree("{}/a.png", "{}/mask.png"),
    ],
    ids=[
        *("no image", "other image", "other end", "no separator", "another word"),
        *("faces", "clothes", "no word for images"),
    ],
)
def test_other_names_are_no_masks(names: list[str]) -> None:
    answer = detect_layout(count_folders(names))
    assert isinstance(answer, FolderLayout) or "masks of others" not in answer.finding
    warnings = () if isinstance(answer, Question) else answer.warnings
    assert not any("may be masks" in warning for warning in warnings)


@pytest.mark.parametrize(
    "masks",
    [
        ["masks/benign_0.png", "masks/malignant_3.png"],
        ["Mask/benign_0.png", "Mask/malignant_3.png"],
        ["masks/benign_0_mask.png", "masks/malignant_3_mask.png"],
        ["masks/benign/benign_0.png", "masks/malignant/malignant_3.png"],
        ["labels/benign_0.tif", "labels/benign_1.tif"],
        ["benign_mask/0.png", "malignant_mask/1.png", "malignant_mask/2.png"],
        ["gt_benign/0.png", "gt_benign/1.png", "gt_malignant/2.png"],
    ],
)
def test_folders_of_masks_beside_classes_can_be_left_aside(masks: list[str]) -> None:
    images = [f"{name}/{name}_{i}.png" for name in CLASSES for i in range(4)]
    question = _question([*images, *masks])
    without, *_ = question.options
    assert _read(without.settings["class_pattern"], [*images, *masks]) == set(images)
    assert without.meaning.endswith(f"left aside: {len(masks)}")
    assert question.options[1].settings == {"format": "folders"}


@pytest.mark.parametrize(
    "names",
    [
        [*_tree("{}.png"), "benign/0_mask.png"],
        [f"{c}/{i}.png" for c in ("hats", "masks", "ties") for i in range(4)],
        [f"{c}/a{i}.png" for c in ("bottles", "labels") for i in range(4)],
    ],
    ids=["one file", "names that all folders have", "one other class"],
)
def test_weak_evidence_of_masks_is_a_warning(names: list[str]) -> None:
    answer = detect_layout(count_folders(names))
    assert isinstance(answer, FolderLayout)
    (warning,) = answer.warnings
    assert "may be masks of other images" in warning
    assert warning.startswith(("'benign/0_mask.png' ", "'masks' ", "'labels' "))
