"""Links between near-copies, and the groups that they make."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from graft.components.quality.cells import Pairs
from graft.components.quality.signature import Signatures

PAIRS_AT_ONCE = 1 << 14
_VERIFIED_AT_ONCE = 1 << 12


class Links:
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
        if self._num_waiting >= PAIRS_AT_ONCE:
            self._merge()

    def groups(self) -> np.ndarray:
        """Return the group of each image, int32 (N,)."""
        self._merge()
        return self._groups

    def are_several(self, images: np.ndarray) -> bool:
        """Return whether images are of several groups."""
        groups = self.groups()[images]
        return bool((groups != groups[:1]).any())

    def pairs(self) -> Pairs:
        """Return the first image of each group with each other one of it."""
        order = np.argsort(self.groups(), kind="stable")
        groups = self._groups[order]
        is_first = np.append(True, groups[1:] != groups[:-1])[: len(groups)]
        first = order[np.flatnonzero(is_first)[np.cumsum(is_first) - 1]]
        return first[~is_first], order[~is_first]

    def _merge(self) -> None:
        if not self._num_waiting:
            return
        first, second = (np.concatenate(e) for e in zip(*self._waiting, strict=True))
        self._waiting, self._num_waiting = [], 0
        for start in range(0, len(first), PAIRS_AT_ONCE):
            one, two = (each[start : start + PAIRS_AT_ONCE] for each in (first, second))
            # Images of one group need no further link: of a thousand equal pictures,
            # only some thousand pairs are compared.
            new = self._groups[one] != self._groups[two]
            one, two = verified(self._signatures, (one[new], two[new]))
            if len(one):
                ends = self._groups[one], self._groups[two]
                self._groups = groups_of(ends, len(self._groups))[self._groups]


def groups_of(pairs: Pairs, num_images: int) -> np.ndarray:
    """Return the group of each image, int32 (N,), from pairs within groups."""
    ones = np.ones(len(pairs[0]), np.bool_)
    table = coo_matrix((ones, pairs), (num_images, num_images))
    _, groups = connected_components(table, directed=False)
    found: np.ndarray = groups.astype(np.int32)
    return found


def verified(signatures: Signatures, pairs: Pairs) -> Pairs:
    """Return those pairs that are near-copies."""
    kept = []
    for start in range(0, len(pairs[0]), _VERIFIED_AT_ONCE):
        first, second = (each[start : start + _VERIFIED_AT_ONCE] for each in pairs)
        keep = signatures.are_copies(first, second)
        kept.append((first[keep], second[keep]))
    if not kept:
        return pairs
    first, second = (np.concatenate(each) for each in zip(*kept, strict=True))
    return first, second
