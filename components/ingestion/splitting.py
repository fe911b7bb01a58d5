"""Which split an image goes to: what its owner said, or the hash of its content.

A hash stays put when data grows, and gives copies of one image the same split.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from graft.components.ingestion.config import SplitPercentages
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
"""Names that people give to splits, in lower case, and what they mean."""

# From held out furthest to least; growing one share leaves those before it alone.
_ORDER = (TEST_SPLIT, EVAL_SPLIT, TRAIN_SPLIT)


def splits_of_roles(
    roles: Collection[str],
    validation_becomes: Literal["auto", "eval", "test"] = "auto",
) -> dict[str, tuple[str, ...]]:
    """Tell the splits to which images of each given set may go.

    Args:
        roles: The sets that are given, of "train", "validation" and "test".
        validation_becomes: See `DataConfig.validation_becomes`.

    Returns:
        The splits by role. A split that no given set fills is hashed out of train.
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
    """Pick the split of an image.

    Args:
        content_hash: SHA-256 of its bytes, in hexadecimal digits.
        splits: The splits it may go to; their percentages are scaled to add up to 100.
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
