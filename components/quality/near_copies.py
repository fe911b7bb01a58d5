"""The search for near-copies among all images of a data set.

Its result is groups: near-copies of near-copies are in one group, so a class of a
thousand equal pictures is one finding and not half a million pairs. Time grows as
n log n; memory is that of the signatures and of `cells`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from graft.components.quality.cells import (
    CellSearch,
    Pairs,
    fixed_cells,
    positions_of,
)
from graft.components.quality.signature import Signatures, distance_table

MOST_ALIKE = 20_000
"""Images that no cell tells apart are compared each with each up to this number."""

MOST_PARTNERS = 2_000
"""In a group, each image is compared with so many others at most."""

_PAIRS_AT_ONCE = 1 << 14
_ROWS_AT_ONCE = 128
_SMALL_GROUP = 64
_NUM_TRIED = 4
_MOST_LINKS = 16
_NUM_LEADERS = 64
_DENSE = 0.02
_MOST_DOUBTFUL_PAIRS = 1 << 18


@dataclass(frozen=True)
class CopyGroups:
    """Groups of near-copies.

    Attributes:
        groups: int32 (N,), the group of each image; an image without a near-copy is
            alone in its group.
        num_not_compared: Number of images that were not compared with all others.
    """

    groups: np.ndarray
    num_not_compared: int = 0

    def members(self) -> Iterator[np.ndarray]:
        """Yield the images of each group of two and more, in order."""
        order = np.argsort(self.groups, kind="stable")
        ends = np.flatnonzero(np.diff(self.groups[order])) + 1
        starts, stops = np.append(0, ends), np.append(ends, len(order))
        for place in np.flatnonzero(stops - starts > 1):
            yield order[starts[place] : stops[place]]


def find_copies(signatures: Signatures) -> CopyGroups:
    """Return the groups of near-copies among all images."""
    links = _Links(signatures)
    if not len(signatures):
        return CopyGroups(links.groups())
    positions = positions_of(signatures)
    chosen = _link_equal(signatures, positions, links)
    search = CellSearch(positions)
    homes, asked = fixed_cells(positions)
    homes, asked = homes.take(chosen[homes.images]), asked.take(chosen[asked.images])
    for pairs in search.pairs(homes, asked):
        links.add(*pairs)
    num_not_compared = 0
    for images in search.large:
        num_not_compared += _compare_all(signatures, images, links)
    return CopyGroups(links.groups(), num_not_compared)


def verified(signatures: Signatures, pairs: Pairs) -> Pairs:
    """Return those pairs that are near-copies."""
    kept = []
    for start in range(0, len(pairs[0]), _PAIRS_AT_ONCE):
        first, second = (each[start : start + _PAIRS_AT_ONCE] for each in pairs)
        keep = signatures.are_copies(first, second)
        kept.append((first[keep], second[keep]))
    if not kept:
        return pairs
    first, second = (np.concatenate(each) for each in zip(*kept, strict=True))
    return first, second


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
        if len(small) >= _PAIRS_AT_ONCE // _SMALL_GROUP**2:
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


class _Links:
    """Links between near-copies, merged into groups from time to time."""

    def __init__(self, signatures: Signatures) -> None:
        self._signatures = signatures
        self._groups = np.arange(len(signatures), dtype=np.int32)
        self._waiting: list[Pairs] = []
        self._num_waiting = 0

    def add(self, first: np.ndarray, second: np.ndarray) -> None:
        """Link the near-copies among some pairs."""
        self._waiting.append((first, second))
        self._num_waiting += len(first)
        if self._num_waiting >= _PAIRS_AT_ONCE:
            self._merge()

    def groups(self) -> np.ndarray:
        """Return the group of each image, int32 (N,)."""
        self._merge()
        return self._groups

    def are_several(self, images: np.ndarray) -> bool:
        """Return whether images are of several groups."""
        groups = self.groups()[images]
        return bool((groups != groups[:1]).any())

    def _merge(self) -> None:
        if not self._num_waiting:
            return
        first, second = (np.concatenate(e) for e in zip(*self._waiting, strict=True))
        self._waiting, self._num_waiting = [], 0
        num = len(self._groups)
        for start in range(0, len(first), _PAIRS_AT_ONCE):
            one, two = (
                each[start : start + _PAIRS_AT_ONCE] for each in (first, second)
            )
            # Images of one group need no further link: of a thousand equal pictures,
            # only some thousand pairs are compared.
            new = self._groups[one] != self._groups[two]
            one, two = verified(self._signatures, (one[new], two[new]))
            if len(one):
                ends = self._groups[one], self._groups[two]
                links = coo_matrix((np.ones(len(one), np.bool_), ends), (num, num))
                _, merged = connected_components(links, directed=False)
                self._groups = merged.astype(np.int32)[self._groups]


def _link_equal(
    signatures: Signatures, positions: np.ndarray, links: _Links
) -> np.ndarray:
    """Link images of equal values to the first of them, which alone is searched for.

    Returns:
        bool (N,), whether an image still has to be searched for.
    """
    own = np.ascontiguousarray(positions[0])
    keys = own.view(np.dtype((np.void, own.shape[1]))).ravel()
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    later = np.flatnonzero(first[group] != np.arange(len(group)))
    chosen = np.ones(len(group), np.bool_)
    equal, others = verified(signatures, (later, first[group][later]))
    links.add(equal, others)
    chosen[equal] = False
    return chosen


def _compare_all(signatures: Signatures, images: np.ndarray, links: _Links) -> int:
    """Link the near-copies among images that no cell tells apart.

    Returns:
        The number of images that were not compared with all others.
    """
    num_not_compared = 0
    for _ in range(_NUM_LEADERS):
        if not links.are_several(images):
            return num_not_compared
        # Images close to one are linked to it, and need no comparison of their own.
        leader, others = images[:1], images[1:]
        apart = np.full(len(others), np.inf, np.float32)
        for start in range(0, len(others), _PAIRS_AT_ONCE):
            part = slice(start, start + _PAIRS_AT_ONCE)
            first = np.repeat(leader, len(others[part]))
            apart[part] = signatures.least_distances(first, others[part])
        limit = signatures.max_distance
        near = others[apart < limit]
        links.add(np.repeat(leader, len(near)), near)
        images = others[apart >= limit / 2]
        # What is farther can't be a near-copy of an image that is left out now.
        left_out = others[apart < limit / 2]
        doubtful = others[(apart >= limit) & (apart < limit * 3 / 2)]
        if len(left_out) * len(doubtful) <= _MOST_DOUBTFUL_PAIRS:
            links.add(
                np.repeat(left_out, len(doubtful)), np.tile(doubtful, len(left_out))
            )
        else:
            num_not_compared += len(doubtful)
        is_dense = len(others) - len(images) > _DENSE * len(others)
        if len(images) <= MOST_ALIKE and not is_dense:
            break
    num_not_compared += max(0, len(images) - MOST_ALIKE)
    images = images[:MOST_ALIKE]
    if not links.are_several(images):
        return num_not_compared
    values = signatures.all_values(images)
    waiting = np.arange(len(images))
    while len(waiting):
        groups = links.groups()[images]
        numbers, counts = np.unique(groups, return_counts=True)
        # Images of one group need no further link between them. So those of the
        # largest group need not ask.
        waiting = waiting[groups[waiting] != numbers[counts.argmax()]]
        rows, waiting = waiting[:_ROWS_AT_ONCE], waiting[_ROWS_AT_ONCE:]
        table = distance_table(values, rows)
        table[groups[rows][:, None] == groups] = np.inf
        count = min(_MOST_LINKS, len(images))
        nearest = np.argpartition(table, count - 1)[:, :count]
        row, place = np.nonzero(
            np.take_along_axis(table, nearest, axis=1) < signatures.max_distance
        )
        links.add(images[rows[row]], images[nearest[row, place]])
    return num_not_compared
