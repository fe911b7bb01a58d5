"""The data checks to run, and the policy of each."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from graft.contract.strict_model import StrictModel

Policy = Literal["off", "warn", "drop", "fail"]
"""`warn` reports, `drop` removes the images from training, `fail` ends the run."""


class DataQualityConfig(StrictModel):
    """A policy per check. The report shows all findings with thumbnails."""

    leaks: Policy = Field(
        "warn",
        description="Near-copies in different splits; `drop` removes those in `train`.",
    )
    label_conflicts: Policy = Field(
        "warn", description="Near-copies with different labels."
    )
    blank: Policy = Field("warn", description="Images of one colour.")
    dark: Policy = Field("warn", description="Images that are almost black.")
    blurred: Policy = Field("warn", description="Images without any sharp edge.")
    tiny: Policy = Field("warn", description="Images with an edge below `min_edge`.")
    label_errors: Policy = Field(
        "warn",
        description="Labels that cross-validation finds unlikely; needs stored "
        "features.",
    )
    max_distance: float = Field(
        0.15,
        gt=0,
        le=0.5,
        description="Near-copies are closer than this: 0 for the same picture, 1.41 "
        "for two that have nothing in common.",
    )
    max_feature_distance: float = Field(
        0.35,
        ge=0,
        lt=1,
        description="A training image is also a near-copy of a held-out one if the "
        "distance of their features is below this share of the median distance to "
        "the nearest training image; 0 switches it off.",
    )
    min_contrast: float = Field(
        2.0,
        ge=0,
        description="An image is blank below this standard deviation of grey levels.",
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
        8, ge=1, description="An image is tiny if its shorter edge has fewer pixels."
    )

    @property
    def drops(self) -> bool:
        """Whether any check may remove images from training."""
        return any(getattr(self, name) == "drop" for name in type(self).model_fields)

    @property
    def finds_copies(self) -> bool:
        """Whether a check needs the search for near-copies."""
        return not self.leaks == self.label_conflicts == "off"

    def policy_of(self, check: str) -> Policy:
        """Return the policy of a check by its name."""
        policy: Policy = getattr(self, check)
        return policy
