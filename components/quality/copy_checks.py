"""Near-copies in different splits, and near-copies with different labels."""

from __future__ import annotations

import numpy as np

from graft.components.quality.config import DataQualityConfig
from graft.components.quality.findings import Findings
from graft.components.quality.image_table import ImageTable
from graft.components.quality.near_copies import (
    CopyGroups,
    Partners,
    find_copies,
    find_partners,
)
from graft.components.quality.signature import Signatures
from graft.contract.split_names import TRAIN_SPLIT


def find_pairs(images: ImageTable, config: DataQualityConfig) -> dict[str, Findings]:
    """Return near-copies in different splits, and near-copies with different labels."""
    found = {name: Findings(images) for name in ("leaks", "label_conflicts")}
    if config.leaks == config.label_conflicts == "off":
        return found
    signatures = Signatures(
        images.numbers["signature"], config.max_distance, config.min_contrast
    )
    copies = find_copies(signatures)
    if config.leaks != "off":
        found["leaks"] = _leaks(images, signatures, copies)
    if config.label_conflicts != "off":
        found["label_conflicts"] = _conflicts(images, signatures, copies)
    return found


def _leaks(images: ImageTable, signatures: Signatures, copies: CopyGroups) -> Findings:
    """Return each image with its nearest near-copy in another split.

    Of a pair it returns the image in `train`, which `drop` removes, or else the first.
    """
    splits = images.numbers["split_id"]
    partners = find_partners(signatures, copies, splits)
    first, second, apart = partners.images, partners.others, partners.distances
    is_train = images.is_in(TRAIN_SPLIT)
    keep = is_train[first] | (~is_train[second] & (splits[first] < splits[second]))
    first, second, apart = first[keep], second[keep], apart[keep]

    def tell(index: int) -> str:
        splits = images.split(first[index]), images.split(second[index])
        return f"in {splits[0]} and in {splits[1]}; {_in_words(apart[index])}"

    return Findings(images, first, second, tell, _not_compared(copies, partners))


def _conflicts(
    images: ImageTable, signatures: Signatures, copies: CopyGroups
) -> Findings:
    """Return each image whose near-copies mostly have another label.

    Of two equally frequent labels, it returns the images of the class that comes first.
    """
    labels = images.numbers["class_id"]
    partners = find_partners(signatures, copies, labels)
    first, second, apart = partners.images, partners.others, partners.distances
    # How many images of its group have the label of an image.
    keys = copies.groups.astype(np.int64) * len(images.class_names) + labels
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    support = counts[inverse]
    fewer = support[first] < support[second]
    equal = support[first] == support[second]
    keep = fewer | (equal & (labels[first] < labels[second]))
    first, second, apart = first[keep], second[keep], apart[keep]
    # `drop` removes the image in `train`. Held-out splits stay unchanged.
    is_train = images.is_in(TRAIN_SPLIT)
    turn = ~is_train[first] & is_train[second]
    first, second = np.where(turn, second, first), np.where(turn, first, second)
    first, place = np.unique(first, return_index=True)
    second, apart = second[place], apart[place]

    def tell(index: int) -> str:
        labels = images.class_name(first[index]), images.class_name(second[index])
        return f"{labels[0]} here, {labels[1]} there; {_in_words(apart[index])}"

    return Findings(images, first, second, tell, _not_compared(copies, partners))


def _in_words(apart: float) -> str:
    return f"their distance is {apart:.3f}"


def _not_compared(copies: CopyGroups, partners: Partners) -> dict[str, int]:
    left_out = {
        "images that look too much alike": copies.num_not_compared,
        "images in large groups of near-copies": partners.num_unsure,
    }
    return {what: number for what, number in left_out.items() if number}
