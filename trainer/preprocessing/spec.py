"""The settings of image preprocessing, without TensorFlow.

Presets, configs and execution properties hold them.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Literal

Interpolation = Literal["bilinear", "bicubic", "area", "nearest", "lanczos3"]
"""Method to resize images."""
Scaling = Literal["caffe", "tf", "torch", "lite", "none"]
"""Value range of the backbone's input: see `normalisation.RECIPES`."""


@dataclass(frozen=True, kw_only=True)
class PreprocessingSpec:
    """All settings that decide the backbone's input for an encoded image.

    Attributes:
        height: Height of the input in pixels.
        width: Width of the input in pixels.
        scaling: Value range of the preset's family.
        interpolation: Method to resize images.
        antialias: Whether shrinking averages over all pixels.

    Raises:
        ValueError: The height or the width is below 1.
    """

    height: int
    width: int
    scaling: Scaling
    interpolation: Interpolation = "bicubic"
    antialias: bool = True

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ValueError(
                "`height` and `width` must be at least 1 pixel. "
                f"Received: height={self.height!r}, width={self.width!r}"
            )

    def to_json(self) -> str:
        """Return the spec as JSON with sorted keys, for an execution property."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> PreprocessingSpec:
        """Parse the text that `to_json` returns."""
        return cls(**json.loads(text))
