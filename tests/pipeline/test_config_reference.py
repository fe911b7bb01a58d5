"""The reference page has every key of the config, and is up to date."""

from __future__ import annotations

import re
from pathlib import Path

from graft.pipeline.config_reference import render_reference
from graft.trainer.config import AugmentationConfig, TrainingConfig

PAGE = Path(__file__).resolve().parents[2] / "docs" / "config.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render_reference(), "make reference"


def test_every_key_has_a_row_with_type_and_default() -> None:
    text = render_reference()
    training = text.partition("## `training`\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", training, re.M))
    assert rows.keys() == TrainingConfig.model_fields.keys()
    assert rows["epochs"].startswith("whole number, above 0 | `30` | ")
    assert rows["strategy"].startswith("`feature_extraction`, `linear`, ")
    augmentation = text.partition("## `training.augmentation`\n")[2]
    assert all(
        f"| `{key}` |" in augmentation for key in AugmentationConfig.model_fields
    )
    assert "## `model.head: {type: dense}`" in text
    path = text.partition("## `data`\n")[2].partition("\n\n## ")[0]
    assert "| `path` | text | none: needed |" in path


def test_each_row_has_four_cells() -> None:
    rows = [line for line in render_reference().splitlines() if line.startswith("|")]
    assert {len(re.split(r"(?<!\\)\|", row)) for row in rows} == {6}
