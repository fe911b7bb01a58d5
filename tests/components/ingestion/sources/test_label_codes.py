"""Labels in two codes are told; names of other kinds are not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.label_codes import warn_of_two_codes


@pytest.mark.parametrize(
    "labels",
    [
        "1 0 TRUE FALSE",
        "0 1 cat dog",
        "yes no 1 0",
        "Y N yes no",
        "T F True False",
        "m f male female",
        "pos neg positive negative",
        "1 2 3 one two three",
        "1 2 3 I II III",
        "yes no true false",
        "0 1 melanoma nevus",
        "0 1 2 cat",
        "1.0 0.0 cat dog",
        "ja nein yes no",
        "oui non 1 0",
        "+ - positive negative",
        "class_0 class_1 0 1",
    ],
)
def test_labels_in_two_codes_are_told(labels: str) -> None:
    (warning,) = warn_of_two_codes(Counter(labels.split()))
    assert "The labels seem to be written in two codes" in warning
    assert all(repr(label) in warning for label in labels.split())


@pytest.mark.parametrize(
    "labels",
    [
        "cat dog",
        "0 1 2",
        "yes no",
        "positive negative",
        "0 1 2 3 A B C",
        "a b c 1",
        "0 1 2 other",
        "1 background",
        "0-2 3-5 60+ 10",
        "cat cattle dog",
        "red reddish green greenish blue",
        "on off",
        "n01 n02",
        "ja nein",
        "+ -",
        "class_0 class_1",
        "a1 b2 1 2",
    ],
)
def test_other_names_are_not_told(labels: str) -> None:
    assert warn_of_two_codes(Counter(labels.split())) == []


@pytest.mark.parametrize("name", ["l.csv", "l.jsonl"])
def test_a_manifest_is_looked_through(tmp_path: Path, name: str) -> None:
    labels = ["1", "0", "TRUE", "FALSE"]
    csv = [f"{n}.png,{label}" for n, label in enumerate(labels)]
    lines = [f'{{"path": "{n}.png", "label": "{x}"}}' for n, x in enumerate(labels)]
    rows = ["path,label", *csv] if name == "l.csv" else lines
    (tmp_path / name).write_text("\n".join(rows))
    found = list_images(DataConfig(path=str(tmp_path / name)), "unused")
    assert any("written in two codes" in each for each in found.warnings)
