"""Labels that contradict the paths of their images are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.tables.labels_in_paths import LabelsInPaths

CLASSES = st.sampled_from(["cat", "dog", "barn owl", "Möwe"])


def _warnings(lines: list[tuple[str, str]]) -> list[str]:
    found = LabelsInPaths()
    for path, label in lines:
        found.add(path, label)
    return list(found.warnings())


@pytest.mark.parametrize("path", ["{0}/{1}.jpg", "img/{0}_{1}.jpg", "a/{0}/b/{1}.png"])
@given(classes=st.lists(CLASSES, min_size=4, max_size=30), by=st.integers(0, 29))
def test_exactly_the_moved_labels_are_counted(
    path: str, classes: list[str], by: int
) -> None:
    moved = classes[by % len(classes) :] + classes[: by % len(classes)]
    lines = [
        (path.format(name, number), label)
        for number, (name, label) in enumerate(zip(classes, moved, strict=True))
    ]
    wrong = sum(name != label for name, label in zip(classes, moved, strict=True))
    warnings = _warnings(lines)
    assert len(warnings) == (1 if wrong else 0)
    if wrong:
        number = "1 line gives" if wrong == 1 else f"{wrong} lines give"
        assert warnings[0].startswith(f"{number} an image another label")


@pytest.mark.parametrize(
    "lines",
    [
        [("1/2.jpg", "2"), ("2/1.jpg", "1")],
        [("front/1.jpg", "cat"), ("back/2.jpg", "dog")],
        [("Barn_Owl/1.jpg", "barn owl"), ("cat/2.jpg", "cat")],
        [("pets/cat_1.jpg", "cat"), ("pets/dog_1.jpg", "dog")],
    ],
)
def test_paths_that_say_nothing_else_are_not_told(lines: list[tuple[str, str]]) -> None:
    assert _warnings(lines) == []


def test_a_manifest_with_moved_labels_is_told(tmp_path: Path) -> None:
    lines = "cat/1.jpg,dog\ncat/2.jpg,cat\ndog/1.jpg,cat\ndog/2.jpg,dog\n"
    (tmp_path / "m.csv").write_text("path,label\n" + lines)
    found = list_images(DataConfig(path=str(tmp_path / "m.csv")), "").warnings
    assert [each for each in found if each.startswith("2 lines give an image another")]
