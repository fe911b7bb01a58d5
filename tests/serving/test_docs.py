"""The page on TensorFlow Serving's behaviours: each has tests, and they exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent / "embedded"
TABLE = (ROOT / "docs" / "serving-behaviours.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d+) \| .* \| (.*) \|$", TABLE, re.MULTILINE)
NUM_BEHAVIOURS = 37


def test_every_behaviour_has_its_row():
    assert [int(number) for number, _ in ROWS] == list(range(1, NUM_BEHAVIOURS + 1))


@pytest.mark.parametrize(
    "cell", [cell for _, cell in ROWS], ids=[number for number, _ in ROWS]
)
def test_a_behaviour_names_tests_that_exist(cell):
    names = re.findall(r"`([\w/]+\.py)::(\w+)`", cell)
    assert names
    for file, test in names:
        path = ROOT / file if file.startswith("tests/") else HERE / file
        assert f"\ndef {test}(" in path.read_text(encoding="utf-8"), f"{file}::{test}"
