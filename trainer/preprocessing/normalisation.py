"""Convert pixels to the value range that a backbone was trained on, and back.

The functions are plain arithmetic, so they work in TensorFlow's graphs and in Keras's
layers. `keras.applications`' `preprocess_input` has no inverse and no range for
EfficientNet-Lite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graft.trainer.preprocessing.spec import Scaling

Channels = float | tuple[float, float, float]
"""One number for all channels, or one for each."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The steps from RGB in [0, 255] to a family's range, in this order.

    Attributes:
        is_bgr: Whether to reverse the channels.
        divisor: Number to divide by.
        mean: Mean to subtract.
        deviation: Standard deviation to divide by.
    """

    is_bgr: bool = False
    divisor: float = 1.0
    mean: Channels = 0.0
    deviation: Channels = 1.0


RECIPES: dict[Scaling, Recipe] = {
    # ImageNet's mean: Simonyan and Zisserman, arXiv:1409.1556.
    "caffe": Recipe(is_bgr=True, mean=(103.939, 116.779, 123.68)),
    # To [-1, 1].
    "tf": Recipe(divisor=127.5, mean=1.0),
    # He et al.: ImageNet's mean and deviation.
    "torch": Recipe(
        divisor=255.0, mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225)
    ),
    # EfficientNet-Lite was designed for 8-bit integers.
    "lite": Recipe(mean=127.0, deviation=128.0),
    # The backbone normalises pixels itself.
    "none": Recipe(),
}


def normalise_pixels(pixels: Any, scaling: Scaling) -> Any:
    """Convert pixels to the value range that a family of backbones was trained on.

    Args:
        pixels: float32 (..., 3), RGB in [0, 255].
        scaling: Name of the family's range.

    Returns:
        float32 of the same shape.

    Raises:
        ValueError: `scaling` is unknown.
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
    """Convert normalised pixels back to RGB in [0, 255].

    Args:
        normalised: float32 (..., 3), as `normalise_pixels` returns it.
        scaling: Name of the family's range.

    Returns:
        float32 of the same shape.

    Raises:
        ValueError: `scaling` is unknown.
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
