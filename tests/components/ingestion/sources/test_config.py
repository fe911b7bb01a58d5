"""Data configs that are refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from graft.components.ingestion.sources.config import DataConfig


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "path\n  Field required"),
        ({"path": ""}, "at least 1 character"),
        ({"path": "x", "pth": "y"}, "Extra inputs are not permitted"),
        ({"path": "x", "format": "folder"}, "'auto', 'folders', 'pre_split'"),
        ({"path": "x", "max_bad_fraction": 5}, "less than or equal to 1"),
        ({"path": "x", "min_images_per_class": 0}, "greater than or equal to 1"),
        (
            {"path": "x", "splits": {"train": 80, "eval": 10, "test": 20}},
            r"must add up to 100 with train above 0\. Received: train=80.0.*sum 110",
        ),
        (
            {"path": "x", "splits": {"train": 0, "eval": 50, "test": 50}},
            "must add up to 100 with train above 0",
        ),
    ],
)
def test_bad_values_are_refused(fields: dict[str, Any], message: str):
    with pytest.raises(ValidationError, match=message):
        DataConfig(**fields)


def test_every_field_is_described():
    schema = DataConfig.model_json_schema()
    for model in [schema, *schema["$defs"].values()]:
        for name, field in model["properties"].items():
            assert field.get("description"), name


def test_it_survives_json():
    config = DataConfig(
        path="x", class_names=("a", "b"), splits={"train": 70, "eval": 10, "test": 20}
    )
    assert DataConfig.model_validate_json(config.model_dump_json()) == config
