"""A pattern that matches no image stops, and the pattern that is printed reads them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.contract.errors import DataError
from graft.pipeline.config import load_config


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for split in ("train", "test"):
        for label in ("cat", "dog"):
            folder = tmp_path / "photos" / split / label
            folder.mkdir(parents=True)
            for n in range(3):
                (folder / f"{label}_{n}.jpg").touch()
    return tmp_path / "photos"


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"[^/]+/(?P<class>[^/]+)/[a-z]+_\d+", "The extension is a part of the path"),
        (r"(?P<split>train|test)/(?P<class>[a-z]+)/\w+", "The extension is a part of"),
        (r"train/(?P<class>\w+)/cat_\d|test/x", "The extension is a part of the path"),
        (r"(?P<class>[^/]+)/[a-z]+_\d+\.jpg", "The folders above are a part of the"),
        (r"(?P<class>cat|dog)/[a-z]+_\d+", "folders above and the extension are a par"),
        (r"[^/]+/(?P<class>[^/]+)", "The pattern must match up to the end of the path"),
        (r"photos/[^/]+/(?P<class>[^/]+)/.+", "The path begins below 'photos'"),
        (r"photos/[^/]+/(?P<class>[^/]+)/\w+", "The path begins below 'photos'"),
        (r"(?P<class>.+)_\d+\.jpg", "The pattern must not match the extension"),
        (r"(?P<class>.+)_\d+\.\w+", "The pattern must not match the extension"),
        (r"(?P<class>[a-z]+)_\d.jpe?g", "The pattern must not match the extension"),
        (
            r"(?P<class>[a-z]+)_\d+\.(jpg|png)$",
            "The pattern must not match the extension",
        ),
        (r"(?P<class>CAT|DOG)_\d+", "Small and capital letters differ"),
        (r"(?P<class>cat|dog)", "The pattern must match up to the end"),
        (r"(?P<class>[ao])._\d+", "The pattern must match from the beginning"),
        (r"\w+\\(?P<class>\w+)\\.+", "Folders are separated by '/'"),
    ],
)
def test_the_pattern_that_is_printed_reads_the_images(
    photos: Path, pattern: str, reason: str
) -> None:
    with pytest.raises(DataError) as stopped:
        list_images(DataConfig(path=str(photos), class_pattern=pattern), "unused")
    text = str(stopped.value)
    assert reason in text
    ((printed, number),) = re.findall(r"`--set (.*)` would match (\d+) of 12\.", text)
    overrides = shlex.split(printed)
    config = load_config(None, data=str(photos), overrides=overrides).data
    assert len(list_images(config, "unused").refs) == int(number) > 0


def test_a_pattern_of_other_names_has_no_hint(photos: Path) -> None:
    config = DataConfig(path=str(photos), class_pattern=r"(?P<class>x+)=\d+")
    with pytest.raises(DataError, match=r"such as 'test/cat/cat_0\.jpg'\.$"):
        list_images(config, "unused")
