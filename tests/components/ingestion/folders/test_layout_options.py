"""Every config that a question prints reads the data, with the printed counts."""

from __future__ import annotations

import csv
import re
import shlex
import tempfile
from collections import Counter
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.components.ingestion.folders.layout_detection import detect_layout
from graft.components.ingestion.listing import list_images
from graft.components.ingestion.names.folder_counts import count_folders
from graft.components.ingestion.names.folder_names import role_of
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.layout_answers import (
    ROLES,
    Option,
    Question,
    describe_classes,
    settings_as_arguments,
)
from graft.components.ingestion.sources.source import Listing
from graft.components.ingestion.tables.label_tables import Table
from graft.contract.counts import counted
from graft.contract.errors import DataError
from graft.pipeline.config import load_config

_TOPS = (
    "train test val valid evaluation part_a part_b animals things cat dog images masks "
    "resized raw logs all data a b x"
)
_INNER = "cat dog cup pen owl images train test seg_train logs thumbs 2021 session1 a b"
_FOLDERS = st.one_of(
    st.tuples(st.sampled_from(_TOPS.split())),
    *(
        st.tuples(
            st.sampled_from(_TOPS.split()),
            *(st.sampled_from(_INNER.split()) for _ in range(depth)),
        )
        for depth in (1, 2, 3)
    ),
).map("/".join)
_FILES = st.sampled_from(
    [
        ["{}.jpg"],
        ["Bär {}.webp"],
        ["cat_{}.jpg", "dog_{}.png"],
        ["a1.{}.jpg", "b.{}.jpg"],
        ["train_cat_{}.jpg", "test_cat_{}.jpg", "train_dog_{}.jpg", "test_dog_{}.jpg"],
    ]
)
_IMAGES = st.builds(
    lambda folder, files, numbers: {
        f"{folder}/{file.format(n)}" for file in files for n in numbers
    },
    _FOLDERS,
    _FILES,
    st.sets(st.integers(0, 9), min_size=1, max_size=4),
)
_NOISE = st.lists(
    st.sampled_from(["README.md", "stray.jpg", "masks/1.txt", "annotations/1.xml"]),
    max_size=2,
)


def _read(root: Path, option: Option) -> tuple[DataConfig, Listing]:
    """Use the option as a user copies it from the terminal."""
    words = shlex.split(settings_as_arguments(option, str(root)))
    given = list(zip(words[::2], words[1::2], strict=True))
    (data,) = [value for name, value in given if name == "--data"] or [str(root)]
    overrides = [value for name, value in given if name == "--set"]
    config = load_config(None, data=data, overrides=overrides).data
    return config, list_images(config, "unused")


def _require_counts(root: Path, option: Option) -> None:
    config, listing = _read(root, option)
    classes = Counter(ref.class_name for ref in listing.refs)
    assert describe_classes(classes) in option.meaning
    splits = re.search(r"splits: (.*?);", option.meaning)
    if splits:
        given = config.split_folders.model_dump() if config.split_folders else {}
        read = Counter(
            next(
                (
                    role
                    for role, paths in given.items()
                    if any(ref.name.startswith(f"{path}/") for path in paths)
                ),
                role_of(ref.name.split("/")[0]),
            )
            for ref in listing.refs
        )
        told = ", ".join(
            f"{role} {counted(read[role], 'image')}" for role in ROLES if read[role]
        )
        assert told == splits[1]
    left = re.search(r"left aside: (\d+)$", option.meaning)
    if left:
        files = [path for path in Path(config.path).rglob("*.*g") if path.is_file()]
        files += Path(config.path).rglob("*.webp")
        assert len(files) - len(listing.refs) == int(left[1])


@settings(max_examples=200, deadline=None)
@given(st.lists(_IMAGES, min_size=1, max_size=8), _NOISE)
def test_every_printed_config_reads_what_it_says(
    groups: list[set[str]], noise: list[str]
) -> None:
    names = {*set().union(*groups), *noise}
    question = detect_layout(count_folders(names))
    if not isinstance(question, Question):
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode())
        for option in question.options:
            _require_counts(Path(folder), option)
    chosen = [settings_as_arguments(option, "x") for option in question.options]
    assert len(set(chosen)) == len(chosen)


