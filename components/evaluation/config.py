"""What a user may demand of a candidate model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from graft.contract import example_keys
from graft.contract.strict_model import StrictModel

SIZE_SLICE = "image/size"
"""A slice that no example carries: the image's longer edge, in ranges of pixels."""


class ComparisonConfig(StrictModel):
    """How a candidate is compared with the model in production, image by image.

    A candidate is refused as worse if its loss of accuracy is both too great to be
    chance (exact one-sided McNemar test at `significance`) and greater than
    `tolerance`. If the test images can't tell a loss of `margin` with probability
    `power`, the comparison is inconclusive and `when_inconclusive` decides.
    """

    enabled: bool = Field(
        True, description="Compare with the model in production at all."
    )
    significance: float = Field(
        0.05, gt=0, lt=0.5, description="Probability of refusing an equally good model."
    )
    tolerance: float = Field(
        0.005,
        ge=0,
        lt=1,
        description="Loss of accuracy that is accepted even when it is no chance.",
    )
    margin: float = Field(
        0.02, gt=0, lt=1, description="Loss of accuracy that must not go unnoticed."
    )
    power: float = Field(
        0.8,
        gt=0,
        lt=1,
        description="Least probability of noticing a loss of `margin`; below it the "
        "comparison is inconclusive.",
    )
    when_inconclusive: Literal["estimate", "pass", "refuse"] = Field(
        "estimate",
        description="Too few test images to tell: `estimate` refuses if the plain "
        "difference is a loss greater than `margin`.",
    )
    when_baseline_fails: Literal["pass", "refuse"] = Field(
        "pass",
        description="The model in production can't be loaded or asked any more: `pass` "
        "leaves the floors to decide.",
    )
    allow_removed_classes: bool = Field(
        False, description="Pass a candidate that lacks a class of production."
    )
    allow_changed_signature: bool = Field(
        False, description="Pass a candidate that production's clients can't ask."
    )


class GateConfig(StrictModel):
    """What a candidate must reach on the `test` split, or it is not pushed."""

    min_accuracy: float = Field(
        0.7, gt=0, le=1, description="Least accuracy on `test`; always checked."
    )
    must_beat_largest_class: bool = Field(
        True,
        description="Refuse a model that isn't better than always answering the "
        "largest class of `test`; `false` makes it a note.",
    )
    min_class_accuracy: float | None = Field(
        None, gt=0, le=1, description="Least accuracy on the images of every class."
    )
    class_floors: dict[str, float] = Field(
        {}, description="Least accuracy on the images of the named classes."
    )
    slices: tuple[str, ...] = Field(
        (example_keys.SOURCE_KEY, SIZE_SLICE),
        description=f"Features of an example to slice by; `{SIZE_SLICE}` is its longer "
        "edge in ranges. The class is always a slice.",
    )
    slice_floors: dict[str, float] = Field(
        {},
        description="Least accuracy on every value of a feature, be it one of `slices` "
        "or not.",
    )
    min_slice_images: int = Field(
        20, ge=1, description="A class or slice with fewer images is not judged."
    )
    when_slice_is_small: Literal["pass", "refuse"] = Field(
        "pass",
        description="A class or slice with a floor, and too few images to judge.",
    )
    max_calibration_error: float | None = Field(
        None, gt=0, le=1, description="Greatest expected calibration error, 15 bins."
    )
    max_size_mb: float | None = Field(
        None, gt=0, description="Greatest size of the SavedModel in 10^6 bytes."
    )
    max_latency_ms: float | None = Field(
        None, gt=0, description="Greatest median time of one image, in milliseconds."
    )
    max_drift: float = Field(
        0.03,
        gt=0,
        le=1,
        description="Greatest divergence (Jensen-Shannon, bits) of classes, formats, "
        "sizes or looks of the data from those of the model in production; beyond it, "
        "and beyond what chance would give, they have drifted.",
    )
    when_drifted: Literal["note", "refuse"] = Field(
        "note", description="The data have drifted: say so, or refuse the model."
    )
    comparison: ComparisonConfig = Field(
        ComparisonConfig(), description="Comparison with the model in production."
    )

    write_tfma_metrics: bool = Field(
        False,
        description="Write TensorFlow Model Analysis' metrics and plots per slice "
        "beside the verdict, for its viewers. Takes some seconds.",
    )

    @property
    def slice_keys(self) -> tuple[str, ...]:
        """Features to slice by: those of `slices`, and those that have a floor."""
        return tuple(dict.fromkeys((*self.slices, *self.slice_floors)))

    @field_validator("class_floors", "slice_floors")
    @classmethod
    def _floors_are_shares(cls, floors: dict[str, float]) -> dict[str, float]:
        for name, floor in floors.items():
            if not 0 < floor <= 1:
                raise ValueError(
                    f"floors must be in (0, 1]. Received: {name!r}: {floor!r}"
                )
        return floors
