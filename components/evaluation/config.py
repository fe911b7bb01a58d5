"""Config of the gate."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from graft.contract import example_keys
from graft.contract.strict_model import StrictModel

SIZE_SLICE = "image/size"
"""Slice by the longer edge of an image, in ranges of pixels. Examples lack this key."""


class ComparisonConfig(StrictModel):
    """Comparison of a candidate with the model in production, image by image.

    The gate refuses a candidate if its loss of accuracy is significant (exact one-sided
    McNemar test) and greater than `tolerance`. If a loss of `margin` would be noticed
    with a probability below `power`, the comparison is inconclusive. Then
    `when_inconclusive` decides.
    """

    enabled: bool = Field(True, description="Compare with the model in production.")
    significance: float = Field(
        0.05, gt=0, lt=0.5, description="Probability of refusing an equally good model."
    )
    tolerance: float = Field(
        0.005,
        ge=0,
        lt=1,
        description="Loss of accuracy that is accepted even if it is significant.",
    )
    margin: float = Field(
        0.02, gt=0, lt=1, description="Loss of accuracy that must be noticed."
    )
    power: float = Field(
        0.8,
        gt=0,
        lt=1,
        description="Least probability of noticing a loss of `margin`. Below it, the "
        "comparison is inconclusive.",
    )
    when_inconclusive: Literal["estimate", "pass", "refuse"] = Field(
        "estimate",
        description="Action if there are too few test images. `estimate` refuses a "
        "measured loss greater than `margin`.",
    )
    when_baseline_fails: Literal["pass", "refuse"] = Field(
        "pass",
        description="Action if the model in production can't be loaded or called. With "
        "`pass`, the other rules decide.",
    )
    allow_removed_classes: bool = Field(
        False, description="Pass a candidate that lacks a class of production."
    )
    allow_changed_signature: bool = Field(
        False, description="Pass a candidate that clients of production can't call."
    )


class AnswersConfig(StrictModel):
    """How the gate finds a model's answers about the `test` split."""

    sample: int = Field(
        256,
        ge=0,
        description="If the head was trained on stored features, the exported model is "
        "asked about so many random test images, and its head is applied to the stored "
        "features of the others. If one answer of the sample differs by more than "
        "1e-5, it is asked about all. 0: always about all.",
    )
    ask_all_below: int = Field(
        2000,
        ge=0,
        description="With fewer test images, the exported model is asked about all.",
    )
    remember: bool = Field(
        True,
        description="Keep what a model answered in the folder of `features.cache`, and "
        "don't ask it about the same image again.",
    )


class GateConfig(StrictModel):
    """What a candidate must reach on the `test` split. Otherwise it is not pushed."""

    min_accuracy: float = Field(
        0.7, gt=0, le=1, description="Least accuracy on `test`; always checked."
    )
    must_beat_largest_class: bool = Field(
        True,
        description="Refuse a model that is not better than always answering the "
        "largest class of `test`. With `false`, this is a note.",
    )
    min_class_accuracy: float | None = Field(
        None, gt=0, le=1, description="Least accuracy on the images of every class."
    )
    class_floors: dict[str, float] = Field(
        {}, description="Least accuracy on the images of the named classes."
    )
    slices: tuple[str, ...] = Field(
        (example_keys.SOURCE_KEY, SIZE_SLICE),
        description=f"Features of an example to slice by; `{SIZE_SLICE}` is the longer "
        "edge in ranges. The class is always a slice.",
    )
    slice_floors: dict[str, float] = Field(
        {},
        description="Least accuracy on every value of a feature. It need not be one of "
        "`slices`.",
    )
    min_slice_images: int = Field(
        20, ge=1, description="A class or slice with fewer images is not judged."
    )
    when_slice_is_small: Literal["pass", "refuse"] = Field(
        "pass",
        description="Action for a class or slice with a floor, but too few images.",
    )
    max_calibration_error: float | None = Field(
        None, gt=0, le=1, description="Greatest expected calibration error, 15 bins."
    )
    max_size_mb: float | None = Field(
        None, gt=0, description="Greatest size of the SavedModel in 10^6 bytes."
    )
    max_latency_ms: float | None = Field(
        None, gt=0, description="Greatest median time for one image, in milliseconds."
    )
    max_drift: float = Field(
        0.03,
        gt=0,
        le=1,
        description="Greatest divergence (Jensen-Shannon, bits) from the data of the "
        "model in production, in classes, formats, sizes or image statistics. The data "
        "have drifted if the divergence is greater and not due to chance.",
    )
    when_drifted: Literal["note", "refuse"] = Field(
        "note", description="Action if the data have drifted: a note, or refuse."
    )
    comparison: ComparisonConfig = Field(
        ComparisonConfig(), description="Comparison with the model in production."
    )

    answers: AnswersConfig = Field(
        AnswersConfig(), description="How answers about the test images are found."
    )
    write_tfma_metrics: bool = Field(
        False,
        description="Write metrics and plots per slice for the viewers of TensorFlow "
        "Model Analysis. This takes some seconds.",
    )

    @property
    def slice_keys(self) -> tuple[str, ...]:
        """Features to slice by: those of `slices`, and those with a floor."""
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
