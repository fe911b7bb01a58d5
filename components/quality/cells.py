"""Candidates for near-copies: images whose signatures fall into a common cell.

Cells are made by cutting the values of the signatures one after the other. An image
lies in one cell. It asks for others in all cells that a near-copy of it may lie in:
each value may differ by `_SLACK`, in each position of a signature. Cells with few
images are done; the others are cut again, so no cell is left out for its size. The
first `_NUM_FIXED` cuts do not depend on other images, so their cell is a key to group
by.

Indyk and Motwani, "Approximate Nearest Neighbors: Towards Removing the Curse of
Dimensionality", STOC 1998.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from graft.components.quality.signature import NUM_POSITIONS, Signatures

Pairs = tuple[np.ndarray, np.ndarray]
"""Two int32 (P,): the images that ask, and those that may be their near-copies."""

_NUM_FIXED = 6
_UNITS = 100
_FAR = 127
# Near-copies differ by less in nearly all values
# (docs/decisions/0067-near-copies.md); so do the next three.
_SLACK = 6
_WIDTHS = (28, 20)
_PAIRS_WORTH_A_CUT = 4096
_PAIRS_AT_ONCE = 1 << 18
_IMAGES_AT_ONCE = 1 << 13
_QUESTIONS_AT_ONCE = 1 << 20
# (row, column) of the values that are cut, those that differ most between images first.
# The first one tells blank images apart.
_WAVES = (
    *((0, 0), (1, 0), (2, 0), (0, 2), (0, 1), (3, 0), (1, 1), (4, 0)),
    *((1, 2), (2, 2), (2, 1), (0, 3), (0, 4), (3, 1), (3, 2), (1, 3)),
    *((2, 3), (5, 0), (0, 5), (4, 1), (3, 3), (4, 2), (1, 4), (2, 4)),
)
_VALUES = tuple(row * 8 + column for row, column in _WAVES)
_CUTS = tuple((place, width) for width in _WIDTHS for place in range(len(_WAVES)))
_ALL_POSITIONS = (1 << NUM_POSITIONS) - 1


@dataclass(frozen=True)
class Questions:
    """The cells in which images ask for near-copies; one row for each.

    Attributes:
        cells: int32 (Q,).
        images: int32 (Q,).
        alive: uint16 (Q,), a bit for each position of the image that fits the cell.
    """

    cells: np.ndarray
    images: np.ndarray
    alive: np.ndarray

    def take(self, which: np.ndarray | slice) -> Questions:
        """Return some rows."""
        return Questions(self.cells[which], self.images[which], self.alive[which])


@dataclass(frozen=True)
class Homes:
    """The cells in which images lie; one row for each image.

    Attributes:
        cells: int32 (H,).
        images: int32 (H,).
    """

    cells: np.ndarray
    images: np.ndarray

    def take(self, which: np.ndarray | slice) -> Homes:
        """Return some rows."""
        return Homes(self.cells[which], self.images[which])


def positions_of(signatures: Signatures) -> np.ndarray:
    """Return the values that are cut, in hundredths, int8 (9, N, values)."""
    found = np.empty((NUM_POSITIONS, len(signatures), len(_VALUES)), np.int8)
    for start in range(0, len(signatures), _IMAGES_AT_ONCE):
        stop = min(start + _IMAGES_AT_ONCE, len(signatures))
        index = np.arange(start, stop)
        for position in range(NUM_POSITIONS):
            values = signatures.values(index, position)[:, _VALUES]
            found[position, start:stop] = np.round(values * _UNITS).clip(-_FAR, _FAR)
    return found


def fixed_cells(positions: np.ndarray) -> tuple[Homes, Questions]:
    """Return the cells of the first cuts. They depend on each image alone."""
    num = positions.shape[1]
    images = np.arange(num, dtype=np.int32)
    homes = Homes(np.zeros(num, np.int32), images)
    alive = np.full(num, _ALL_POSITIONS, np.uint16)
    asked = Questions(np.zeros(num, np.int32), images, alive)
    for place, width in _CUTS[:_NUM_FIXED]:
        homes, asked = _cut(positions, homes, asked, place, width)
    return homes, asked


class CellSearch:
    """The search for pairs of images in common cells.

    Args:
        positions: See `positions_of`.

    Attributes:
        large: The images of each cell that no cut divides any further; to be compared
            in another way.
    """

    def __init__(self, positions: np.ndarray) -> None:
        """Prepare the search."""
        self._positions = positions
        self.large: list[np.ndarray] = []

    def pairs(self, homes: Homes, asked: Questions) -> Iterator[Pairs]:
        """Yield the pairs in fixed cells, some cells at a time.

        Args:
            homes: The cells of the images.
            asked: The cells of their questions.
        """
        homes = homes.take(np.argsort(homes.cells, kind="stable"))
        asked = asked.take(np.argsort(asked.cells, kind="stable"))
        cells, starts = np.unique(asked.cells, return_index=True)
        stops = np.append(starts[1:], len(asked.cells))
        first = 0
        while first < len(cells):
            limit = starts[first] + _QUESTIONS_AT_ONCE
            last = max(first, int(np.searchsorted(stops, limit, side="right")) - 1)
            within = np.searchsorted(homes.cells, [cells[first], cells[last] + 1])
            yield from self._pairs_in(
                homes.take(slice(*within)),
                asked.take(slice(starts[first], stops[last])),
            )
            first = last + 1

    def _pairs_in(self, homes: Homes, asked: Questions) -> Iterator[Pairs]:
        # From here on, images are numbered within this part.
        homes, asked, _ = _answerable(homes, asked)
        images, places = np.unique(
            np.concatenate([homes.images, asked.images]), return_inverse=True
        )
        places = places.astype(np.int32)
        part = _Part(self._positions[:, images])
        found = part.pairs(
            Homes(homes.cells, places[: len(homes.images)]),
            Questions(asked.cells, places[len(homes.images) :], asked.alive),
        )
        for asker, other in found:
            yield images[asker], images[other]
        self.large += [images[each] for each in part.large]


class _Part:
    """The search in some fixed cells."""

    def __init__(self, positions: np.ndarray) -> None:
        self._positions = positions
        lowest = positions.min(axis=0).astype(np.int16) - _SLACK
        highest = positions.max(axis=0).astype(np.int16) + _SLACK
        self._low = lowest.clip(-_FAR - 1, _FAR).astype(np.int8)
        self._high = highest.clip(-_FAR - 1, _FAR).astype(np.int8)
        self.large: list[np.ndarray] = []

    def pairs(self, homes: Homes, asked: Questions) -> Iterator[Pairs]:
        for cut in (*_CUTS[_NUM_FIXED:], None):
            homes, asked, num_cells = _answerable(homes, asked)
            in_cell = np.bincount(homes.cells, minlength=num_cells)
            questions = np.bincount(asked.cells, minlength=num_cells)
            is_done = in_cell * questions <= _PAIRS_WORTH_A_CUT
            yield from self._compare(
                homes.take(is_done[homes.cells]), asked.take(is_done[asked.cells])
            )
            homes = homes.take(~is_done[homes.cells])
            asked = asked.take(~is_done[asked.cells])
            if not len(homes.cells):
                return
            if cut is not None:
                homes, asked = _cut(self._positions, homes, asked, *cut)
        order = np.argsort(asked.cells, kind="stable")
        ends = np.flatnonzero(np.diff(asked.cells[order])) + 1
        self.large = [np.unique(each) for each in np.split(asked.images[order], ends)]

    def _compare(self, homes: Homes, asked: Questions) -> Iterator[Pairs]:
        """Yield the pairs in these cells whose values are all within the slack."""
        homes = homes.take(np.argsort(homes.cells, kind="stable"))
        first = np.searchsorted(homes.cells, asked.cells)
        counts = np.searchsorted(homes.cells, asked.cells, side="right") - first
        ends = np.cumsum(counts)
        start = 0
        while start < len(counts):
            done = ends[start] - counts[start]
            stop = int(np.searchsorted(ends, done + _PAIRS_AT_ONCE, side="right"))
            part = slice(start, max(stop, start + 1))
            start = part.stop
            asker = np.repeat(asked.images[part], counts[part])
            place = np.arange(len(asker)) + np.repeat(
                first[part] - (ends[part] - counts[part] - done), counts[part]
            )
            other = homes.images[place]
            keep = asker != other
            # The values that differ most come first and leave few pairs to the others.
            for chosen in (slice(1, 8), slice(8, None)):
                asker, other = asker[keep], other[keep]
                values = self._positions[0, other, chosen]
                keep = (
                    (self._low[asker, chosen] <= values)
                    & (values <= self._high[asker, chosen])
                ).all(axis=1)
            if keep.any():
                yield asker[keep], other[keep]


def _cut(
    positions: np.ndarray, homes: Homes, asked: Questions, place: int, width: int
) -> tuple[Homes, Questions]:
    """Cut all cells by one value."""
    shift = (_FAR + _SLACK) // width + 1
    num_parts = 2 * shift
    values = positions[:, :, place].astype(np.int16)
    own = (values[0] // width + shift).astype(np.int32)
    low = (values - _SLACK) // width + shift
    high = (values + _SLACK) // width + shift
    bits = (1 << np.arange(NUM_POSITIONS)).astype(np.uint16)[:, None]
    kept = []
    for part in range(num_parts):
        fits = (((low <= part) & (part <= high)) * bits).sum(axis=0, dtype=np.uint16)
        alive = asked.alive & fits[asked.images]
        keep = np.flatnonzero(alive)
        cells = asked.cells[keep] * num_parts + part
        kept.append((cells, asked.images[keep], alive[keep]))
    return (
        Homes(homes.cells * num_parts + own[homes.images], homes.images),
        Questions(*(np.concatenate(each) for each in zip(*kept, strict=True))),
    )


def _answerable(homes: Homes, asked: Questions) -> tuple[Homes, Questions, int]:
    """Number the cells anew; drop questions to cells in which no other image lies."""
    cells, numbers, counts = np.unique(
        homes.cells, return_inverse=True, return_counts=True
    )
    if not len(cells):
        return homes, asked.take(slice(0, 0)), 0
    place = np.searchsorted(cells, asked.cells).clip(max=len(cells) - 1)
    keep = cells[place] == asked.cells
    place = place.astype(np.int32)
    asked = Questions(place[keep], asked.images[keep], asked.alive[keep])
    # An image asks in its own cell, too.
    alone = (counts == 1) & (np.bincount(asked.cells, minlength=len(cells)) == 1)
    homes = Homes(numbers.astype(np.int32), homes.images)
    return (
        homes.take(~alone[homes.cells]),
        asked.take(~alone[asked.cells]),
        len(cells),
    )
