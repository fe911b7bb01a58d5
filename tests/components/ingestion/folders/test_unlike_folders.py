"""A class folder that is unlike all others is named, with the reasons."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from graft.components.ingestion.folders.layout_detection import detect_layout
from graft.components.ingestion.listing import list_images
from graft.components.ingestion.names.folder_counts import count_folders
from graft.components.ingestion.sources.layout_answers import FolderLayout
from graft.pipeline.config import load_config


def _expanded(files: str) -> Iterator[str]:
    for pattern in files.split():
        parts = re.split(r"(\{[^}]*\})", pattern.replace("#", "{1,2,3,4,5,6,7,8,9}"))
        choices = [
            part[1:-1].split(",") if part.startswith("{") else [part] for part in parts
        ]
        yield from map("".join, itertools.product(*choices))


def _unlike(files: str) -> list[str]:
    answer = detect_layout(count_folders(_expanded(files)))
    assert isinstance(answer, FolderLayout), answer
    return [warning for warning in answer.warnings if "unlike the others" in warning]


CLASSES = [
    "{cat,dog}/#.jpg", "cat/IMG_200#.jpg dog/IMG_301#.jpg", "{cat/cat,dog/dog}_#.jpg",
    "cat/7{a,b,c}31f9e2#.jpg dog/9{a,b,c}17c0d1#.jpg hen/e{0a1b2c,3d4e5f}#.jpg",
    "{cat,dog,hen}/photo-#.jpeg",
]  # fmt: skip
STRAYS = [
    "confusion/{x,y,z}.png", "reports/{1,2,3}.png", "eda/{overview,scatter}.png",
    "yolo_exp/detect/{u,v,w}.png", "yesterday/{DSC_1,DSC_2,DSC_3}.png",
    "history/{loss_curve,acc_curve,lr_curve}.jpg", "presentation/slide#.png",
    "gone/foo_{1,2,3}.jpg", "answers/{out_a,out_b,out_c}.webp",
]  # fmt: skip


@pytest.mark.parametrize("above", ["", "{train,test}/"])
@pytest.mark.parametrize("stray", STRAYS)
@pytest.mark.parametrize("classes", CLASSES)
def test_a_folder_unlike_the_classes_is_named(
    classes: str, stray: str, above: str
) -> None:
    files = " ".join(above + each for each in (*classes.split(), stray))
    (warning,) = _unlike(files)
    name = stray.partition("/")[0]
    assert warning.startswith(
        f"The folder {name!r} is read as a class, but is unlike the others: {name!r} "
    )


@pytest.mark.parametrize(
    "files",
    [
        "{cat,dog}/#.jpg owl/{1,2,3}.jpg",  # a rare class
        "{cat,dog}/#.jpg owl/{1,2,3}.jpeg",
        "{cat,dog}/#.jpg owl/#.png",  # another format
        "{cat,dog}/#.jpg owl/DSC_#.jpg",  # another camera
        "{cat,dog}/#.jpg owl/studio/#.jpg",
        "{cat/tom,dog/rex}_#.jpg owl/{ella,joe,kim}.jpg",  # the others differ, too
        "cat/#.jpg logs2/{x,y,z}.png",  # two classes
        "photo/IMG_#.jpg screenshot/Screenshot_#.png meme/{lol,rofl,omg}.jpg",
        "figures/fig#.png tables/tab#.png text/par{1,2}.png",
        "cat/100#_7a3f9e2b_n.jpg dog/200#_9e1f7c2d_m.jpg owl/301_1b2c3d4e5f_b.jpg",
    ],
)
def test_honest_classes_are_not_named(files: str) -> None:
    assert _unlike(files) == []


def test_a_folder_of_many_more_images_is_named() -> None:
    (warning,) = _unlike("{cat,dog}/#.jpg crawl/pic_{1,2,3}#.jpg")
    assert "'crawl' has 27 images beside 9, names such as" in warning


def test_names_alone_are_enough_beside_four_classes_that_are_alike() -> None:
    (warning,) = _unlike("{cat,dog,hen,owl}/#.jpg backlog/pic#.jpg")
    assert "'backlog' has names such as 'pic1.jpg' beside '1.jpg'." in warning
    assert _unlike("{cat,dog,hen}/#.jpg backlog/pic#.jpg") == []


def test_the_command_of_the_warning_leaves_the_folder_aside(tmp_path: Path) -> None:
    for name in _expanded("{train,val}/{cat,dog}/#.jpg train/eda/{x,y,z}.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    listing = list_images(load_config(None, data=str(tmp_path)).data, "unused")
    (warning,) = [each for each in listing.warnings if "unlike" in each]
    assert "has 3 images beside 18, names such as" in warning
    (command,) = re.findall(r"`(--set.*)` leaves it aside", warning)
    overrides = [word for word in shlex.split(command) if word != "--set"]
    config = load_config(None, data=str(tmp_path), overrides=overrides).data
    refs = list_images(config, "unused").refs
    assert {(ref.class_name, ref.splits) for ref in refs} == {
        (name, splits)
        for name in ("cat", "dog")
        for splits in (("train", "eval"), ("test",))
    }


def test_several_folders_are_named_in_one_line() -> None:
    (warning,) = _unlike("{cat,dog,hen}/#.jpg {eda,slides}/{x,y}.png")
    assert warning.startswith(
        "The folders 'eda', 'slides' are read as classes, but are unlike the others: "
    )
    assert warning.endswith("leaves them aside.")
