"""The search for near-copies among all images of a data set.

Its result is groups: near-copies of near-copies are in one group, so a class of a
thousand equal pictures is one finding and not half a million pairs. Time grows as
n log n. Images are searched range by range of a `Plan`, so that little more than their
signatures is in memory. `search_job` does the same on a cluster, by the same functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from graft.components.quality.cell_plan import Plan, Sample, plan_of
from graft.components.quality.cells import (
    CellSearch,
    Homes,
    Pairs,
    Questions,
    joined_questions,
    positions_of,
)
from graft.components.quality.links import PAIRS_AT_ONCE, Links, groups_of, verified
from graft.components.quality.signature import Signatures, distance_table

MOST_ALIKE = 20_000
"""Images that no cell tells apart are compared each with each up to this number."""

MOST_IN_RANGE = 1 << 13
"""Images in a range of cells, about, in one process."""

_IMAGES_AT_ONCE = 1 << 15
_ROWS_AT_ONCE = 128
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


class Found(NamedTuple):
    """What a part of the search found.

    Attributes:
        pairs: Enough pairs of near-copies to link all that are in one group.
        not_compared: int, the images that were not compared with all others; one may
            be there several times.
    """

    pairs: Pairs
    not_compared: np.ndarray


def find_copies(signatures: Signatures) -> CopyGroups:
    """Return the groups of near-copies among all images."""
    if not len(signatures):
        return CopyGroups(np.empty(0, np.int32))
    positions = positions_of(signatures)
    equal = link_equal(signatures, positions[0])
    chosen = np.ones(len(signatures), np.bool_)
    chosen[equal[1]] = False
    plan = plan_of(Sample.of(positions[0, chosen]), MOST_IN_RANGE)
    several, not_compared = [equal], [np.empty(0, np.int64)]
    for homes, asked in _ranges(plan, positions, chosen):
        images, found = _search_some(signatures, positions, plan, homes, asked)
        several.append((images[found.pairs[0]], images[found.pairs[1]]))
        not_compared.append(images[found.not_compared])
    first, second = (np.concatenate(each) for each in zip(*several, strict=True))
    return CopyGroups(
        groups_of((first, second), len(signatures)),
        len(np.unique(np.concatenate(not_compared))),
    )


def link_equal(signatures: Signatures, own: np.ndarray) -> Pairs:
    """Link images of equal values to the first of them, which alone is searched for.

    Args:
        signatures: Of some images, those of equal values all among them.
        own: int8 (N, values), what is cut of each.

    Returns:
        The first images, and those that are linked to them.
    """
    keys = np.ascontiguousarray(own).view(np.dtype((np.void, own.shape[1]))).ravel()
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    later = np.flatnonzero(first[group] != np.arange(len(group)))
    equal, others = verified(signatures, (later, first[group][later]))
    return others, equal


def search_cells(
    signatures: Signatures,
    positions: np.ndarray,
    plan: Plan,
    homes: Homes,
    asked: Questions,
) -> Found:
    """Find the near-copies among images that share some leaves of a plan.

    Args:
        signatures: Of these images.
        positions: See `graft.components.quality.cells.positions_of`.
        plan: The plan.
        homes: All images that lie in these leaves.
        asked: All questions in these leaves.
    """
    links = Links(signatures)
    search = CellSearch(positions)
    for depth in np.unique(plan.depths[homes.cells]):
        of_depth = homes.take(plan.depths[homes.cells] == depth)
        to_depth = asked.take(plan.depths[asked.cells] == depth)
        for pairs in search.pairs(of_depth, to_depth, int(depth)):
            links.add(*pairs)
    several, not_compared = [links.pairs()], [np.empty(0, np.int64)]
    for images in search.large:
        # Without the links of other cells, so that no order of cells matters.
        alike = Signatures(
            signatures.rows[images], signatures.max_distance, signatures.min_contrast
        )
        found = compare_all(alike)
        several.append((images[found.pairs[0]], images[found.pairs[1]]))
        not_compared.append(images[found.not_compared])
    first, second = (np.concatenate(each) for each in zip(*several, strict=True))
    return Found((first, second), np.concatenate(not_compared))


def compare_all(signatures: Signatures) -> Found:
    """Find the near-copies among images that no cell tells apart."""
    links = Links(signatures)
    images = np.arange(len(signatures))
    not_compared = [images[:0]]
    for _ in range(_NUM_LEADERS):
        if not links.are_several(images):
            return Found(links.pairs(), np.concatenate(not_compared))
        # Images close to one are linked to it, and need no comparison of their own.
        leader, others = images[:1], images[1:]
        apart = np.full(len(others), np.inf, np.float32)
        for start in range(0, len(others), PAIRS_AT_ONCE):
            part = slice(start, start + PAIRS_AT_ONCE)
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
            not_compared.append(doubtful)
        is_dense = len(others) - len(images) > _DENSE * len(others)
        if len(images) <= MOST_ALIKE and not is_dense:
            break
    not_compared.append(images[MOST_ALIKE:])
    _compare_each(signatures, images[:MOST_ALIKE], links)
    return Found(links.pairs(), np.concatenate(not_compared))


def _compare_each(signatures: Signatures, images: np.ndarray, links: Links) -> None:
    """Link the near-copies among images, each compared with each."""
    if not links.are_several(images):
        return
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


def _ranges(
    plan: Plan, positions: np.ndarray, chosen: np.ndarray
) -> Iterator[tuple[Homes, Questions]]:
    """Yield what lies and what asks in each range of a plan."""
    parts = []
    for start in range(0, len(chosen), _IMAGES_AT_ONCE):
        images = start + np.flatnonzero(chosen[start : start + _IMAGES_AT_ONCE])
        if not len(images):
            continue
        parts.append(_sorted_by_range(plan, positions[:, images], images))
    for number in range(int(plan.ranges[-1]) + 1):
        homes, asked = [], []
        for part in parts:
            homes.append(part.homes.take(slice(*part.home_ends[number : number + 2])))
            asked.append(part.asked.take(slice(*part.asked_ends[number : number + 2])))
        yield (
            Homes(
                np.concatenate([each.cells for each in homes]),
                np.concatenate([each.images for each in homes]),
            ),
            joined_questions(asked),
        )


class _SortedPart(NamedTuple):
    """The leaves of some images, by ranges."""

    homes: Homes
    home_ends: np.ndarray
    asked: Questions
    asked_ends: np.ndarray


def _sorted_by_range(
    plan: Plan, positions: np.ndarray, images: np.ndarray
) -> _SortedPart:
    homes, asked = plan.leaves_of(positions)
    homes = homes.take(np.argsort(plan.ranges[homes.cells], kind="stable"))
    asked = asked.take(np.argsort(plan.ranges[asked.cells], kind="stable"))
    numbers = np.arange(plan.ranges[-1] + 2)
    images = images.astype(np.int32)
    return _SortedPart(
        Homes(homes.cells, images[homes.images]),
        np.searchsorted(plan.ranges[homes.cells], numbers),
        Questions(asked.cells, images[asked.images], asked.alive),
        np.searchsorted(plan.ranges[asked.cells], numbers),
    )


def _search_some(
    signatures: Signatures,
    positions: np.ndarray,
    plan: Plan,
    homes: Homes,
    asked: Questions,
) -> tuple[np.ndarray, Found]:
    """Search a range, with a copy of the rows that are needed.

    Returns:
        The images, and what was found, by their places among these.
    """
    has_home = np.bincount(homes.cells, minlength=len(plan.depths)) > 0
    asked = asked.take(has_home[asked.cells])
    images, places = np.unique(
        np.concatenate([homes.images, asked.images]), return_inverse=True
    )
    places = places.astype(np.int32)
    some = Signatures(
        signatures.rows[images], signatures.max_distance, signatures.min_contrast
    )
    found = search_cells(
        some,
        positions[:, images],
        plan,
        Homes(homes.cells, places[: len(homes.images)]),
        Questions(asked.cells, places[len(homes.images) :], asked.alive),
    )
    return images, found
