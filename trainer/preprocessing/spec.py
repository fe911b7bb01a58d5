"""What decides the backbone's input for given bytes, without TensorFlow.

Presets, configs and execution properties name it; the functions of this package obey.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Literal

Interpolation = Literal["bilinear", "bicubic", "area", "nearest", "lanczos3"]
"""Method of the resize."""
Scaling = Literal["caffe", "tf", "torch", "lite", "none"]
"""How pixels in 0..255 become the backbone's input: see `normalisation.RECIPES`."""


@dataclass(frozen=True, kw_only=True)
class PreprocessingSpec:
    """Everything that decides the backbone's input for given bytes.

    Attributes:
        height: Height of the input in pixels.
        width: Width of the input in pixels.
        scaling: The value range of the preset's family.
        interpolation: Method of the resize.
        antialias: Whether the resize averages over the pixels that it drops.
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
        """Return the spec as JSON with sorted keys, an execution property."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> PreprocessingSpec:
        """Return the spec that `to_json` wrote."""
        return cls(**json.loads(text))
