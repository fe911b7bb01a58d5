"""A manifest whose paths begin elsewhere stops, and what it prints reads it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graft.components.ingestion.listing import list_images
from graft.contract.errors import DataError
from graft.pipeline.config import load_config

NAMES = [f"{label}/{n:02}.png" for label in ("cat", "dog") for n in range(6)]


@pytest.fixture
def photos(tmp_path: Path, make_image: Callable[..., bytes]) -> Path:
    """A folder `home/set/images` of class folders, and `home/set/other`."""
    for seed, name in enumerate(NAMES):
        path = tmp_path / "home" / "set" / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make_image(seed))
    (tmp_path / "home/set/other").mkdir()
    return tmp_path / "home/set"


def _write(path: Path, written: str) -> Path:
    """Write a manifest; the path has {name} or {stem}."""
    lines = ["path,label"]
    for name in NAMES:
        lines.append(f"{written.format(name=name, stem=name[:-4])},{name[:3]}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("manifest", "written", "setting"),
    [
        ("images/l.csv", "images/{name}", "data.image_folder=.."),
        ("images/l.csv", "set/images/{name}", "data.image_folder=../.."),
        ("l.csv", "{name}", "data.image_folder=images"),
        ("l.csv", "{stem}", "data.image_folder=images"),
        ("l.csv", "cat/../{name}", "data.image_folder=images"),
        ("other/l.csv", "images/{stem}", "data.image_folder=.."),
        ("images/cat/l.csv", "{name}", "data.image_folder=.."),
    ],
)
def test_the_setting_that_is_printed_reads_the_images(
    photos: Path,
    run_ingestion: Callable[..., Any],
    manifest: str,
    written: str,
    setting: str,
) -> None:
    path = _write(photos / manifest, written)
    with pytest.raises(DataError) as caught:
        run_ingestion(path)
    text = str(caught.value)
    assert text.startswith("12 images of 12 that ")
    assert f"from the manifest's folder, {str(path.parent)!r}" in text
    assert "graft looked for" in text
    printed = shlex.split(re.findall(r"`--set (.*?)`", text)[0])
    assert printed == [setting]
    config = load_config(None, data=str(path), overrides=printed).data
    refs = list_images(config, "unused").refs
    assert all(Path(ref.path).is_file() for ref in refs)


@pytest.mark.parametrize(
    ("written", "start"),
    [
        ("/{name}", "/"),
        ("old/{name}", "old/"),
        ("/data/old/{name}", "/data/old/"),
        ("x/y/z/{stem}", "x/y/z/"),
    ],
)
def test_what_is_too_much_in_front_is_named(
    photos: Path, run_ingestion: Callable[..., Any], written: str, start: str
) -> None:
    path = _write(photos / "images/l.csv", written)
    with pytest.raises(DataError) as caught:
        run_ingestion(path)
    text = str(caught.value)
    assert f"Write the paths without {start!r} at their beginning." in text
    assert "'cat/00.png' exists" in text
    path.write_text(path.read_text().replace(start, "", 1).replace(f"\n{start}", "\n"))
    assert len(list_images(load_config(None, data=str(path)).data, "unused").refs) == 12
    run_ingestion(path)


@pytest.mark.parametrize("manifest", ["images/l.csv", "l.csv"])
def test_numbers_that_became_fractions_are_named(
    tmp_path: Path, run_ingestion: Callable[..., Any], manifest: str
) -> None:
    path = tmp_path / manifest
    for number in range(1, 10):
        image = tmp_path / "images" / f"{number}.png"
        image.parent.mkdir(exist_ok=True)
        image.write_text(f"{number}")
    rows = [f"{number}.0,{'ab'[number % 2]}" for number in range(1, 10)]
    path.write_text("\n".join(["path,label", *rows]))
    with pytest.raises(DataError, match=r"Write whole numbers, such as '1' for '1\.0'"):
        run_ingestion(path)
    path.write_text(path.read_text().replace(".0,", ","))
    given = {"image_folder": "images"} if manifest == "l.csv" else {}
    config = load_config(None, data=str(path)).data.model_copy(update=given)
    refs = list_images(config, "unused").refs
    assert all(Path(ref.path).is_file() for ref in refs)


def test_an_image_folder_that_is_too_much_is_named(
    photos: Path, run_ingestion: Callable[..., Any]
) -> None:
    path = _write(photos / "l.csv", "images/{name}")
    with pytest.raises(DataError, match=r"exists\. Leave `image_folder` out\."):
        run_ingestion(path, image_folder="images")
    run_ingestion(path)


def test_images_that_are_nowhere_are_not_repaired(
    photos: Path, run_ingestion: Callable[..., Any]
) -> None:
    path = _write(photos / "l.csv", "gone/x{name}")
    with pytest.raises(DataError) as caught:
        run_ingestion(path)
    text = str(caught.value)
    assert "No file of these names is there, or below." in text
    assert "Repair" not in text
    assert "max_bad_fraction" not in text


def test_some_missing_images_are_quarantined(
    photos: Path, run_ingestion: Callable[..., Any]
) -> None:
    path = _write(photos / "images/l.csv", "{name}")
    (photos / "images/cat/00.png").unlink()
    found = run_ingestion(path, max_bad_fraction=0.2)
    assert found.summary["num_quarantined"] == 1
    (photos / "images/dog/00.png").unlink()
    assert run_ingestion(path, max_bad_fraction=0.2).summary["num_quarantined"] == 2
