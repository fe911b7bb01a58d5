"""Near-copies in different splits, and near-copies with different labels."""

from __future__ import annotations

import numpy as np

from graft.components.quality.config import DataQualityConfig
from graft.components.quality.findings import Findings
from graft.components.quality.image_table import ImageTable
from graft.components.quality.partners import Partners, find_partners
from graft.components.quality.search_results import NearCopies
from graft.contract.split_names import TRAIN_SPLIT


def find_pairs(
    images: ImageTable, copies: NearCopies, config: DataQualityConfig
) -> dict[str, Findings]:
    """Return near-copies in different splits, and near-copies with different labels."""
    found = {name: Findings(images) for name in ("leaks", "label_conflicts")}
    if config.leaks != "off":
        found["leaks"] = _leaks(images, copies)
    if config.label_conflicts != "off":
        found["label_conflicts"] = _conflicts(images, copies)
    return found


def _leaks(images: ImageTable, copies: NearCopies) -> Findings:
    """Return each image with its nearest near-copy in another split.

    Of a pair it returns the image in `train`, which `drop` removes, or else the first.
    """
    splits = images.numbers["split_id"]
    partners = find_partners(copies.signatures, copies.groups, splits[copies.images])
    first, second = copies.images[partners.images], copies.images[partners.others]
    apart = partners.distances
    is_train = images.is_in(TRAIN_SPLIT)
    keep = is_train[first] | (~is_train[second] & (splits[first] < splits[second]))
    first, second, apart = first[keep], second[keep], apart[keep]

    def tell(index: int) -> str:
        splits = images.split(first[index]), images.split(second[index])
        return f"in {splits[0]} and in {splits[1]}; {_in_words(apart[index])}"

    return Findings(images, first, second, tell, _not_compared(copies, partners))


def _conflicts(images: ImageTable, copies: NearCopies) -> Findings:
    """Return each image whose near-copies mostly have another label.

    Of two equally frequent labels, it returns the images of the class that comes first.
    """
    labels = images.numbers["class_id"]
    own = labels[copies.images]
    partners = find_partners(copies.signatures, copies.groups, own)
    # How many images of its group have the label of an image.
    keys = copies.groups.groups.astype(np.int64) * len(images.class_names) + own
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    support = counts[inverse]
    one, two = partners.images, partners.others
    fewer = support[one] < support[two]
    equal = support[one] == support[two]
    keep = fewer | (equal & (own[one] < own[two]))
    first, second = copies.images[one[keep]], copies.images[two[keep]]
    apart = partners.distances[keep]
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


def _not_compared(copies: NearCopies, partners: Partners) -> dict[str, int]:
    left_out = {
        "images that look too much alike": copies.groups.num_not_compared,
        "images in large groups of near-copies": partners.num_unsure,
    }
    return {what: number for what, number in left_out.items() if number}
