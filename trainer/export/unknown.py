"""Calibrate the threshold of the label `unknown` on `eval`.

The rule is the greatest softmax probability, a simple and strong baseline: Hendrycks
and Gimpel 2017, https://arxiv.org/abs/1610.02136.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graft.contract import signature_names
from graft.contract.errors import UserError


def calibrate_threshold(
    probabilities: np.ndarray, share: float, class_names: Sequence[str]
) -> float:
    """Return the threshold below which a share of `eval` is labelled unknown.

    Args:
        probabilities: Probabilities of the images of `eval`, float32 (N, K), N >= 1, or
            the greatest of each, (N, 1).
        share: Share of the images to label unknown, in (0, 1).
        class_names: Class names of the model.

    Returns:
        The threshold for the greatest probability of an image.

    Raises:
        UserError: A class has the name `unknown`.
    """
    if signature_names.UNKNOWN_LABEL in class_names:
        raise UserError(
            f"`training.unknown_share` needs the name "
            f"{signature_names.UNKNOWN_LABEL!r}, but a class has it: rename "
            "the class, or leave the key empty. "
            f"Received: unknown_share={share!r}"
        )
    # "higher" returns the probability of an image, without interpolation.
    return float(np.quantile(probabilities.max(axis=1), share, method="higher"))
