"""Copies and masks are told, whichever way the labels of the images are given."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.components.ingestion.copies.doubtful_names import warn_of_doubtful_names
from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.image_ref import ImageRef

CLASSES = ("cat", "dog")
NUMBERS = range(9)


def _refs(*files: str) -> list[ImageRef]:
    """Return images of two classes; "{}" is the number of an image."""
    return [
        ImageRef("", file.format(f"{label}{n}"), label, "", (), None)
        for file, label, n in itertools.product(files, CLASSES, NUMBERS)
    ]


@pytest.mark.parametrize(
    ("files", "what"),
    [
        (["{}.jpg", "{}_aug.jpg"], "may be copies of other images"),
        (["all/{}.jpg", "all/{}-150x150.jpg"], "may be copies of other images"),
        (["{}.jpg", "thumb_{}.jpg"], "may be copies of other images"),
        (["photos/{}.jpg", "photos/thumbs/{}.jpg"], "may be copies of other images"),
        (["a/b/{}.jpg", "a/b/{} (1).jpg"], "may be copies of other images"),
        (["{}_flip_0.jpg", "{}_flip_1.jpg"], "may be copies of the same images"),
        (["{}.jpg", "{}_mask.png"], "may be masks of other images"),
        (["images/{}.png", "masks/{}.png"], "may be masks of other images"),
        (["x\\{}.png", "x\\mask_{}.png"], "may be masks of other images"),
        (["{}.jpg", "{}.png"], "have the name of another image in another format"),
        (["/data/{}.jpg", "/data/{}_depth.png"], "may be copies of other images"),
        (["gs://b/{}.jpg", "gs://b/{}_small.jpg"], "may be copies of other images"),
    ],
)
def test_what_may_be_made_of_other_images_is_told(files: list[str], what: str) -> None:
    (warning,) = warn_of_doubtful_names(_refs(*files), "remove them")
    assert what in warning
    assert "of 36 images" in warning
    assert "remove them" in warning
    assert "cat0" in warning


@given(
    st.sampled_from(["", "photos/", "a/b/", "masks/", "/data/", "thumbs/"]),
    st.sampled_from(["{}", "IMG_{}", "{}_x", "photo {}", "{}.1", "scan-{}-b"]),
    st.sampled_from([".jpg", ".png", ""]),
)
def test_plain_names_are_not_told(folder: str, name: str, extension: str) -> None:
    refs = _refs(f"{folder}{name}{extension}")
    assert warn_of_doubtful_names(refs, "remove them") == []


def test_records_without_names_are_not_judged() -> None:
    refs = [
        ImageRef("r", f"a.tfrecord:{n}", CLASSES[n % 2], "", (), 1, n)
        for n in range(40)
    ]
    assert warn_of_doubtful_names(refs, "remove them") == []


def _write_csv(root: Path, names: list[str]) -> DataConfig:
    lines = [f"{name},{name.rpartition('/')[2][:3]}" for name in names]
    (root / "l.csv").write_text("\n".join(["path,label", *lines]))
    return DataConfig(path=str(root / "l.csv"))


def _write_json(root: Path, names: list[str]) -> DataConfig:
    lines = [
        f'{{"path": "{name}", "label": "{name.rpartition("/")[2][:3]}"}}'
        for name in names
    ]
    (root / "l.jsonl").write_text("\n".join(lines))
    return DataConfig(path=str(root / "l.jsonl"))


def _by_name(root: Path, names: list[str]) -> DataConfig:
    return DataConfig(path=str(root), class_pattern=r"(?P<class>[a-z]{3}).*")


def _by_folder(root: Path, names: list[str]) -> DataConfig:
    return DataConfig(path=str(root), class_pattern=r"(?P<class>[^/]+)/.+")


WAYS = [_write_csv, _write_json, _by_name, _by_folder]


@pytest.mark.parametrize("configure", WAYS)
def test_each_way_to_give_labels_tells_of_copies(
    tmp_path: Path, configure: Callable[[Path, list[str]], DataConfig]
) -> None:
    names = [ref.name for ref in _refs("{}.jpg", "{}_thumb.jpg")]
    names = [f"{name[:3]}/{name}" for name in names]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = list_images(configure(tmp_path, names), "unused")
    assert len(found.refs) == 36
    assert any("18 files of 36 images" in each for each in found.warnings)
    honest = tmp_path / "honest"
    (honest / "cat").mkdir(parents=True)
    (honest / "dog").mkdir()
    plain = [name for name in names if "thumb" not in name]
    for name in plain:
        (honest / name).touch()
    assert not list_images(configure(honest, plain), "unused").warnings
