"""The names of the data checks, and those of single images."""

from __future__ import annotations

from functools import partial

import numpy as np

from graft.components.quality.config import DataQualityConfig
from graft.components.quality.findings import Findings
from graft.components.quality.image_table import ImageTable

TITLES = {
    "leaks": "Near-copies in different splits",
    "label_conflicts": "Near-copies with different labels",
    "blank": "Blank images",
    "dark": "Dark images",
    "blurred": "Blurred images",
    "tiny": "Tiny images",
    "label_errors": "Doubtful labels",
}
"""Name of each check, in the order of the report."""

# Column, key of the config and message of each check, in the order they are tried.
_TESTS = {
    "tiny": ("edge", "min_edge", "its shorter edge has {:.0f} pixels"),
    "blank": ("contrast", "min_contrast", "grey levels deviate by {:.1f}"),
    "dark": ("brightness", "min_brightness", "the mean grey level is {:.1f} of 255"),
    "blurred": ("sharpness", "min_sharpness", "the sharpness is {:.1f}"),
}


def find_poor_images(
    images: ImageTable, config: DataQualityConfig
) -> dict[str, Findings]:
    """Return tiny, blank, dark and blurred images, each under one check only."""
    found = {}
    is_free = np.ones(len(images), np.bool_)
    for name, (column, key, message) in _TESTS.items():
        values = images.numbers[column]
        is_poor = is_free & (values < getattr(config, key))
        if config.policy_of(name) == "off":
            is_poor[:] = False
        is_free &= ~is_poor
        index = np.flatnonzero(is_poor)

        tell = partial(_tell, images.numbers[column], index, message)
        found[name] = Findings(images, index, tell=tell)
    return found


def _tell(values: np.ndarray, index: np.ndarray, message: str, place: int) -> str:
    return message.format(values[index[place]])
