"""Labels that are sets of tags stop; names that only look so don't."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
import tensorflow as tf

from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.tag_sets import require_no_tag_sets
from graft.contract.errors import DataError
from graft.contract.example_keys import CLASS_NAME_KEY, IMAGE_KEY

# As in the Planet data set: sky, then what lies below.
SKIES_AND_GROUNDS = [
    " ".join((sky, *grounds))
    for sky in ("clear", "haze")
    for length in range(4)
    for grounds in itertools.combinations(("primary", "road", "water"), length)
]


def _check(labels: Sequence[str], class_names: tuple[str, ...] | None = None) -> None:
    config = DataConfig(path="x", class_names=class_names)
    require_no_tag_sets({label: f"line of {label}" for label in labels}, config)


@pytest.mark.parametrize(
    "labels",
    [
        ["cat|dog", "dog|bird", "bird|cat"],
        ["bird;cat", "bird;dog", "cat;dog"],
        ["cat,dog", "dog,cat", "bird"],
        ["cat & dog", "dog+cat"],
        ["a|b", "a|b|c", "b|c", "d"],
        ["cat", "bird", "cat|dog", "dog|bird"],
        ["cat", "bird", "cat, dog", "dog, bird"],
        ["0|5", "14", "5", "0|14"],
        ["ok", "scratch", "dent", "ok; dirt"],
        ["clear,primary", "clear,primary,water", "haze,primary,water", "haze,primary"],
        SKIES_AND_GROUNDS,
        ["clear primary", "haze primary", "clear water", "haze water", "primary water"],
        ["clear primary", "primary clear", "haze"],
        ["cat", "dog", "bird", "cat dog", "bird cat"],
        ["cat", "dog", "bird", "cat_dog", "bird_cat"],
        ["cat", "dog", "bird", "cat/dog", "bird-cat"],
        ["cat", "dog", "bird", "cat and dog", "bird and dog"],
        ["gato", "perro", "raton", "gato y perro", "perro y raton"],
        ["Hund", "Katze", "Maus", "Hund und Katze", "Maus und Hund"],
        ["cat", "dog", "owl", "cat#dog", "dog#owl"],
        ["25 0", "0", "25", "7 1 2 0"],
        [
            f"{sky}{end}"
            for sky in ("clear", "haze")
            for end in ("", " sea", " sea bay")
        ],
    ],
)
def test_sets_of_tags_are_refused(labels: list[str]) -> None:
    with pytest.raises(DataError, match=r"line of .*seem to be sets of tags"):
        _check(labels)
    _check(labels, class_names=tuple(labels))


@pytest.mark.parametrize(
    "labels",
    [
        ["cat", "dog"],
        ["Apple, scab", "Apple, rust", "Corn, rust", "Corn, healthy"],
        ["salt & pepper", "rock & roll", "black & white"],
        ["1,000", "2,000", "1,000,000", "2,000,000"],
        ["red shirt", "blue shirt", "red dress", "blue dress", "black dress"],
        ["ice", "cream", "ice cream", "cake"],
        ["late blight", "early blight", "late rust", "early rust", "healthy"],
        [
            *("Tomato", "Tomato healthy", "Tomato late blight"),
            *("Potato", "Potato healthy", "Potato late blight"),
        ],
        ["Apple Red 1", "Apple Red 2", "Pepper Red", "Pepper Green", "Apple Green"],
        ["shark", "white shark", "great white shark", "great dane", "wolf"],
        ["dog,", "dog", "cat"],
        ["1", "2", "3", "1-2", "2-3", "1/2"],
        ["1", "10", "10 000", "1 000 000"],
        ["cat", "dog", "cat_dog", "cat_2", "2"],
        ["king cobra", "cobra", "king", "rat snake", "rat", "snake"],
        ["blue", "green", "blue-green", "red", "yellow", "red-yellow"],
        ["sea", "lion", "sea_lion", "ant", "bear", "ant_bear", "horse", "sea_horse"],
        ["pine", "apple", "pine apple", "apple pie", "pie", *map(str, range(30))],
        ["fire/truck", "fire", "truck", "dump/truck", "dump"],
        ["cat|dog", "bird"],
        ["Apple|scab", "Apple|rust", "Corn|rust", "Corn|healthy"],
        ["crane", "crane, bird", "hen", "salt & pepper", "mac & cheese"],
        ["pepper", "pepper, red", "pepper, green", "apple, red", "apple, green"],
    ],
)
def test_other_names_are_classes(labels: list[str]) -> None:
    _check(labels)


def test_the_line_of_a_manifest_is_named(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("path,label\na.png,bird\nb.png,cat|dog\nc.png,dog|cat\n")
    with pytest.raises(DataError) as caught:
        list_images(DataConfig(path=str(path)), "unused")
    assert str(caught.value) == (
        f"{str(path)!r}, line 3: the labels seem to be sets of tags, and an image has "
        "one label. Received: 'cat|dog', 'dog|cat', made of the tags 'cat', 'dog'. "
        "Choose one tag of each image, or train a model for one tag (it has it, or "
        "not). If they are the names of classes, list them in `class_names`."
    )


def test_tags_in_records_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for label in (b"cat|dog", b"dog|cat"):
            features = {
                key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                for key, value in ((IMAGE_KEY, b"x"), (CLASS_NAME_KEY, label))
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())
    with pytest.raises(DataError, match=r"a\.tfrecord': the labels seem to be sets"):
        list_images(DataConfig(path=str(path)), str(tmp_path))


def test_a_name_that_joins_two_others_is_kept_if_the_config_lists_it(
    tmp_path: Path,
) -> None:
    names = ["dent", "scratch", "scratch & dent"]
    path = tmp_path / "list.csv"
    lines = [f"{number}.png,{name}" for number, name in enumerate(names)]
    path.write_text("\n".join(["path,label", *lines]))
    with pytest.raises(DataError, match=r"line 4: an image has.*in `class_names`, wi"):
        list_images(DataConfig(path=str(path)), "unused")
    config = DataConfig(path=str(path), class_names=tuple(names))
    found = list_images(config, "unused")
    assert [ref.class_name for ref in found.refs] == names
    fewer = DataConfig(path=str(path), class_names=("dent", "scratch"))
    with pytest.raises(DataError, match="joins the labels"):
        list_images(fewer, "unused")


def test_names_that_join_two_names_each_are_told(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    labels = ["king cobra", "cobra", "king", "rat snake", "rat", "snake"]
    rows = [f"{number}.png,{label}" for number, label in enumerate(labels)]
    path.write_text("\n".join(["path,label", *rows]))
    (warning,) = list_images(DataConfig(path=str(path)), "unused").warnings
    assert "may join others: 'king cobra' (1), 'rat snake' (1)" in warning


@pytest.mark.parametrize(
    "joined",
    [
        *("cat dog", "cat_dog", "cat/dog", "cat-dog", "cat:dog", "cat~dog", "cat#dog"),
        *("cat and dog", "cat und dog", "cat y dog", "cat e dog", "cat et dog"),
    ],
)
def test_one_label_that_may_join_two_is_told(tmp_path: Path, joined: str) -> None:
    path = tmp_path / "list.csv"
    labels = ["cat", "dog", joined]
    rows = [f"{number}.png,{label}" for number, label in enumerate(labels)]
    path.write_text("\n".join(["path,label", *rows]))
    (warning,) = list_images(DataConfig(path=str(path)), "unused").warnings
    assert warning.startswith(f"Labels that may join others: {joined!r} (1). An image")
    config = DataConfig(path=str(path), class_names=tuple(labels))
    assert not list_images(config, "unused").warnings
