"""Convolution of small maps, such as a backbone's last ones, with fewer products.

Toom and Cook's way, known for maps from Winograd ("Arithmetic Complexity of
Computations", SIAM 1980) and Lavin and Gray ("Fast Algorithms for Convolutional Neural
Networks", CVPR 2016), with the whole map for its tile: polynomials are multiplied by
multiplying their values at as many points as the product needs. A kernel of 2x2 over a
map of 5x5 takes 25 products for each pair of channels instead of 64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

_POINTS = (0.0, 1.0, -1.0, 2.0)
_LONGEST = len(_POINTS) + 1
"""Sides of maps up to here; with more points rounding would tell."""


@keras.saving.register_keras_serializable(package="graft")
class SmallMapConv2D(keras.layers.Conv2D):
    """Keras's Conv2D with the same weights, and the same numbers but for rounding.

    Maps of more than 5 places a side with their padding, kernels of one place, strides,
    groups, dilation, 16-bit numbers and channels in front go Keras's own way.

    Maps that are convolved again and again may have their values computed once, by
    `values`, for `call_on_values`: one for each place, counting padding.
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Convolve maps, float32 (B, H, W, C), with a kernel, (h, w, C, F)."""
        if not self.is_fit(inputs):
            return super().convolution_op(inputs, kernel)
        return self._points(inputs.shape).convolve(self.values(inputs), kernel)

    def values(self, maps: Any) -> Any:
        """Return the values at all points of maps, (B, H, W, C): float32 (P, B, C)."""
        if self.padding == "same":
            padded = ops.pad(maps, ((0, 0), *self._pads, (0, 0)))
        else:
            padded = maps
        return self._points(maps.shape).values(padded)

    def num_points(self, map_shape: Sequence[int]) -> int:
        """Return P for maps, (B, *map_shape)."""
        return self._points((None, *map_shape)).number

    def call_on_values(self, values: Any, map_shape: Sequence[int]) -> Any:
        """Return what `call` makes of maps, (B, *map_shape), with these values."""
        result = self._points((None, *map_shape)).convolve(values, self.kernel)
        return self.activation(ops.add(result, self.bias) if self.use_bias else result)

    def is_fit(self, maps: Any) -> bool:
        """Return whether maps of this shape and type are convolved so."""
        if not set(self.strides) == set(self.dilation_rate) == {self.groups} == {1}:
            return False
        if self.data_format != "channels_last" or max(self.kernel_size) == 1:
            return False
        if keras.backend.standardize_dtype(maps.dtype) != "float32":
            return False
        for size, taps, pads in zip(
            maps.shape[1:3], self.kernel_size, self._pads, strict=True
        ):
            if size is None or not taps <= size + sum(pads) <= _LONGEST:
                return False
        return True

    @property
    def _pads(self) -> list[tuple[int, int]]:
        """Places added before and after each side of a map."""
        if self.padding == "valid":
            return [(0, 0), (0, 0)]
        return [((taps - 1) // 2, taps // 2) for taps in self.kernel_size]

    def _points(self, map_shape: Sequence[Any]) -> _Points:
        height, width = (
            size + sum(pads)
            for size, pads in zip(map_shape[1:3], self._pads, strict=True)
        )
        return _Points((height, width), self.kernel_size)


class _Points:
    """The points for maps, (H, W), and kernels, (h, w), of one size.

    Map, kernel and result are vectors of places, which constant matrices turn into
    values at H x W points, and back. The map is the product's transpose, so that it
    takes the inverse.
    """

    def __init__(self, sides: tuple[int, int], taps: Sequence[int]) -> None:
        height, width = sides
        down, across = taps
        self.number = height * width
        self._result = height - down + 1, width - across + 1
        self._of_map = np.kron(
            np.linalg.inv(_powers(height, height)), np.linalg.inv(_powers(width, width))
        )
        self._of_kernel = np.kron(_powers(down, height).T, _powers(across, width).T)
        self._of_result = np.kron(
            _powers(self._result[0], height), _powers(self._result[1], width)
        )

    def values(self, maps: Any) -> Any:
        """Turn maps, (B, H, W, C), into values, (P, B, C)."""
        flat = ops.reshape(maps, (-1, self.number, maps.shape[-1]))
        return ops.transpose(_transform(self._of_map, flat), (1, 0, 2))

    def convolve(self, values: Any, kernel: Any) -> Any:
        """Convolve maps of these values, (P, B, C), with a kernel, (h, w, C, F)."""
        down, across, channels, filters = kernel.shape
        flat = ops.reshape(kernel, (down * across, channels * filters))
        kernels = ops.reshape(
            _transform(self._of_kernel, flat), (self.number, channels, filters)
        )
        products = ops.matmul(values, kernels)
        result = _transform(self._of_result, ops.transpose(products, (1, 0, 2)))
        return ops.reshape(result, (-1, *self._result, filters))


def _powers(num_powers: int, num_points: int) -> np.ndarray:
    """Return the first powers of so many points, float64 (num_powers, num_points).

    The last point is infinity, where the highest power alone counts.
    """
    finite = np.vander(_POINTS[: num_points - 1], num_powers, increasing=True).T
    return np.column_stack([finite, np.eye(num_powers)[-1]])


def _transform(matrix: np.ndarray, places: Any) -> Any:
    """Multiply the places of maps or of a kernel by a constant matrix."""
    return ops.matmul(matrix.astype(np.float32), places)
