"""A layout is detected or asked about; a tree is never read as another layout."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from graft.components.ingestion.folders.folders import list_images
from graft.components.ingestion.folders.layout_detection import detect_layout
from graft.components.ingestion.names.folder_counts import count_folders
from graft.components.ingestion.names.folder_names import (
    is_annotation,
    is_box,
    role_of,
    roles_of,
)
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.layout_answers import (
    FolderLayout,
    Question,
    text_of,
)
from graft.components.ingestion.tables.label_tables import Table
from graft.storage.listing import FileEntry, Tree

ASK = "ask"


def _images(*folders: str, number: int = 3) -> list[str]:
    return [f"{folder}/{i}.jpg" for folder in folders for i in range(number)]


def _below(tops: Iterable[str], classes: Iterable[str] = ("cat", "dog")) -> list[str]:
    return _images(*("/".join(parts) for parts in product(tops, classes)))


def _detect(
    names: Iterable[str], tables: Iterable[Table] = ()
) -> FolderLayout | Question:
    return detect_layout(count_folders(names), list(tables))


CASES = {
    "class folders": (_images("cat", "dog"), "folders"),
    "class folders with sources": (
        [*_images("cat/studio", "dog"), "cat/1.jpg"],
        "folders",
    ),
    "train, val, test": (_below(["train", "val", "test"]), "pre_split"),
    "training_set, test_set": (_below(["training_set", "test_set"]), "pre_split"),
    "Train_Images": (_below(["Train_Images", "Test_Images"]), "pre_split"),
    "numbers": (_below(["train2017", "val2017"]), "pre_split"),
    "my-train, my-val": (_below(["my-train", "my-val"]), "pre_split"),
    "shared word": (_below(["pets_train", "pets_test"]), "pre_split"),
    "held-out": (_below(["train", "held-out"]), "pre_split"),
    "train alone": (_below(["train"]), "pre_split"),
    "unlabelled test": (
        [*_below(["train"]), *_images("test1")],
        "pre_split",
    ),
    "unlabelled val": ([*_below(["train"]), *_images("val", "test")], ASK),
    "seg_train/seg_train": (
        [
            *_below(["seg_train/seg_train", "seg_test/seg_test"]),
            "seg_pred/seg_pred/1.jpg",
        ],
        ASK,
    ),
    "train/train": (_below(["train/train", "test/test"]), ASK),
    "train/images/class": (_below(["train/images", "test/images"]), ASK),
    "val twice": (_below(["train", "val", "validation"]), ASK),
    "other names": (_below(["part_a", "part_b"]), ASK),
    "folds": (_below(["fold1", "fold2", "fold3"]), ASK),
    "splits in classes": (_below(["cat", "dog"], ["train", "test"]), ASK),
    "splits beside a folder": (_below(["train", "test", "holiday"]), ASK),
    "train beside one folder": ([*_below(["train"]), *_images("extra")], ASK),
    "test that copies the classes": (
        [*_images("cat", "dog"), *_below(["test"])],
        ASK,
    ),
    "no class in common": (
        [*_images("train/cat", "train/dog"), *_images("test/sea", "test/street")],
        ASK,
    ),
    "no train": (_below(["test", "val"]), ASK),
    "a folder too high": (_below(["pets"]), ASK),
    "two folders too high": (_below(["archive/pets"]), ASK),
    "flat": (["1.jpg", "2.jpg"], ASK),
    "mostly flat": ([*(f"{i}.jpg" for i in range(9)), *_images("a", "b")], ASK),
    "Kaggle flat": ([*_images("train", "test"), "train.csv"], ASK),
    "Kaggle flat, train only": ([*_images("train"), "train.csv"], ASK),
    "Kaggle dogs": (
        [
            *(f"train/{c}.{i}.jpg" for c in ("cat", "dog") for i in range(5)),
            *_images("test1"),
        ],
        ASK,
    ),
    "pets": (
        [
            *(f"images/{c}_{i}.jpg" for c in ("Beagle", "Sphynx") for i in range(3)),
            "annotations/trimaps/Beagle_1.png",
            "annotations/list.txt",
        ],
        ASK,
    ),
    "images beside annotations": ([*_images("images"), "annotations/1.xml"], ASK),
    "class folders in images": (
        [*_below(["images"]), "labels/1.txt"],
        ASK,
    ),
    "VOC": (
        [*_images("JPEGImages", "SegmentationClass"), "Annotations/1.xml"],
        ASK,
    ),
    "YOLO": (
        [*_images("images/train", "images/val"), "labels/train/1.txt"],
        ASK,
    ),
    "Roboflow YOLO": (
        [*_images("train/images", "valid/images"), "train/labels/1.txt"],
        ASK,
    ),
    "Roboflow flat": (
        [
            f"{s}/{n}"
            for s in ("train", "valid", "test")
            for n in ("1.jpg", "_classes.csv")
        ],
        "roboflow",
    ),
    "Roboflow detection": (
        [f"{s}/{n}" for s in ("train", "valid") for n in ("1.jpg", "_annotations.csv")],
        ASK,
    ),
    "ImageNet": (
        [
            *(f"ILSVRC/Data/CLS-LOC/train/n{k}/n{k}_1.JPEG" for k in range(3)),
            *(f"ILSVRC/Data/CLS-LOC/{s}/1.JPEG" for s in ("val", "test")),
            "ILSVRC/Annotations/CLS-LOC/train/n0/n0_1.xml",
            "LOC_val_solution.csv",
        ],
        ASK,
    ),
    "tiny-imagenet": (
        [
            *(f"train/n{k}/images/n{k}_0.JPEG" for k in range(3)),
            *(f"train/n{k}/n{k}_boxes.txt" for k in range(3)),
            "val/images/val_0.JPEG",
            "val/val_annotations.txt",
            "test/images/test_0.JPEG",
            "wnids.txt",
        ],
        "tiny_imagenet",
    ),
    "two classes that are called like splits, with one source": (
        _images("train/studio", "test/studio"),
        ASK,
    ),
    "a class that is called train": (_images("train", "bus", "car"), "folders"),
    "a class train with sources": (
        [*_images("train/steam", "train/electric"), *_images("bus", "car")],
        ASK,
    ),
    "train stations": (
        [*_images("train_station/day", "train_station/night", "bus_stop/day")],
        "folders",
    ),
    "kinds of train": (_images("bullet_train", "freight_train"), "folders"),
    "split words in classes": (_images("test_tube", "train_station"), "folders"),
    "valid and invalid": (_images("valid", "invalid"), "folders"),
    "test and control": (_images("test", "control"), "folders"),
    "masks are worn": (_images("mask", "no_mask"), "folders"),
    "labels are things": (_images("labels", "bottles"), "folders"),
    "annotations hold images": (_images("cat", "dog", "annotations"), ASK),
    "numbers as classes": (_images("0", "1", "2"), "folders"),
    "taxonomy": (
        [*_images("animals/cat", "animals/dog", "things/cup", "things/pen")],
        ASK,
    ),
    "taxonomy in splits": (
        [
            *_images("train/animals/cat", "train/animals/dog", "train/things/cup"),
            *_images("test/animals/cat", "test/things/cup"),
        ],
        ASK,
    ),
    "taxonomy in train alone": (_images("train/a/cat", "train/a/dog", "train/b"), ASK),
    "one common source": (_images("cat/images", "dog/images"), "folders"),
    "images and masks in splits": (_below(["train", "test"], ["images", "masks"]), ASK),
    "train within train": (_below(["train/train"]), ASK),
    "classes of the same sources": (
        ["cat/1.jpg", *_below(["cat", "dog"], ["day", "night"])],
        "folders",
    ),
    "tiny-imagenet without train": (
        [*_images("val/images", "test/images"), "val/val_annotations.txt"],
        ASK,
    ),
    "tiny-imagenet without the table": (
        _images("train/n0/images", "train/n1/images", "val/images"),
        ASK,
    ),
    "tiny-imagenet with more in val": (
        [
            *_images("train/n0/images", "train/n1/images", "val/images", "val/more"),
            "val/val_annotations.txt",
        ],
        ASK,
    ),
    "tiny-imagenet of one class": (
        [*_images("train/n0/images", "val/images"), "val/val_annotations.txt"],
        ASK,
    ),
    "tiny-imagenet without folders of images": (
        [*_images("train/n0", "train/n1", "val/images"), "val/val_annotations.txt"],
        ASK,
    ),
    **{
        f"Roboflow flat: {' '.join(splits)}": (
            [f"{s}/{n}" for s in splits for n in ("1.jpg", "_classes.csv")],
            ASK,
        )
        for splits in (
            ("valid", "test"),
            ("train", "training", "test"),
            ("train", "test", "extra"),
        )
    },
    "images beside a class": (_images("images", "cat"), ASK),
    "classes in the names of one folder": (
        [f"photos/{c}_{i}.jpg" for c in ("cat", "dog") for i in range(3)],
        ASK,
    ),
    "train twice": (_images("train/cat", "training/dog"), ASK),
    "a box in one folder": (_images("pets/images"), ASK),
    "one class of train in val, with a source": (
        [*_below(["train"]), *_images("val/cat/studio")],
        "pre_split",
    ),
    "a class train with one source": (_images("train/studio", "bus"), "folders"),
    "images alone": (_images("images"), ASK),
    "two folders of one split": (_images("test1", "test2"), "folders"),
    "class folders beside Roboflow's tables": (
        [*_below(["train", "test"]), "train/_classes.csv", "test/_classes.csv"],
        "pre_split",
    ),
    "one class": (_images("cat"), "folders"),
    "one class with a source": (["cat/1.jpg", *_images("cat/studio")], "folders"),
    "one class in one source": (_images("cat/studio"), "folders"),
    "one folder beside a table": ([*_images("cat"), "list.csv"], ASK),
    "one folder that holds its table": ([*_images("a/cat"), "a/list.csv"], ASK),
}


@pytest.mark.parametrize(("names", "expected"), CASES.values(), ids=CASES)
def test_layouts_of_the_world(names: list[str], expected: str) -> None:
    answer = _detect(names)
    found = ASK if isinstance(answer, Question) else answer.format
    assert found == expected, answer


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("train", "train"), ("TRAINING", "train"), ("training_set", "train"),
        ("seg_train", "train"), ("Train_Images", "train"), ("trainset", "train"),
        ("TrainData", "train"), ("train2017", "train"), ("X_train", "train"),
        ("val", "validation"), ("my-val", "validation"), ("valid_256", "validation"),
        ("dev", "validation"), ("evaluation", "validation"), ("test1", "test"),
        ("testing", "test"), ("hold-out", "test"), ("Held Out", "test"),
        ("trn", "train"), ("vld", "validation"), ("tst", "test"),
        ("entraînement", "train"), ("entrai\u0302nement", "train"),
        ("VALIDACIÓN", "validation"), ("validação_2024", "validation"),
        ("Validierung", "validation"), ("pruebas", "test"), ("dados_teste", None),
        ("train_station", None), ("bullet train", None), ("test_tube", None),
        ("contest", None), ("trainer", None), ("invalid", None), ("cat", None),
        ("restrain", None), ("train_test", None), ("", None), ("2017", None),
    ],
)  # fmt: skip
def test_names_of_splits(name: str, role: str | None) -> None:
    assert role_of(name) == role


def test_a_word_that_all_names_share_is_no_evidence_of_a_class() -> None:
    assert roles_of(["pets_train", "pets_test"]) == {
        "pets_train": "train",
        "pets_test": "test",
    }
    assert roles_of(["bus_station", "train_station"]) == {}


TABLE = Table("train.csv", ("id", "breed"), (("0", "beagle"),))


@pytest.mark.parametrize(
    ("names", "tables", "settings_of_options"),
    [
        (
            CASES["seg_train/seg_train"][0],
            [],
            [
                {
                    "split_folders": {
                        "train": "seg_train/seg_train",
                        "test": "seg_test/seg_test",
                    }
                },
                {"format": "folders"},
            ],
        ),
        (
            CASES["val twice"][0],
            [],
            [
                {
                    "split_folders": {
                        "train": "train",
                        "validation": ["val", "validation"],
                    }
                },
                {"split_folders": {"train": "train", "validation": "val"}},
            ],
        ),
        (
            CASES["Kaggle flat"][0],
            [TABLE],
            [
                {
                    "path": "train.csv",
                    "path_column": "id",
                    "label_column": "breed",
                    "image_folder": "train",
                },
            ],
        ),
        (
            CASES["pets"][0],
            [],
            [{"path": "images", "class_pattern": r"(?P<class>.+)_\d+"}],
        ),
        (
            CASES["Kaggle dogs"][0],
            [],
            [
                {"path": "train", "class_pattern": r"(?P<class>.+)\.\d+"},
            ],
        ),
        (
            CASES["ImageNet"][0],
            [],
            [
                {
                    "path": "ILSVRC/Data/CLS-LOC",
                    "split_folders": {"train": "train"},
                },
            ],
        ),
        (CASES["class folders in images"][0], [], [{"path": "images"}]),
        (CASES["two folders too high"][0], [], [{"path": "archive/pets"}]),
        (
            CASES["splits in classes"][0],
            [],
            [
                {"class_pattern": "(?P<class>[^/]+)/(?P<split>train|test)/.+"},
                {"format": "folders"},
            ],
        ),
        (
            _below(["fresh", "rotten"], ["apple", "pear"]),
            [],
            [
                {"format": "folders"},
                {"class_pattern": "(?:.+/)?(?P<class>[^/]+)/[^/]+"},
                {"class_pattern": "(?P<class>.+)/[^/]+"},
            ],
        ),
        (
            CASES["taxonomy in splits"][0],
            [],
            [
                {"split_folders": {"train": "train", "test": "test"}},
                *(
                    {
                        "split_folders": {"train": "train", "test": "test"},
                        "class_pattern": pattern,
                    }
                    for pattern in (
                        "[^/]+/(?:.+/)?(?P<class>[^/]+)/[^/]+",
                        "[^/]+/(?P<class>.+)/[^/]+",
                    )
                ),
            ],
        ),
        (
            ["1.jpg", "2.jpg", "metadata.csv"],
            [Table("metadata.csv", ("file_name", "label"), (("1.jpg", "cat"),))],
            [{"path": "metadata.csv", "path_column": "file_name"}],
        ),
    ],
    ids=[
        "seg_train", "val twice", "Kaggle flat", "pets", "Kaggle dogs", "ImageNet",
        "images", "too high", "splits in classes", "fruit", "taxonomy", "metadata.csv",
    ],
)  # fmt: skip
def test_a_question_names_the_configs(
    names: list[str], tables: list[Table], settings_of_options: list[dict[str, object]]
) -> None:
    answer = _detect(names, tables)
    assert isinstance(answer, Question)
    assert [dict(option.settings) for option in answer.options] == settings_of_options


def test_only_a_class_that_is_called_like_a_split_has_a_warning() -> None:
    assert _detect(_images("cat", "dog")) == FolderLayout("folders")
    answer = _detect(_images("train", "bus", "car"))
    assert isinstance(answer, FolderLayout)
    assert answer.warnings[0].startswith("The folder 'train' ")


def test_a_question_is_text_to_copy() -> None:
    answer = _detect(CASES["seg_train/seg_train"][0])
    assert isinstance(answer, Question)
    text = text_of(answer, "my data/")
    assert (
        "1. --set 'data.split_folders="
        '{"train": "seg_train/seg_train", "test": "seg_test/seg_test"}\'' in text
    )
    assert "train 6 images, test 6 images; 2 classes" in text
    assert "left aside: seg_pred (1)" in text
    answer = _detect(CASES["a folder too high"][0])
    assert isinstance(answer, Question)
    assert "--data 'my data/pets'\n" in text_of(answer, "my data/")


# --- Trees that are made from a known layout ------------------------------------------

_NAMES = st.one_of(
    st.sampled_from(
        "cat dog Bär train test val valid bus images labels mask day night 0 1 "
        "train_station my_val annotations part_a seg_train 2017".split()
    ),
    st.text("abcdefgXYZ019_- ", min_size=1, max_size=8).filter(
        lambda name: name == name.strip()
    ),
)
_CLASSES = st.lists(_NAMES, min_size=2, max_size=5, unique=True)
_COUNTS = st.integers(1, 4)
_NOISE = st.lists(
    st.sampled_from(
        [
            "README.md", "LICENSE", "docs/a.txt", "labels.csv", "cat/notes.txt",
            "classes.txt", "models/model.ckpt", "stray.jpg",
        ]
    ),
    max_size=3,
    unique=True,
)  # fmt: skip
_SPLIT_NAMES = st.sampled_from(
    [
        ("train", "test"), ("train", "val", "test"), ("train", "val"), ("train",),
        ("training_set", "test_set"), ("Train", "Validation"), ("train2017", "val2017"),
        ("seg_train", "seg_test"), ("dogs_train", "dogs_test"), ("part1", "part2"),
        ("training", "dev", "holdout"),
    ]
)  # fmt: skip
Labels = dict[str, str]


def _read(names: list[str], layout: FolderLayout) -> Labels:
    """Return the class by file, as ingestion lists it."""
    root = count_folders(names)
    tree = Tree(
        [FileEntry(name, name, 1, 0) for name in sorted(names)],
        sorted(folder.path for folder in root.walk() if folder.path),
    )
    listing = list_images(tree, "data", layout, DataConfig(path="data"))
    return {ref.name: ref.class_name for ref in listing.refs}


def _require_known(names: list[str], labels: Labels) -> bool:
    """Check that a tree is read with these labels, or asked about.

    Returns:
        Whether it was read.
    """
    answer = _detect(names)
    if isinstance(answer, Question):
        assert answer.finding
        return False
    assert _read(names, answer) == labels, answer
    return True


def _labels(prefix: str, classes: list[str], counts: list[int], deep: str) -> Labels:
    return {
        f"{prefix}{name}/{deep}{i}.jpg": name
        for name, count in zip(classes, counts, strict=False)
        for i in range(count)
    }


@settings(max_examples=300, deadline=None)
@given(_CLASSES, st.lists(_COUNTS, min_size=5, max_size=5), _SPLIT_NAMES, _NOISE)
def test_splits_are_never_read_as_classes(
    classes: list[str], counts: list[int], splits: tuple[str, ...], noise: list[str]
) -> None:
    labels: Labels = {}
    for split in splits:
        labels |= _labels(f"{split}/", classes, counts, "")
    _require_known([*labels, *noise], labels)


@settings(max_examples=300, deadline=None)
@given(
    _CLASSES,
    st.lists(_COUNTS, min_size=5, max_size=5),
    st.sampled_from(["", "studio/", "a/b/"]),
    _NOISE,
)
def test_classes_are_never_read_as_splits(
    classes: list[str], counts: list[int], deep: str, noise: list[str]
) -> None:
    labels = _labels("", classes, counts, deep)
    _require_known([*labels, *noise], labels)


@settings(max_examples=200, deadline=None)
@given(_CLASSES, st.lists(_COUNTS, min_size=5, max_size=5), _NOISE, st.booleans())
def test_repeated_and_wrapped_folders_are_never_read_wrong(
    classes: list[str], counts: list[int], noise: list[str], wrapped: bool
) -> None:
    labels: Labels = {}
    for split in ("seg_train", "seg_test"):
        inner = "images" if wrapped else split
        labels |= _labels(f"{split}/{inner}/", classes, counts, "")
    assert not _require_known([*labels, *noise], labels)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([("images",), ("train",), ("train", "test"), ("JPEGImages",)]),
    st.sampled_from(["annotations/1.xml", "labels/1.txt", "train.csv"]),
    _COUNTS,
)
def test_images_without_class_folders_are_asked_about(
    folders: tuple[str, ...], companion: str, number: int
) -> None:
    assert isinstance(_detect([*_images(*folders, number=number), companion]), Question)


@settings(max_examples=200, deadline=None)
@given(
    _CLASSES,
    st.lists(_COUNTS, min_size=5, max_size=5),
    st.sampled_from([("part1", "part2"), ("train", "val", "valid"), ("a", "b", "c")]),
)
def test_an_option_reads_the_splits(
    classes: list[str], counts: list[int], splits: tuple[str, ...]
) -> None:
    # Splits, images or masks in splits: nobody means the inner ones by "classes".
    assume(not all(role_of(n) or is_box(n) or is_annotation(n) for n in classes))
    labels: Labels = {}
    for split in splits:
        labels |= _labels(f"{split}/", classes, counts, "")
    answer = _detect(labels)
    assert isinstance(answer, Question)
    readings = []
    for option in answer.options:
        if "split_folders" in option.settings:
            chosen = DataConfig(path="x", **option.settings).split_folders
            assert chosen is not None
            layout = FolderLayout("pre_split", chosen.model_dump())
            readings.append(_read([*labels], layout))
        elif "class_pattern" in option.settings and "path" not in option.settings:
            expression = re.compile(str(option.settings["class_pattern"]))
            readings.append(
                {n: m["class"] for n in labels if (m := expression.fullmatch(n))}
            )
    assert labels in readings, Counter(map(len, readings))


def test_a_noisy_tree_of_classes_is_read() -> None:
    """Most trees are read without a question."""
    labels = _labels("", ["cat", "dog", "emu"], [3, 3, 3], "")
    noise = ["README.md", "docs/a.txt", "labels.csv", "classes.txt", "stray.jpg"]
    assert _require_known([*labels, *noise], labels)
