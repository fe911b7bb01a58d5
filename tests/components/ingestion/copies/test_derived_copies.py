"""Copies among the images of a class are asked about, and can be left aside."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from graft.components.ingestion.folders.layout_detection import detect_layout
from graft.components.ingestion.names.folder_counts import count_folders
from graft.components.ingestion.sources.layout_answers import FolderLayout, Question

CLASSES = ("cat", "dog")


def _tree(*files: str, above: str = "", number: int = 6) -> list[str]:
    """Return files of each class; "{}" is the number of an image."""
    return [
        f"{above}{name}/{file}".format(i)
        for name in CLASSES
        for file in files
        for i in range(number)
    ]


def _question(names: list[str]) -> Question:
    answer = detect_layout(count_folders(names))
    assert isinstance(answer, Question), answer
    return answer


def _read(question: Question, option: int, names: list[str]) -> set[str]:
    pattern = str(question.options[option].settings["class_pattern"])
    return {name for name in names if re.fullmatch(pattern, name)}


@pytest.mark.parametrize(
    ("image", "copies"),
    [
        ("i{}.jpg", "{0}_saltandpepper {0}_translation {0}_flip {0}_rot15 {0}_q"),
        ("Shot at {} PM.png", "turned_{0} salt_{0} shift_{0} mirror_{0} wave_{0}"),
        ("cat{}.jpg", "blur_{0} noise_{0} flip_{0} warp_{0} jitter_{0}"),
        ("{}_new.jpg", "{0}_30degFlipLR {0}_270deg {0}_FlipTB {0}_Softened {0}_x"),
    ],
)
def test_all_copies_of_an_image_are_left_aside(image: str, copies: str) -> None:
    stem, end = image.rsplit(".", 1)
    images = _tree(image, number=9)
    names = [each.format(stem) for each in copies.split(" ") if "{0}" in each]
    copied = _tree(*(f"{each}.{end}" for each in names), number=9)
    assert len(copied) == 5 * len(images)
    question = _question([*images, *copied])
    assert _read(question, 0, [*images, *copied]) == set(images)


@pytest.mark.parametrize(
    ("image", "copy"),
    [
        ("{}.jpg", "{}_thumb.jpg"),
        ("{}.jpg", "{}-150x150.jpg"),
        ("{}.jpg", "{}_depth.png"),
        ("{}.jpg", "{}_gradcam.png"),
        ("{}.jpg", "{}@2x.jpg"),
        ("{}.jpg", "{} (1).jpg"),
        ("{}.jpg", "{} - Copy.jpg"),
        ("{}.jpg", "Copy of {}.jpg"),
        ("{}.jpg", "{}_small.jpg"),
        ("{}.jpg", "{}-resized.jpg"),
        ("{}.jpg", "{}_aug_0.jpg"),
        ("{}.jpg", "{}_aug_3_flip.jpg"),
        ("{}.jpg", "{}_rot90.jpg"),
        ("IMG_{}.jpg", "IMG_{}_strange.jpg"),
        ("{}.jpg", "thumb_{}.jpg"),
        ("IMG_{}_a.jpg", "x-IMG_{}_a.jpg"),
        ("{}.jpg", "{}.jpg_thumb.jpg"),
        ("{}.png", "{}.png.webp"),
        ("{}.jpg", "{}thumb.jpg"),
        ("{}_rgb.png", "{}_depth.png"),
        ("{}.jpg", "thumbs/{}.jpg"),
        ("{}.jpg", "augmented/{}_7.jpg"),
        ("day/{}.jpg", "day/{}_thumb.jpg"),
    ],
)
def test_copies_among_images_can_be_left_aside(image: str, copy: str) -> None:
    images, copies = _tree(image), _tree(copy)
    question = _question([*images, *copies])
    assert question.finding.startswith("12 files of 24 images have the name of another")
    assert _read(question, 0, [*images, *copies]) == set(images)
    assert question.options[0].meaning.endswith("'cat' (6), 'dog' (6); left aside: 12")
    assert question.options[-1].settings == {"format": "folders"}


def test_several_sizes_are_left_aside_together() -> None:
    images = _tree("{}.jpg")
    copies = _tree("{}-150x150.jpg", "{}-300x200.jpg", "{}_aug_1.jpg", "{}_aug_2.jpg")
    question = _question([*images, *copies])
    assert _read(question, 0, [*images, *copies]) == set(images)


def test_copies_in_splits_are_left_aside() -> None:
    images = [*_tree("{}.jpg", above="train/"), *_tree("{}.jpg", above="test/")]
    copies = _tree("{}_aug_0.jpg", above="train/")
    option = _question([*images, *copies]).options[0]
    assert option.settings["split_folders"] == {"train": "train", "test": "test"}
    assert option.meaning.endswith("left aside: 12")


def test_copies_of_images_in_another_split_are_asked_about() -> None:
    names = [*_tree("a{}.jpg", above="train/"), *_tree("a{}_aug.jpg", above="test/")]
    assert _question(names).finding.startswith("12 files of 24 images have the name of")
    other = [*_tree("a{}.jpg", above="train/"), *_tree("a{}_new.jpg", above="test/")]
    assert isinstance(detect_layout(count_folders(other)), FolderLayout)


def test_copies_in_folders_of_all_classes_can_be_left_aside() -> None:
    images, copies = _tree("original/{}.jpg"), _tree("augmented/{}_1.jpg")
    question = _question([*images, *copies])
    assert "hold folders of the same names" in question.finding
    assert "splits" not in question.finding
    assert _read(question, 0, [*images, *copies]) == set(images)


def test_the_originals_can_be_chosen() -> None:
    small, originals = _tree("{}.jpg"), _tree("{}_orig.jpg")
    question = _question([*small, *originals])
    assert _read(question, 0, [*small, *originals]) == set(small)
    assert _read(question, 1, [*small, *originals]) == set(originals)
    assert question.options[1].meaning.startswith("only the originals: ")


def test_masks_and_copies_are_left_aside_together() -> None:
    images, others = _tree("{}.jpg"), _tree("{}_mask.png", "{}_thumb.jpg")
    question = _question([*images, *others])
    assert "seem to be masks" in question.finding
    assert _read(question, 0, [*images, *others]) == set(images)


def test_a_class_folder_of_copies_is_left_aside() -> None:
    names = [f"{top}/{i}.jpg" for top in ("cat", "dog") for i in range(6)]
    copies = [f"{top}_aug/{i}_0.jpg" for top in ("cat", "dog") for i in range(6)]
    question = _question([*names, *copies])
    assert _read(question, 0, [*names, *copies]) == set(names)
    other = [name.replace("/", "/photo") for name in names]
    answer = detect_layout(count_folders([*other, *copies]))
    assert isinstance(answer, FolderLayout)


@pytest.mark.parametrize("file", ["{}_aug_%d.jpg", "{}_jpg.rf.%032x.jpg"])
def test_copies_without_their_image_are_asked_about(file: str) -> None:
    names = [name % i for name in _tree(file) for i in range(3)]
    question = _question(names)
    assert question.finding.startswith("36 files of 36 images seem to be copies of")
    assert [option.settings for option in question.options] == [{"format": "folders"}]
    given_splits = [f"train/{n}" for n in names] + _tree("{}.jpg", above="test/")
    assert isinstance(detect_layout(count_folders(given_splits)), FolderLayout)


def test_a_few_copies_are_told() -> None:
    names = [*_tree("{}.jpg", number=30), "cat/1_edited.jpg"]
    layout = detect_layout(count_folders(names))
    assert isinstance(layout, FolderLayout)
    assert layout.warnings == (
        "'cat/1_edited.jpg' may be a copy of another image by its name, and is read as "
        "an image of the class.",
    )


def test_copies_of_less_than_a_tenth_are_told() -> None:
    names = [*_tree("{}.jpg", number=30), *(f"cat/{i}_edited.jpg" for i in range(3))]
    layout = detect_layout(count_folders(names))
    assert isinstance(layout, FolderLayout)
    assert "3_edited" not in layout.warnings[0]
    assert "'cat/2_edited.jpg' may be copies of other images" in layout.warnings[0]


def test_a_class_with_another_ones_name_and_no_word_of_copies_is_a_class() -> None:
    tops = ("apple", "apple_rotten", "pear", "pear_rotten")
    names = [f"{top}/{i}.jpg" for top in tops for i in range(6)]
    assert isinstance(detect_layout(count_folders(names)), FolderLayout)


@pytest.mark.parametrize("word", ["mini", "small", "Tiny", "mirror", "thermal"])
@pytest.mark.parametrize(
    "image", ["{}.jpg", "{:04}.jpg", "IMG_{}.jpg", "img-{:03}.png"]
)
def test_two_classes_that_count_from_1_are_classes(word: str, image: str) -> None:
    names = [
        f"{name}/{image.format(number)}"
        for name in ("cooper", f"cooper_{word}", "beetle")
        for number in range(9)
    ]
    assert isinstance(detect_layout(count_folders(names)), FolderLayout)
    named = [
        f"{name}/{animal}_{number:08x}_a.jpg"
        for name in ("cooper", f"cooper_{word}", "beetle")
        for number, animal in enumerate(("red", "blue", "grey", "green"))
    ]
    assert "may be made of it" in _question(named).finding


@pytest.mark.parametrize("copy", ["t_{}.jpg", "{}_0.jpg", "{}-2.jpg"])
def test_what_may_be_two_series_is_told(copy: str) -> None:
    layout = detect_layout(count_folders(_tree("{}.jpg", copy)))
    assert isinstance(layout, FolderLayout)
    assert "may be copies of other images by their names" in layout.warnings[0]


WORDS = ("cat", "dog", "tree", "red", "img", "IMG", "photo", "frame", "a", "b", "left")


@st.composite
def _series(draw: st.DrawFn) -> list[str]:
    """Draw the names of a series: a word, and a number."""
    word = draw(st.sampled_from(["", *WORDS]))
    separator = draw(st.sampled_from(["", "_", "-", " ", "."])) if word else ""
    style = draw(st.sampled_from(["{}", "{:04d}", "({})", "{:x}", "{:08x}", "s{}"]))
    step, start = draw(st.integers(1, 12)), draw(st.integers(0, 40))
    numbers = range(start * step, (start + draw(st.integers(15, 25))) * step, step)
    names = [f"{word}{separator}{style}".format(number) for number in numbers]
    return [*names, word] if word and draw(st.booleans()) else names


@st.composite
def _series_of_two_parts(draw: st.DrawFn) -> list[list[str]]:
    """Draw names such as those of the frames of videos."""
    names = draw(_series())[:8]
    second = draw(st.sampled_from(["_", "-", "_frame", "_v", " "]))
    return [[f"{name}{second}{i}" for name in names for i in range(4)]]


@settings(deadline=None)
@given(st.lists(_series(), min_size=1, max_size=3) | _series_of_two_parts())
@example([["cat", "cat_1", "cat_2", "dog", "dog_1", "dog_2", "red", "red_1"]])
@example([["img_1", "img_10", "img_100", "1", "11", "111"]])
@example([["cat (1)", "cat (2)", "cat (3)", "cat"]])
@example([["1", "2", "3", "1a", "1b", "2a", "2b", "3a"]])
def test_series_of_names_are_no_copies(series: list[list[str]]) -> None:
    names = sorted({name for one in series for name in one})
    tree = [f"{top}/{name}.jpg" for top in CLASSES for name in names]
    answer = detect_layout(count_folders(tree))
    assert isinstance(answer, FolderLayout), (answer, names)
    # Two series of the same numbers are told: `1` to `9`, and `a_1` to `a_9`.
    assert len(series) > 1 or not answer.warnings


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 10**6), min_size=6, max_size=12, unique=True),
    st.sampled_from(["", "x", "shot_", "DSC"]),
    st.sampled_from(["_", "-", " ", "."]),
    st.text("bcdfgkp", min_size=3, max_size=8),
)
def test_one_addition_to_most_names_is_asked_about(
    numbers: list[int], start: str, separator: str, word: str
) -> None:
    stems = [f"{start}{number}" for number in numbers]
    added = f"{separator}{word}"
    images = [f"{top}/{stem}.jpg" for top in CLASSES for stem in stems]
    copies = [f"{top}/{stem}{added}.jpg" for top in CLASSES for stem in stems]
    question = _question([*images, *copies])
    assert any(
        "class_pattern" in option.settings
        and {
            n
            for n in (*images, *copies)
            if re.fullmatch(str(option.settings["class_pattern"]), n)
        }
        == set(images)
        for option in question.options
    )
