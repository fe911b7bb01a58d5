"""The value ranges that families of backbones were trained on, there and back.

Plain arithmetic on tensors: for TensorFlow's graphs and for Keras's layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graft.trainer.preprocessing.spec import Scaling

Channels = float | tuple[float, float, float]
"""One number for all channels, or one for each."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The steps from RGB in 0..255 to a family's range, in this order.

    Attributes:
        is_bgr: Reverse the channels.
        divisor: Divide by it.
        mean: Subtract it.
        deviation: Divide by it.
    """

    is_bgr: bool = False
    divisor: float = 1.0
    mean: Channels = 0.0
    deviation: Channels = 1.0


RECIPES: dict[Scaling, Recipe] = {
    # Simonyan and Zisserman, arXiv:1409.1556: minus ImageNet's mean.
    "caffe": Recipe(is_bgr=True, mean=(103.939, 116.779, 123.68)),
    # To [-1, 1].
    "tf": Recipe(divisor=127.5, mean=1.0),
    # He et al.: ImageNet's mean and deviation.
    "torch": Recipe(
        divisor=255.0, mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225)
    ),
    # EfficientNet-Lite, made for integers of 8 bits.
    "lite": Recipe(mean=127.0, deviation=128.0),
    # The backbone scales pixels by itself.
    "none": Recipe(),
}


def normalise_pixels(pixels: Any, scaling: Scaling) -> Any:
    """Map pixels to the value range that a family of backbones was trained on.

    Args:
        pixels: float32 (..., 3), RGB in [0, 255].
        scaling: Name of the family's range.

    Returns:
        float32 of the same shape.

    Raises:
        ValueError: For an unknown `scaling`.
    """
    recipe = _recipe_of(scaling)
    if recipe.is_bgr:
        pixels = pixels[..., ::-1]
    if recipe.divisor != 1:
        pixels = pixels / recipe.divisor
    if recipe.mean != 0:
        pixels = pixels - recipe.mean
    if recipe.deviation != 1:
        pixels = pixels / recipe.deviation
    return pixels


def restore_pixels(normalised: Any, scaling: Scaling) -> Any:
    """Undo `normalise_pixels`: from a family's range back to RGB in [0, 255].

    Raises:
        ValueError: For an unknown `scaling`.
    """
    recipe = _recipe_of(scaling)
    pixels = normalised
    if recipe.deviation != 1:
        pixels = pixels * recipe.deviation
    if recipe.mean != 0:
        pixels = pixels + recipe.mean
    if recipe.divisor != 1:
        pixels = pixels * recipe.divisor
    return pixels[..., ::-1] if recipe.is_bgr else pixels


def _recipe_of(scaling: Scaling) -> Recipe:
    if scaling not in RECIPES:
        raise ValueError(
            f"`scaling` must be one of {', '.join(RECIPES)}. "
            f"Received: scaling={scaling!r}"
        )
    return RECIPES[scaling]
