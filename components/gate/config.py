"""What a user may demand of a candidate model."""

from __future__ import annotations

from pydantic import Field

from trainer.strict_model import StrictModel


class GateConfig(StrictModel):
    """Floors that a candidate must reach on the `test` split, or it is not pushed."""

    min_accuracy: float = Field(
        0.7, gt=0, le=1, description="Least accuracy on `test`; always checked."
    )
