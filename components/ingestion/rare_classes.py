"""Rare classes: make sure that every class has an image in each split.

The hash of its content decides an image's split. For a class of a few images, it may
leave a split empty. Then one image of the class moves to each such split. It moves back
when the hash puts a new image there. docs/decisions/0062-rare-classes.md explains why
such moves are needed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from graft.components.ingestion.sources.config import SplitPercentages
from graft.components.ingestion.sources.splitting import choose_split
from graft.contract.split_names import EVAL_SPLIT, SPLITS, TEST_SPLIT, TRAIN_SPLIT

# Without training images no model learns the class. Without test images the gate can't
# judge it.
_FILL_ORDER = (TRAIN_SPLIT, TEST_SPLIT, EVAL_SPLIT)
# The hexadecimal digits of the hash that order the candidates for a split. The first 16
# decide the split itself.
_RANK_DIGITS = {
    TRAIN_SPLIT: slice(16, 32),
    TEST_SPLIT: slice(32, 48),
    EVAL_SPLIT: slice(48, 64),
}
# Classes with a smaller chance of an empty split are not rare.
_NEGLIGIBLE_CHANCE = 1e-9


def largest_rare_class(percentages: SplitPercentages) -> int:
    """Return the size up to which hashing may leave a split without an image.

    Args:
        percentages: Shares of the splits.

    Returns:
        A number of images. For a larger class, the chance of an empty split is below
        one in 1e9.
    """
    shares = [percentages.of(split) / 100 for split in SPLITS]
    shares = [share for share in shares if share > 0]
    if len(shares) == 1:
        return 0
    # A split stays empty with the chance (1 - share) ** size.
    return math.floor(
        math.log(_NEGLIGIBLE_CHANCE / len(shares)) / math.log1p(-min(shares))
    )


def fill_empty_splits(
    counts: Mapping[str, int],
    movable: Mapping[str, tuple[str, ...]],
    percentages: SplitPercentages,
) -> dict[str, str]:
    """Choose the images of one class that move to a split without any.

    Splits are filled in the order train, test, eval. The image comes from eval or test,
    if one of them has two or more images of the class. Otherwise it comes from train,
    if that has two or more, and last from a split that is filled later. Of several
    images, the one with the smallest hash for that split moves. So the order of the
    images doesn't matter, and a new image changes little.

    Args:
        counts: Number of all images of the class, by the split that `choose_split`
            gave.
        movable: The images that may move: by content hash, the splits they may go to.
        percentages: Shares of the splits; a split with the share 0 stays empty.

    Returns:
        The new split by content hash, for the images that move.
    """
    remaining = Counter(counts)
    split_of = {
        content_hash: choose_split(content_hash, splits, percentages)
        for content_hash, splits in movable.items()
    }
    moves: dict[str, str] = {}
    for split in _FILL_ORDER:
        if remaining[split] > 0 or percentages.of(split) == 0:
            continue
        for donors in _donors(split, remaining):
            candidates = [
                content_hash
                for content_hash, current in split_of.items()
                if current in donors and split in movable[content_hash]
            ]
            if candidates:
                digits = _RANK_DIGITS[split]
                chosen = min(candidates, key=lambda c: (c[digits], c))
                remaining[split_of[chosen]] -= 1
                remaining[split] += 1
                split_of[chosen] = moves[chosen] = split
                break
    return moves


def _donors(split: str, counts: Mapping[str, int]) -> list[list[str]]:
    """Return sets of splits that may give an image to `split`, the best set first."""
    later = _FILL_ORDER[_FILL_ORDER.index(split) + 1 :]
    return [
        [held_out for held_out in (TEST_SPLIT, EVAL_SPLIT) if counts[held_out] > 1],
        [TRAIN_SPLIT] if counts[TRAIN_SPLIT] > 1 else [],
        *([last] for last in reversed(later)),
    ]
