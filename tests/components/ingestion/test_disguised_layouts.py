"""A data set in any disguise is read right, or asked about with an option that does.

Each tree is made from known classes and splits. A disguise moves the images into other
folders, or adds images that belong to no class.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.contract.errors import DataError
from graft.pipeline.config import load_config


@dataclass(frozen=True)
class Image:
    """What is known of a file: its class and split; no class where it is none."""

    class_name: str | None
    split: str = ""


Tree = dict[str, Image]  # by path
Disguise = Callable[[Tree], Tree]

_CLASSES = st.sampled_from(
    [
        ("cat", "dog"), ("apple_pie", "baklava", "ramen"), ("Hund", "Katze", "Vogel"),
        ("red", "green", "blue"), ("0", "1", "2"), ("ok", "defect"), ("猫", "犬"),
        ("BMW 3", "BMW 5", "Audi A4"), ("ripe", "rotten"), ("paper", "copy_paper"),
        ("iPhone", "iPhone 2"), ("tomato", "tomato_small"), ("left", "right"),
    ]
)  # fmt: skip
_STYLES = st.sampled_from(
    ["{n}", "IMG_{n:04}", "{c}_{n}", "{c} ({n})", "{k}{n:03}", "{h:06x}", "photo-{n}"]
)
_SPLITS = st.sampled_from(
    [
        (), ("train", "test"), ("train", "val", "test"), ("Training", "Testing"),
        ("training", "validation", "evaluation"), ("train2017", "val2017"),
        ("treino", "teste"), ("seg_train", "seg_test"),
    ]
)  # fmt: skip
_ROLES = {
    "train": "train", "Training": "train", "training": "train", "train2017": "train",
    "treino": "train", "seg_train": "train", "val": "eval", "validation": "eval",
    "val2017": "test", "evaluation": "test", "test": "test", "Testing": "test",
    "teste": "test", "seg_test": "test",
}  # fmt: skip


@st.composite
def _plain(draw: st.DrawFn) -> Tree:
    """Draw class folders, in splits or not."""
    classes, style = draw(_CLASSES), draw(_STYLES)
    tree: Tree = {}
    for split in draw(_SPLITS) or ("",):
        for k, name in enumerate(classes):
            for n in range(1, draw(st.integers(5, 8))):
                number = k * 1_000_003 + 7919 * n * n if "h:" in style else n
                stem = style.format(n=n, c=name, k="xyz"[k % 3], h=number)
                path = f"{split}/{name}/{stem}.jpg" if split else f"{name}/{stem}.jpg"
                tree[path] = Image(name, _ROLES.get(split, ""))
    return tree


def _parts(path: str, image: Image) -> tuple[str, str, str]:
    """Return what stands before the class folder, its name, and the rest."""
    *above, name, file = path.split("/")
    return "".join(f"{part}/" for part in above), name, file


def _in_box(box: str, beside: tuple[str, ...]) -> Disguise:
    def disguise(tree: Tree) -> Tree:
        start = f"{box}/" if box else ""
        moved = {f"{start}{path}": image for path, image in tree.items()}
        return moved | {name: Image(None) for name in beside}

    return disguise


def _with_stray(folder: str, *files: str) -> Disguise:
    def disguise(tree: Tree) -> Tree:
        above = {_parts(path, image)[0] for path, image in tree.items()}
        stray = {
            f"{start}{folder}/{file}": Image(None) for start in above for file in files
        }
        return tree | stray

    return disguise


def _with_copies(folder: str) -> Disguise:
    def disguise(tree: Tree) -> Tree:
        copies = {}
        for path, image in tree.items():
            start, name, file = _parts(path, image)
            copies[f"{start}{name}/{folder}/{file}"] = Image(None)
        return tree | copies

    return disguise


def _with_union(folder: str) -> Disguise:
    def disguise(tree: Tree) -> Tree:
        copies = {}
        for path, image in tree.items():
            start, name, file = _parts(path, image)
            copies[f"{start}{folder}/{name}_{file}"] = Image(None)
        return tree | copies

    return disguise


def _with_places(*places: str) -> Disguise:
    """Move all classes but the last into each of some folders."""

    def disguise(tree: Tree) -> Tree:
        names = {image.class_name for image in tree.values() if image.class_name}
        if len(names) < 3:
            return tree
        last = max(names)
        moved = {}
        for path, image in tree.items():
            start, name, file = _parts(path, image)
            if name == last or image.class_name is None:
                moved[path] = image
                continue
            for k, place in enumerate(places):
                moved[f"{start}{place}/{name}/{k}{file}"] = image
        return moved

    return disguise


def _with_version(original: str, copy: str) -> Disguise:
    def disguise(tree: Tree) -> Tree:
        return {f"{original}/{path}": image for path, image in tree.items()} | {
            f"{copy}/{path}": Image(None) for path in tree
        }

    return disguise


def _with_test_beside(tree: Tree) -> Tree:
    if any(image.split for image in tree.values()):
        return tree
    train = {path: Image(image.class_name, "train") for path, image in tree.items()}
    tests = {
        f"test/{path.replace('.jpg', 't.jpg')}": Image(image.class_name, "test")
        for path, image in tree.items()
    }
    return train | tests


def _with_edited(folder: str, name: str) -> Disguise:
    """Add an edited copy of each image, in a folder of its class."""

    def disguise(tree: Tree) -> Tree:
        copies = {}
        for path, image in tree.items():
            start, class_name, file = _parts(path, image)
            copy = name.format(file.removesuffix(".jpg"))
            copies[f"{start}{class_name}/{folder}/{copy}.jpg"] = Image(None)
        return tree | copies

    return disguise


def _with_covers(tree: Tree) -> Tree:
    """Add an image directly to each folder that holds classes, but to no split."""
    above = {_parts(path, image)[0] for path, image in tree.items()}
    return tree | {
        f"{start}cover.jpg": Image(None)
        for start in above
        if start.count("/") > 0 and start.strip("/").rpartition("/")[2] not in _ROLES
    }


def _packed_twice(box: str) -> Disguise:
    def disguise(tree: Tree) -> Tree:
        return {f"{box}/{path}": image for path, image in tree.items()} | {
            f"{box}/{box}/{path}": Image(None) for path in tree
        }

    return disguise


def _both(first: Disguise, second: Disguise) -> Disguise:
    return lambda tree: second(first(tree))


_LOGS = _with_stray("logs", "loss.png", "accuracy.png", "f1.png")
DISGUISES: list[Disguise] = [
    _in_box("dataset", ("app/static/logo.png", "docs/a.png", "docs/b.png")),
    _in_box("data", ("screenshots/1.png", "screenshots/2.png")),
    _in_box("images", ("README.md", "assets/icon.png")),
    _in_box("my pets", ()),
    _in_box("Bilder", ("Ergebnisse/x.png", "Ergebnisse/y.png")),
    _LOGS,
    _with_stray("wandb", "run-1/media/a.png", "run-1/media/b.png"),
    _with_stray("results", "1.jpg", "2.jpg"),
    _with_stray("New Folder", "1.jpg", "2.jpg"),
    _with_stray("plots", "roc.png", "pr.png", "confusion.png"),
    _with_copies("thumbs"),
    _with_copies("128x128"),
    _with_copies("web"),
    _with_union("all"),
    _with_union("gesamt"),
    _with_places("kitchen", "garden"),
    _with_places("2024-01-01", "2024-01-02"),
    _with_places("session1", "session2"),
    _with_version("images", "resized"),
    _with_version("original", "augmented"),
    _with_test_beside,
    _with_edited("Exports", "{}-Edit"),
    _with_edited("web", "{} small"),
    _packed_twice("pets"),
    _both(_with_places("kitchen", "garden"), _with_covers),
    _both(_packed_twice("simpsons"), _in_box("", ("testset/x.jpg", "testset/y.jpg"))),
    _both(_LOGS, _with_places("kitchen", "garden")),
    _both(_LOGS, _with_copies("thumbs")),
    _both(_LOGS, _in_box("dataset", ("docs/a.png", "docs/b.png"))),
    _both(_with_union("all"), _in_box("data", ("app/a.png",))),
    _both(_with_copies("thumbs"), _in_box("pets", ("docs/a.png", "app/b.png"))),
    _both(_with_stray("results", "x.png", "y.png"), _with_version("raw", "resized")),
]


def _read(config: DataConfig, root: str) -> Tree:
    refs = list_images(config, "unused").refs
    start = len(root) + 1
    return {
        ref.path[start:]: Image(
            ref.class_name,
            "" if len(ref.splits) > 2 else ref.splits[0],
        )
        for ref in refs
    }


def _readings(root: str) -> list[Tree]:
    """Return what is read without a question, or what each option reads."""
    try:
        return [_read(DataConfig(path=root), root)]
    except DataError as error:
        lines = [
            line for line in str(error).splitlines() if line[:4].strip(" .").isdigit()
        ]
    readings = []
    for line in lines:
        words = shlex.split(line.partition(". ")[2])
        given = list(zip(words[::2], words[1::2], strict=True))
        (data,) = [value for name, value in given if name == "--data"] or [root]
        overrides = [value for name, value in given if name == "--set"]
        config = load_config(None, data=data, overrides=overrides).data
        readings.append(_read(config, root))
    return readings


def _require_known(tree: Tree) -> None:
    wanted = {path: image for path, image in tree.items() if image.class_name}
    with tempfile.TemporaryDirectory() as root:
        for name in tree:
            path = Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        readings = _readings(root)
    assert wanted in readings, [len(each) for each in readings]


@pytest.mark.parametrize("number", range(len(DISGUISES)))
@settings(max_examples=10, deadline=None)
@given(tree=_plain())
def test_a_disguise_is_seen_through(number: int, tree: Tree) -> None:
    _require_known(DISGUISES[number](tree))


@settings(max_examples=60, deadline=None)
@given(_plain())
def test_a_plain_data_set_is_read(tree: Tree) -> None:
    with tempfile.TemporaryDirectory() as root:
        for name in tree:
            path = Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        readings = _readings(root)
        is_asked = len(readings) > 1
    assert readings[0] == tree
    assert is_asked is any(path.startswith("evaluation/") for path in tree)
