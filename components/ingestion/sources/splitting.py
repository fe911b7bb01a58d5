"""Choose the split of an image: the given one, or one by the hash of its content.

A hash does not change when data grows, and is equal for copies of an image.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from graft.components.ingestion.sources.config import SplitPercentages
from graft.contract.split_names import EVAL_SPLIT, SPLITS, TEST_SPLIT, TRAIN_SPLIT

TRAIN_ROLE = "train"
VALIDATION_ROLE = "validation"
TEST_ROLE = "test"

ROLE_OF_NAME = {
    "train": TRAIN_ROLE,
    "training": TRAIN_ROLE,
    "validation": VALIDATION_ROLE,
    "valid": VALIDATION_ROLE,
    "val": VALIDATION_ROLE,
    "eval": VALIDATION_ROLE,
    "dev": VALIDATION_ROLE,
    "test": TEST_ROLE,
    "testing": TEST_ROLE,
}
"""Usual names of splits in lower case, and their roles."""

# A greater share of one split does not move images of the splits before it.
_ORDER = (TEST_SPLIT, EVAL_SPLIT, TRAIN_SPLIT)


def splits_of_roles(
    roles: Collection[str],
    validation_becomes: Literal["auto", "eval", "test"] = "auto",
) -> dict[str, tuple[str, ...]]:
    """Return the allowed splits for the images of each given set.

    Args:
        roles: The given sets, of "train", "validation" and "test".
        validation_becomes: See `DataConfig.validation_becomes`.

    Returns:
        Role to splits. A split without a given set takes images of train, by hash.
    """
    result: dict[str, tuple[str, ...]] = {}
    if TEST_ROLE in roles:
        result[TEST_ROLE] = (TEST_SPLIT,)
    if VALIDATION_ROLE in roles:
        if validation_becomes == "auto":
            split = EVAL_SPLIT if TEST_ROLE in roles else TEST_SPLIT
        else:
            split = validation_becomes
        result[VALIDATION_ROLE] = (split,)
    filled = {split for splits in result.values() for split in splits}
    if TRAIN_ROLE in roles:
        result[TRAIN_ROLE] = tuple(split for split in SPLITS if split not in filled)
    return result


def choose_split(
    content_hash: str, splits: Collection[str], percentages: SplitPercentages
) -> str:
    """Choose the split of an image.

    Args:
        content_hash: SHA-256 of the bytes, in hexadecimal digits.
        splits: The allowed splits. Their percentages are scaled to a sum of 100.
        percentages: Shares of all splits.

    Returns:
        One of `splits`.
    """
    candidates = [split for split in _ORDER if split in splits]
    total = sum(percentages.of(split) for split in candidates)
    position = int(content_hash[:16], 16) / 2**64 * total
    bound = 0.0
    for split in candidates:
        bound += percentages.of(split)
        if position < bound:
            return split
    return candidates[-1]
