"""The result of a solver of linear heads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LinearSolution:
    """A fitted linear head. Its logits are `features @ kernel + bias`."""

    kernel: np.ndarray
    """float32 (F, K)."""
    bias: np.ndarray
    """float32 (K,)."""
    penalty: float
    """The chosen penalty."""
    path: list[dict[str, float]]
    """Row per tried penalty: penalty, loss, accuracy, eval_loss, eval_accuracy."""
