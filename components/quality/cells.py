"""Candidates for near-copies: images whose signatures fall into a common cell.

Cells are made by cutting the values of the signatures one after the other. An image
lies in one cell. It asks for others in all cells that a near-copy of it may lie in:
each value may differ by `_SLACK`, in each position of a signature. Cells with few
images are done; the others are cut again, so no cell is left out for its size.

Which cells an image lies and asks in after some cuts depends on the image alone. So
cells can be shared out: see `cell_plan`.

Indyk and Motwani, "Approximate Nearest Neighbors: Towards Removing the Curse of
Dimensionality", STOC 1998.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from graft.components.quality.signature import NUM_POSITIONS, Signatures

Pairs = tuple[np.ndarray, np.ndarray]
"""Two int (P,): the images that ask, and those that may be their near-copies."""

PAIRS_WORTH_A_CUT = 4096
"""A cell with more pairs of an image and one that asks for it is cut again."""

_UNITS = 100
_FAR = 127
# Near-copies differ by less in nearly all values
# (docs/decisions/0067-near-copies.md); so do the next three.
_SLACK = 6
_WIDTHS = (28, 20)
_PAIRS_AT_ONCE = 1 << 16
_IMAGES_AT_ONCE = 1 << 11
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

NUM_VALUES_CUT = len(_WAVES)


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


def positions_of(
    signatures: Signatures, num_positions: int = NUM_POSITIONS
) -> np.ndarray:
    """Return the values that are cut, in hundredths, int8 (positions, N, values)."""
    found = np.empty((num_positions, len(signatures), NUM_VALUES_CUT), np.int8)
    for start in range(0, len(signatures), _IMAGES_AT_ONCE):
        stop = min(start + _IMAGES_AT_ONCE, len(signatures))
        values = signatures.exact_values(np.arange(start, stop), num_positions)
        rounded = np.round(values[:, :, _VALUES] * _UNITS)
        found[:, start:stop] = rounded.clip(-_FAR, _FAR)
    return found


def one_cell(num_images: int, cell: int) -> tuple[Homes, Questions]:
    """Return all images in one cell, without any cut."""
    images = np.arange(num_images, dtype=np.int32)
    cells = np.full(num_images, cell, np.int32)
    alive = np.full(num_images, _ALL_POSITIONS, np.uint16)
    return Homes(cells, images), Questions(cells, images, alive)


def num_parts(depth: int) -> int:
    """Return the number of parts of a cell that was cut `depth` times before."""
    return 2 * _shift(_CUTS[depth][1])


def part_of(values: np.ndarray, depth: int) -> np.ndarray:
    """Return the part in which images lie, int (N,).

    Args:
        values: int8 (N, values), see `positions_of`.
        depth: How often their cell was cut before.
    """
    place, _ = _CUTS[depth]
    return _parts(values[:, place].astype(np.int32), depth)


def cut(
    positions: np.ndarray, homes: Homes, asked: Questions, depth: int
) -> tuple[Homes, Questions]:
    """Cut all cells by one value; part p of cell c becomes c * num_parts + p.

    Args:
        positions: See `positions_of`.
        homes: The cells of images.
        asked: The cells of their questions.
        depth: How often these cells were cut before.
    """
    place, _ = _CUTS[depth]
    count = num_parts(depth)
    values = positions[:, :, place].astype(np.int16)
    low = _parts(values - _SLACK, depth).astype(np.int8)
    high = _parts(values + _SLACK, depth).astype(np.int8)
    bits = (1 << np.arange(NUM_POSITIONS)).astype(np.uint16)[:, None]
    kept = [asked.take(slice(0, 0))]
    for part in range(int(low.min(initial=0)), int(high.max(initial=-1)) + 1):
        fits = (((low <= part) & (part <= high)) * bits).sum(axis=0, dtype=np.uint16)
        alive = asked.alive & fits[asked.images]
        keep = np.flatnonzero(alive)
        cells = asked.cells[keep] * count + part
        kept.append(Questions(cells, asked.images[keep], alive[keep]))
    own = part_of(positions[0], depth)
    return (
        Homes(homes.cells * count + own[homes.images], homes.images),
        joined_questions(kept),
    )


def joined_questions(several: list[Questions]) -> Questions:
    """Return the rows of several, one after the other."""
    return Questions(
        np.concatenate([each.cells for each in several]),
        np.concatenate([each.images for each in several]),
        np.concatenate([each.alive for each in several]),
    )


def _parts(values: np.ndarray, depth: int) -> np.ndarray:
    """Return the parts of values of the place that is cut, with their slack."""
    place, width = _CUTS[depth]
    # The first value is 0 for all that is not blank: no cut lies close to that.
    origin = width // 2 if place == 0 else 0
    found: np.ndarray = (values + origin) // width + _shift(width)
    return found


def _shift(width: int) -> int:
    return (_FAR + _SLACK) // width + 1


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
        lowest = positions.min(axis=0).astype(np.int16) - _SLACK
        highest = positions.max(axis=0).astype(np.int16) + _SLACK
        self._low = lowest.clip(-_FAR - 1, _FAR).astype(np.int8)
        self._high = highest.clip(-_FAR - 1, _FAR).astype(np.int8)
        self.large: list[np.ndarray] = []

    def pairs(self, homes: Homes, asked: Questions, depth: int) -> Iterator[Pairs]:
        """Yield the pairs in some cells.

        Args:
            homes: The cells of images.
            asked: All questions in these cells.
            depth: How often these cells were cut before.
        """
        for next_depth in range(depth, len(_CUTS) + 1):
            homes, asked, num_cells = answerable(homes, asked)
            in_cell = np.bincount(homes.cells, minlength=num_cells)
            questions = np.bincount(asked.cells, minlength=num_cells)
            is_done = in_cell * questions <= PAIRS_WORTH_A_CUT
            yield from self._compare(
                homes.take(is_done[homes.cells]), asked.take(is_done[asked.cells])
            )
            homes = homes.take(~is_done[homes.cells])
            asked = asked.take(~is_done[asked.cells])
            if not len(homes.cells):
                return
            if next_depth < len(_CUTS):
                homes, asked = cut(self._positions, homes, asked, next_depth)
        order = np.argsort(asked.cells, kind="stable")
        ends = np.flatnonzero(np.diff(asked.cells[order])) + 1
        self.large += [np.unique(each) for each in np.split(asked.images[order], ends)]

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


def answerable(homes: Homes, asked: Questions) -> tuple[Homes, Questions, int]:
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