def test_splits_are_told_in_one_order() -> None:
    names = ["train/1.jpg", "train/cat/1.jpg", "train/dog/1.jpg"]
    question = detect_layout(
        count_folders([*names, "test/logs/1.jpg", "test/cat/cat/1.jpg"])
    )
    assert isinstance(question, Question)
    assert any(
        "splits: train 2 images, test 2 images;" in option.meaning
        for option in question.options
    )


def test_counts_name_classes_as_ingestion_does() -> None:
    counts = {"Ba\u0308r": 2, "B\u00e4r ": 1, "dog": 3, "\n": 1}
    assert describe_classes(counts) == "3 classes: '\\n' (1), 'Bär' (3), 'dog' (3)"


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["", "train", "a/images", "Bär #1"]),
    st.sampled_from(["", "meta"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["label", "breed", "path", "class name"]),
    st.integers(2, 6),
)
def test_a_printed_table_is_read_whole(
    images: str, above: str, has_extension: bool, has_folder: bool, label: str, n: int
) -> None:
    """A table as Kaggle publishes it, beside its images or above them."""
    with tempfile.TemporaryDirectory() as folder:
        start = Path(folder, above)
        (start / images).mkdir(parents=True, exist_ok=True)
        rows = [["id", label]]
        for number in range(n):
            (start / images / f"x{number}.jpg").write_text(str(number))
            name = f"x{number}.jpg" if has_extension else f"x{number}"
            in_folder = f"{images}/{name}" if has_folder and images else name
            rows.append([in_folder, ("cat", "dog")[number % 2]])
        with (start / "list.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
        with pytest.raises(DataError) as stopped:
            list_images(DataConfig(path=folder), "unused")
        ((arguments, meaning),) = re.findall(
            r"^  \d\. (.*list\.csv.*)\n     (.*)$", str(stopped.value), re.M
        )
        words = shlex.split(arguments)
        assert words[0] == "--data" and set(words[2::2]) <= {"--set"}
        config = load_config(None, data=words[1], overrides=words[3::2]).data
        refs = list_images(config, "unused").refs
        assert {ref.class_name for ref in refs} == {"cat", "dog"}
        assert all(Path(ref.path).is_file() for ref in refs)
        assert meaning.startswith(f"{counted(len(refs), 'image')} that ")


def _meanings(names: list[str], *tables: Table) -> list[str]:
    question = detect_layout(count_folders(names), tables)
    assert isinstance(question, Question)
    return [option.meaning for option in question.options]


def test_a_table_says_which_column_is_meant() -> None:
    names = ["1.jpg", "2.jpg"]
    (plain,) = _meanings(names, Table("a.csv", ("id", "zzz"), (("1", "x"),)))
    assert plain.endswith("labels from the column 'zzz'; left aside: 1")
    (guess,) = _meanings(names, Table("a.csv", ("id", "y1", "y2"), (("1", "x", "x"),)))
    assert "column 'y1' (or another one of 'y1', 'y2')" in guess
    (known,) = _meanings(
        names, Table("a.csv", ("id", "n", "Breed"), (("1", "x", "y"),))
    )
    assert "labels from the column 'Breed'" in known
    assert not _meanings(names, Table("a.jsonl", ("path",), (("1.jpg",),)))


@pytest.mark.parametrize(
    ("is_whole", "meaning"),
    [
        (True, "2 images that t.csv names, in cat{}; left aside: 4"),
        (False, "the images that t.csv names, in cat{}"),
    ],
)
def test_an_option_counts_the_images_that_a_table_names(
    is_whole: bool, meaning: str
) -> None:
    names = [f"{c}/{c}{i}.jpg" for c in ("cat", "dog") for i in range(3)]
    rows = (("cat0.jpg", "dog"), ("cat1.jpg", "cat"), ("cat1.jpg", "cat"))
    table = Table("t.csv", ("path", "label"), rows, is_whole=is_whole)
    expected = meaning.format("; labels from the column 'label'")
    assert _meanings(names, table) == ["2 classes: 'cat' (3), 'dog' (3)", expected]


@pytest.mark.parametrize("lines", [499, 500, 501])
def test_only_a_table_that_was_read_to_its_end_is_counted(
    tmp_path: Path, lines: int
) -> None:
    (tmp_path / "train").mkdir()
    for number in range(lines):
        (tmp_path / "train" / f"{number}.jpg").write_bytes(b"")
    rows = "".join(f"{number}.jpg,{number % 2}\n" for number in range(lines))
    (tmp_path / "t.csv").write_text(f"path,label\n{rows}")
    with pytest.raises(DataError) as stopped:
        list_images(DataConfig(path=str(tmp_path)), "unused")
    is_counted = f"{lines} images that t.csv names" in str(stopped.value)
    assert is_counted is (lines < 500)


def test_a_table_belongs_to_the_folder_that_holds_it() -> None:
    table = Table("a/b.csv", ("id", "label"), (("1", "x"),))
    assert table.below("a") == table._replace(name="b.csv")
    assert table.below("c") is None


def test_a_published_layout_in_a_folder_is_named() -> None:
    names = [f"x/{s}/{n}" for s in ("train", "test") for n in ("1.jpg", "_classes.csv")]
    assert "the layout roboflow, 2 images" in _meanings(names)


@pytest.mark.parametrize(
    ("stems", "has_option"),
    [
        (["cat_1", "cat_2", "dog_1", "dog_2"], True),
        (["cat_1", "cat_2", "dog_1", "dog_2", "x", "y"], False),
        (["cat_1", "cat_2"], False),
        (["cat_1", "dog_2", "emu_3"], False),
    ],
    ids=["two classes", "other names", "one class", "one image a class"],
)
def test_when_file_names_may_tell_the_class(stems: list[str], has_option: bool) -> None:
    assert bool(_meanings([f"{stem}.jpg" for stem in stems])) == has_option


def test_names_of_masks_tell_no_class() -> None:
    names = [f"images/x{i}.jpg" for i in range(4)]
    names += [f"masks/{c}_{i}.png" for c in ("cat", "dog") for i in range(2)]
    assert not [m for m in _meanings(names) if "part of the file name" in m]


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (["{n}_{c}.jpg"], "cat dog"),
        (["IMG_{n}_{c}.jpg"], "cat dog"),
        (["pics/{n}_{c}.jpg"], "cat dog"),
        (["train/{n}_{c}.png", "val/{n}_{c}.png"], "0 1"),
        (["train/{n}_{c}.png", "val/{n}_{c}.png"], "cat dog"),
        (["train{c}{n}.jpg", "test{c}{n}.jpg"], "cat dog"),
        (["train{c}_{n}.jpg", "val{c}_{n}.jpg", "test{c}_{n}.jpg"], "cat dog"),
        (["{c}_{n:04}.jpg"], "0 1"),
    ],
)
def test_the_class_is_found_beside_a_number(
    tmp_path: Path, names: list[str], classes: str
) -> None:
    labels = classes.split()
    both = list(product(labels, range(1, 10)))
    paths = [each.format(n=n, c=c) for each in names for c, n in both]
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    question = detect_layout(count_folders(paths))
    assert isinstance(question, Question)
    (option,) = question.options
    _, found = _read(tmp_path, option)
    number = len(names) * 9
    assert Counter(r.class_name for r in found.refs) == dict.fromkeys(labels, number)
    has_splits = len(names) > 1
    assert (len({ref.splits for ref in found.refs}) > 1) is has_splits


@pytest.mark.parametrize(
    "names",
    [
        ["{n}_img.png", "{n}_mask.png"],
        ["{n}_train.png", "{n}_test.png"],
        ["cat_{n}_left.png", "dog_{n}_right.png"],
        ["{n}_thumb.png", "{n}_full.png"],
        ["trainer{n}.jpg", "tester{n}.jpg", "train_{n}.jpg"],
    ],
)
def test_words_that_are_no_classes_are_not_offered(names: list[str]) -> None:
    paths = [each.format(n=n) for each in names for n in range(1, 10)]
    question = detect_layout(count_folders(paths))
    assert isinstance(question, Question)
    assert not any("(?P<split>" in str(o.settings) for o in question.options)
    assert not any("[^\\W\\d_]+)" in str(o.settings) for o in question.options)
    is_named = "in `class_pattern` reads it" in question.finding
    assert is_named is not bool(question.options)
