"""How cells are shared out, so that each part of the search fits in memory.

A plan is a tree of cuts. It goes on to cut where many images lie, and its leaves are
cells. Neighbouring leaves make a range with a bounded number of images. A part of the
search needs the images that lie in a range, and those that ask there.

Pairs do not depend on the plan: it only cuts cells that the search would cut, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from graft.components.quality.cells import (
    NUM_VALUES_CUT,
    PAIRS_WORTH_A_CUT,
    Homes,
    Questions,
    cut,
    joined_questions,
    num_parts,
    one_cell,
    part_of,
)

MOST_SAMPLED = 1 << 17
"""So many images tell how all images spread over cells."""

# Cells with more images are cut by the search, too.
_MOST_UNCUT = math.isqrt(PAIRS_WORTH_A_CUT)


@dataclass(frozen=True)
class Sample:
    """Some of the images, chosen by a hash of their values.

    Attributes:
        values: int8 (S, values), what is cut of each.
        num_images: The number of all images.
    """

    values: np.ndarray
    num_images: int

    @classmethod
    def of(cls, values: np.ndarray, num_images: int | None = None) -> Sample:
        """Return a sample of images with certain values.

        Args:
            values: int8 (N, values).
            num_images: The number of images that they stand for; N by default.
        """
        if len(values) > MOST_SAMPLED:
            order = np.argsort(hashes_of(values), kind="stable")
            values = values[order[:MOST_SAMPLED]]
        return cls(values, len(values) if num_images is None else num_images)

    @classmethod
    def none(cls) -> Sample:
        """Return a sample of no images."""
        return cls(np.empty((0, NUM_VALUES_CUT), np.int8), 0)

    def __add__(self, other: Sample) -> Sample:
        """Return a sample of the images of both."""
        values = np.concatenate([self.values, other.values])
        return Sample.of(values, self.num_images + other.num_images)


@dataclass(frozen=True)
class Plan:
    """A tree of cuts.

    Attributes:
        children: int32 (nodes, parts). The node of each part of a node, or ~leaf.
        depths: int8 (leaves,), the number of cuts above each leaf.
        ranges: int32 (leaves,), the range that each leaf is in, in order.
    """

    children: np.ndarray
    depths: np.ndarray
    ranges: np.ndarray

    def leaves_of(self, positions: np.ndarray) -> tuple[Homes, Questions]:
        """Return the leaves in which images lie, and those in which they ask.

        Args:
            positions: See `graft.components.quality.cells.positions_of`.
        """
        root = 0 if len(self.children) else ~0
        homes, asked = one_cell(positions.shape[1], root)
        found_homes, found_asked = [], []
        for depth in range(int(self.depths.max()) + 1):
            lies, asks = homes.cells < 0, asked.cells < 0
            of_leaf, to_leaf = homes.take(lies), asked.take(asks)
            found_homes.append(Homes(~of_leaf.cells, of_leaf.images))
            found_asked.append(Questions(~to_leaf.cells, to_leaf.images, to_leaf.alive))
            homes, asked = homes.take(~lies), asked.take(~asks)
            if not len(asked.cells):
                break
            homes, asked = cut(positions, homes, asked, depth)
            nodes = self.children.ravel()
            homes = Homes(nodes[homes.cells], homes.images)
            asked = Questions(nodes[asked.cells], asked.images, asked.alive)
        return (
            Homes(
                np.concatenate([each.cells for each in found_homes]),
                np.concatenate([each.images for each in found_homes]),
            ),
            joined_questions(found_asked),
        )


def plan_of(sample: Sample, most_images: int) -> Plan:
    """Return a plan whose ranges have about `most_images` images each.

    A leaf has more if no cut divides its images.
    """
    scale = sample.num_images / max(len(sample.values), 1)
    children: list[list[int]] = []
    depths: list[int] = []
    sizes: list[float] = []

    def grow(values: np.ndarray, depth: int) -> int:
        size = len(values) * scale
        is_small = size <= most_images or len(values) <= _MOST_UNCUT
        if is_small or depth == NUM_VALUES_CUT:
            depths.append(depth)
            sizes.append(size)
            return ~(len(depths) - 1)
        node = len(children)
        children.append([])
        parts = part_of(values, depth)
        children[node] = [
            grow(values[parts == part], depth + 1) for part in range(num_parts(depth))
        ]
        return node

    grow(sample.values, 0)
    before = np.cumsum(sizes) - sizes
    return Plan(
        np.array(children, np.int32).reshape(-1, num_parts(0)),
        np.array(depths, np.int8),
        (before // most_images).astype(np.int32),
    )


def hashes_of(values: np.ndarray) -> np.ndarray:
    """Return a hash of each row, uint64 (N,).

    Args:
        values: int8 (N, values).
    """
    words = np.ascontiguousarray(values).view(np.uint64)
    mixed = np.zeros(len(words), np.uint64)
    for column in range(words.shape[1]):
        mixed ^= words[:, column]
        # The constants of SplitMix64.
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed
