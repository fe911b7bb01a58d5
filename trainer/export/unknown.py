"""When a model had better say `unknown`: a threshold that `eval` decides.

The simplest rule is a strong one: the greatest probability of the softmax (Hendrycks
and Gimpel 2017, https://arxiv.org/abs/1610.02136).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graft.contract import signature_names
from graft.contract.errors import UserError


def calibrate_threshold(
    probabilities: np.ndarray, share: float, class_names: Sequence[str]
) -> float:
    """Return the threshold that calls a share of `eval` unknown.

    Args:
        probabilities: Of the images of `eval`, float32 (N, K), N at least 1.
        share: How many of them, the least certain, shall be unknown, in (0, 1).
        class_names: The label map.

    Returns:
        The greatest probability that an image needs to be given a name.

    Raises:
        UserError: One of the classes is called as the answer for none of them.
    """
    if signature_names.UNKNOWN_LABEL in class_names:
        raise UserError(
            f"`training.unknown_share` needs the name "
            f"{signature_names.UNKNOWN_LABEL!r}, which a class of yours has: rename "
            "the class, or leave the key empty. "
            f"Received: unknown_share={share!r}"
        )
    # "higher": a value that an image of `eval` has, and not one between two.
    return float(np.quantile(probabilities.max(axis=1), share, method="higher"))
