"""The nearest near-copy of an image in another split, or with another label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from graft.components.quality.links import PAIRS_AT_ONCE
from graft.components.quality.near_copies import CopyGroups
from graft.components.quality.signature import Signatures

MOST_PARTNERS = 2_000
"""In a group, each image is compared with so many others at most."""

_ROWS_AT_ONCE = 128
_SMALL_GROUP = 64
_NUM_TRIED = 4


@dataclass(frozen=True)
class Partners:
    """Images and their nearest near-copies of another kind.

    Attributes:
        images: int (M,), in order.
        others: int (M,), the near-copy of each.
        distances: float32 (M,).
        num_unsure: Number of images that may have a partner which was not found, since
            their group is too large to compare each with each.
    """

    images: np.ndarray
    others: np.ndarray
    distances: np.ndarray
    num_unsure: int = 0


def find_partners(
    signatures: Signatures, copies: CopyGroups, kinds: np.ndarray
) -> Partners:
    """Return each image's nearest near-copy of another kind, if it has one.

    Args:
        signatures: Of all images.
        copies: Their groups.
        kinds: int (N,), such as the split of each image.
    """
    found = [
        Partners(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)),
        *_partners_by_group(signatures, copies, kinds),
    ]
    images = np.concatenate([each.images for each in found])
    order = np.argsort(images, kind="stable")
    return Partners(
        images[order],
        np.concatenate([each.others for each in found])[order],
        np.concatenate([each.distances for each in found])[order],
        sum(each.num_unsure for each in found),
    )


def _partners_by_group(
    signatures: Signatures, copies: CopyGroups, kinds: np.ndarray
) -> Iterator[Partners]:
    """Yield the partners, some groups at a time."""
    small: list[np.ndarray] = []
    for members in copies.members():
        if (kinds[members] == kinds[members[0]]).all():
            continue
        if len(members) > _SMALL_GROUP:
            yield from _partners_in_large(signatures, members, kinds)
            continue
        small.append(members)
        if len(small) >= PAIRS_AT_ONCE // _SMALL_GROUP**2:
            yield _partners_in_small(signatures, small, kinds)
            small = []
    if small:
        yield _partners_in_small(signatures, small, kinds)


def _partners_in_small(
    signatures: Signatures, groups: list[np.ndarray], kinds: np.ndarray
) -> Partners:
    first = np.concatenate([np.repeat(each, len(each)) for each in groups])
    second = np.concatenate([np.tile(each, len(each)) for each in groups])
    keep = kinds[first] != kinds[second]
    first, second = first[keep], second[keep]
    apart = signatures.least_distances(first, second)
    keep = apart < signatures.max_distance
    first, second, apart = first[keep], second[keep], apart[keep]
    order = np.lexsort((second, apart, first))
    first, second, apart = first[order], second[order], apart[order]
    nearest = np.append(True, first[1:] != first[:-1]) if len(first) else keep[keep]
    return Partners(first[nearest], second[nearest], apart[nearest])


def _partners_in_large(
    signatures: Signatures, members: np.ndarray, kinds: np.ndarray
) -> Iterator[Partners]:
    """Yield partners among the `MOST_PARTNERS` first members of other kinds."""
    for kind in np.unique(kinds[members]):
        own = members[kinds[members] == kind]
        all_others = members[kinds[members] != kind]
        others = all_others[:MOST_PARTNERS]
        values = signatures.values(others)
        count = min(_NUM_TRIED, len(others))
        for start in range(0, len(own), _ROWS_AT_ONCE):
            rows = own[start : start + _ROWS_AT_ONCE]
            nearest = np.argpartition(-signatures.values(rows) @ values.T, count - 1)
            tried = others[nearest[:, :count]]
            first = np.repeat(rows, count)
            apart = signatures.least_distances(first, tried.ravel())
            apart = apart.reshape(tried.shape)
            each = np.arange(len(rows))
            place = apart.argmin(axis=1)
            keep = apart[each, place] < signatures.max_distance
            yield Partners(
                rows[keep],
                tried[each, place][keep],
                apart[each, place][keep],
                int((~keep).sum()) if count < len(all_others) else 0,
            )
