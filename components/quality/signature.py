"""The signature of an image, by which near-copies are found.

It is made of the lowest spatial frequencies of the grey levels, and of coarse colours.
JPEG, another size and another brightness hardly change them. A crop moves the picture,
so an image is compared in nine positions: itself, and itself without a narrow margin
at its sides. Why not another signature: docs/decisions/0067-near-copies.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

EDGE = 32
"""Pixels of the square of grey levels that a signature is made of."""

_STORED = 12
_COMPARED = 8
_COLOUR_EDGE = 4
_MARGIN = 0.025
_MOST_BRIGHTER = 24.0
_MOST_CONTRAST = 1.7
_MOST_COLOUR = 5.0
# A picture whose colours are all below this is a grey one.
_GREY = 1.5
_MOST_APART_BLANK = 4.0

SIGNATURE = np.dtype(
    [
        ("waves", np.float16, (_STORED, _STORED)),
        ("colours", np.int8, (2, _COLOUR_EDGE, _COLOUR_EDGE)),
        ("edge", np.uint8),
    ]
)
"""One signature. `waves`: discrete cosine transform of the grey levels; `colours`: Cb
and Cr, 0 for grey; `edge`: the shorter edge in pixels, `EDGE` at most."""

NUM_POSITIONS = 9
NUM_VALUES = _COMPARED**2


def _cosines(count: int) -> np.ndarray:
    """Return the first rows of the orthonormal cosine transform, (count, EDGE)."""
    place = (np.arange(EDGE) + 0.5) * np.pi / EDGE
    rows: np.ndarray = np.cos(np.arange(count)[:, None] * place) * np.sqrt(2 / EDGE)
    rows[0] /= np.sqrt(2)
    return rows


def _cropped(first: float, last: float) -> np.ndarray:
    """Return the matrix from stored waves to those of the pixels first to last."""
    place = (np.arange(EDGE) + 0.5) / EDGE * (last - first) + first - 0.5
    place = np.clip(place, 0, EDGE - 1)
    left = np.floor(place).astype(int)
    crop = np.zeros((EDGE, EDGE))
    crop[np.arange(EDGE), left] += 1 - (place - left)
    crop[np.arange(EDGE), np.minimum(left + 1, EDGE - 1)] += place - left
    matrix: np.ndarray = _cosines(_COMPARED) @ crop @ _cosines(_STORED).T
    return matrix.astype(np.float32)


_AXES = (
    _cropped(0, EDGE),
    _cropped(_MARGIN * EDGE, EDGE),
    _cropped(0, EDGE - _MARGIN * EDGE),
)
_TRANSFORM = _cosines(_STORED)
# Stored waves to compared ones along one axis, (3 * _COMPARED, _STORED).
_ALL_AXES = np.concatenate(_AXES)


def signature_of(grey: Image.Image, picture: Image.Image, edge: int) -> np.ndarray:
    """Return the signature of an image, a scalar of `SIGNATURE`.

    Args:
        grey: Its grey levels, or the channel that shows most.
        picture: The same in RGB.
        edge: Pixels of the shorter edge.
    """
    small = grey.resize((EDGE, EDGE), Image.Resampling.BILINEAR)
    colours = picture.resize((_COLOUR_EDGE, _COLOUR_EDGE), Image.Resampling.BOX)
    signature = np.empty((), SIGNATURE)
    signature["waves"] = _TRANSFORM @ np.asarray(small, np.float64) @ _TRANSFORM.T
    levels = np.asarray(colours.convert("YCbCr"))[..., 1:].astype(np.int16) - 128
    signature["colours"] = levels.clip(-127, 127).transpose(2, 0, 1)
    signature["edge"] = min(edge, EDGE)
    return signature


@dataclass(frozen=True)
class Signatures:
    """Signatures that are compared with one another.

    Attributes:
        rows: `SIGNATURE` (N,).
        max_distance: Distance below which two images are near-copies.
        min_contrast: An image of a lower contrast is blank. Blank images are compared
            by their colour alone.
    """

    rows: np.ndarray
    max_distance: float
    min_contrast: float

    def __len__(self) -> int:
        """Number of images."""
        return len(self.rows)

    def values(self, index: np.ndarray) -> np.ndarray:
        """Return what is compared of whole images: float32 (len(index), NUM_VALUES).

        Each row has the length 1.

        Args:
            index: The images.
        """
        found: np.ndarray = self._compared(index, np.float32, 1)[:, 0]
        return found

    def all_values(self, index: np.ndarray) -> np.ndarray:
        """Return the same in all positions, float32 (9, len(index), NUM_VALUES).

        The first position is the whole image, the others lack margins.
        """
        found = self._compared(index, np.float32, NUM_POSITIONS)
        return found.transpose(1, 0, 2)

    def exact_values(self, index: np.ndarray, num_positions: int) -> np.ndarray:
        """Return the first positions in float64, (positions, len(index), NUM_VALUES).

        In float32 the last bit depends on what else is computed at the same time, and
        on the processor. In float64 that can't be seen once the values are rounded.
        """
        found = self._compared(index, np.float64, num_positions)
        return found.transpose(1, 0, 2)

    def distances(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the distance of each pair, infinite if colour or light differ.

        Tiny pictures are alike more often, such as digits of 8 pixels. So a distance
        counts more if both images are smaller than `EDGE`.

        Args:
            first: int (P,), the images that are compared in nine positions.
            second: int (P,).
        """
        others = self.values(second)
        best = np.full(len(first), np.inf, np.float32)
        for values in self.all_values(first):
            apart = np.linalg.norm(values - others, axis=1)
            np.minimum(best, apart, out=best)
        edges = [self.rows["edge"][each] for each in (first, second)]
        best *= EDGE / np.maximum(np.maximum(*edges), 1)
        best[~self._are_lit_alike(first, second)] = np.inf
        return best

    def are_copies(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return whether each pair is one of near-copies, bool (P,).

        The order within a pair does not matter.
        """
        are_near = np.zeros(len(first), np.bool_)
        is_open = self._are_lit_alike(first, second)
        for one, two in ((first, second), (second, first)):
            left = np.flatnonzero(is_open & ~are_near)
            are_near[left] = self.distances(one[left], two[left]) < self.max_distance
        return are_near

    def least_distances(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the smaller one of the distances of each pair in both orders."""
        least: np.ndarray = np.minimum(
            self.distances(first, second), self.distances(second, first)
        )
        return least

    def _are_lit_alike(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return whether brightness, contrast and colours fit, bool (P,)."""
        one, two = (
            self.rows["waves"][each].astype(np.float32) for each in (first, second)
        )
        brighter = np.abs(one[:, 0, 0] - two[:, 0, 0]) / EDGE
        contrasts = self._contrast(one), self._contrast(two)
        low, high = np.minimum(*contrasts), np.maximum(*contrasts)
        colours = [
            self.rows["colours"][each].astype(np.int16) for each in (first, second)
        ]
        apart = np.abs(colours[0] - colours[1]).mean((1, 2, 3))
        is_grey = [np.abs(each).max((1, 2, 3)) <= _GREY for each in colours]
        are_blank = low < self.min_contrast
        result: np.ndarray = (
            (brighter <= np.where(are_blank, _MOST_APART_BLANK, _MOST_BRIGHTER))
            & (are_blank | (high <= low * _MOST_CONTRAST))
            & ((apart <= _MOST_COLOUR) | (~are_blank & (is_grey[0] | is_grey[1])))
        )
        return result

    def _compared(
        self, index: np.ndarray, dtype: type[np.floating], num_positions: int
    ) -> np.ndarray:
        """Return what is compared, (len(index), num_positions, NUM_VALUES)."""
        waves = self.rows["waves"][index].astype(dtype)
        is_blank = self._contrast(waves) < self.min_contrast
        num = 1 if num_positions == 1 else len(_AXES)
        axes = _ALL_AXES[: num * _COMPARED].astype(dtype)
        # One product of matrices along each axis.
        rows = waves.reshape(-1, _STORED) @ axes.T
        table = axes @ rows.reshape(-1, _STORED, len(axes))
        parts = table.reshape(-1, num, _COMPARED, num, _COMPARED).swapaxes(2, 3)
        values: np.ndarray = parts.reshape(-1, num * num, NUM_VALUES)
        values[:, :, 0] = 0
        values /= np.maximum(np.linalg.norm(values, axis=2, keepdims=True), 1e-9)
        values[is_blank] = 0
        values[is_blank, :, 0] = waves[is_blank, 0, :1] / (EDGE * 255)
        return values

    def _contrast(self, waves: np.ndarray) -> np.ndarray:
        """Return the standard deviation of grey levels, (N,)."""
        flat = waves.reshape(-1, _STORED**2)[:, 1:]
        contrast: np.ndarray = np.linalg.norm(flat, axis=1) / EDGE
        return contrast


def distance_table(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the distance of some images to each, float32 (len(rows), N).

    Colour, light and size are left out, so near-copies are a part of what is close.

    Args:
        values: See `Signatures.all_values`.
        rows: int, the images whose distances are wanted.
    """
    best = np.full((len(rows), values.shape[1]), np.inf, np.float32)
    squares = (values**2).sum(axis=2)
    for position in range(NUM_POSITIONS):
        for one, two in ((position, 0), (0, position)):
            table = squares[one, rows][:, None] + squares[two]
            table -= 2 * values[one, rows] @ values[two].T
            np.minimum(best, table, out=best)
    distances: np.ndarray = np.sqrt(np.maximum(best, 0))
    return distances
