"""What is looked for in the data, and what is done about it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from graft.contract.strict_model import StrictModel

Policy = Literal["off", "warn", "drop", "fail"]
"""`warn` reports, `drop` leaves the images out of training, `fail` ends the run."""


class DataQualityConfig(StrictModel):
    """A policy per check; whatever a check finds is in the report with pictures."""

    leaks: Policy = Field(
        "warn",
        description="Near-copies in different splits; `drop` spares all but `train`.",
    )
    label_conflicts: Policy = Field(
        "warn", description="Near-copies with different labels."
    )
    blank: Policy = Field("warn", description="Images of one colour.")
    dark: Policy = Field("warn", description="Images with hardly any light.")
    blurred: Policy = Field("warn", description="Images without any sharp edge.")
    tiny: Policy = Field("warn", description="Images with an edge below `min_edge`.")
    label_errors: Policy = Field(
        "warn",
        description="Labels that a classifier that has not seen them finds unlikely; "
        "needs stored features.",
    )
    max_distance: float = Field(
        4.0,
        gt=0,
        description="Near-copies differ by less than this on average, in grey levels "
        "of 255, at 32 by 32 pixels.",
    )
    max_feature_distance: float = Field(
        0.35,
        ge=0,
        lt=1,
        description="A training image is a near-copy of one in `eval`, too, if its "
        "stored features are closer than this share of the usual distance to the "
        "nearest training image; 0 switches it off.",
    )
    min_contrast: float = Field(
        2.0, ge=0, description="An image is blank below this deviation of grey levels."
    )
    min_brightness: float = Field(
        12.0, ge=0, description="An image is dark below this mean of grey levels."
    )
    min_sharpness: float = Field(
        12.0,
        ge=0,
        description="An image is blurred below this variance of the Laplacian, its "
        "longer edge at 256 pixels at most.",
    )
    min_edge: int = Field(
        8, ge=1, description="Fewest pixels of the shorter edge of a sound image."
    )

    @property
    def drops(self) -> bool:
        """Whether any check may leave images out of training."""
        return any(getattr(self, name) == "drop" for name in type(self).model_fields)

    def policy_of(self, check: str) -> Policy:
        """Return the policy of a check by its name."""
        policy: Policy = getattr(self, check)
        return policy
