"""The config of data validation."""

from __future__ import annotations

from pydantic import Field

from graft.contract.strict_model import StrictModel


class DataValidationConfig(StrictModel):
    """The schema that the data must fit before training."""

    schema_path: str | None = Field(
        None,
        description="A curated schema, schema.pbtxt. Empty: each run infers one from "
        "its data; copy it from the artifacts to start your own.",
    )
