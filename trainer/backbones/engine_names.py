"""Names of feature engines, for configs that must not import TensorFlow."""

from __future__ import annotations

from typing import Literal

EngineName = Literal["auto", "tensorflow", "openvino"]
Precision = Literal["float32", "bfloat16"]
