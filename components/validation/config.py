"""What a user may say about the shape of sound data."""

from __future__ import annotations

from pydantic import Field

from graft.contract.strict_model import StrictModel


class DataValidationConfig(StrictModel):
    """The schema that data must fit before anything is trained on them."""

    schema_path: str | None = Field(
        None,
        description="A curated schema, schema.pbtxt; empty: one is inferred from "
        "the data of each run and left in the artifacts, to begin with.",
    )
