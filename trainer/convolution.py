"""Convolution of small maps, such as a backbone's last ones, with fewer products.

Toom and Cook's way, known for maps from Winograd ("Arithmetic Complexity of
Computations", SIAM 1980) and Lavin and Gray ("Fast Algorithms for Convolutional Neural
Networks", CVPR 2016), with the whole map for its tile: polynomials are multiplied by
multiplying their values at as many points as the product needs. A kernel of 2x2 over a
map of 5x5 takes 25 products for each pair of channels instead of 64.
"""

from __future__ import annotations

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
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Convolve maps, float32 (B, H, W, C), with a kernel, (h, w, C, F)."""
        if not self._is_fit(inputs):
            return super().convolution_op(inputs, kernel)
        if self.padding == "same":
            pads = [((size - 1) // 2, size // 2) for size in self.kernel_size]
            inputs = ops.pad(inputs, ((0, 0), *pads, (0, 0)))
        height, width, channels = inputs.shape[1:]
        taps_down, taps_across = self.kernel_size
        rows, columns = height - taps_down + 1, width - taps_across + 1
        # Map, kernel and result as vectors of places; the map is the product's
        # transpose, so that it takes the inverse.
        of_map = np.kron(
            np.linalg.inv(_values(height, height)), np.linalg.inv(_values(width, width))
        )
        of_kernel = np.kron(_values(taps_down, height).T, _values(taps_across, width).T)
        of_result = np.kron(_values(rows, height), _values(columns, width))

        maps = _transform(of_map, ops.reshape(inputs, (-1, height * width, channels)))
        flat = ops.reshape(kernel, (taps_down * taps_across, -1))
        kernels = ops.reshape(
            _transform(of_kernel, flat), (height * width, channels, self.filters)
        )
        products = ops.matmul(ops.transpose(maps, (1, 0, 2)), kernels)
        result = _transform(of_result, ops.transpose(products, (1, 0, 2)))
        return ops.reshape(result, (-1, rows, columns, self.filters))

    def _is_fit(self, inputs: Any) -> bool:
        if not set(self.strides) == set(self.dilation_rate) == {self.groups} == {1}:
            return False
        if self.data_format != "channels_last" or max(self.kernel_size) == 1:
            return False
        if keras.backend.standardize_dtype(inputs.dtype) != "float32":
            return False
        for size, taps in zip(inputs.shape[1:3], self.kernel_size, strict=True):
            padding = taps - 1 if self.padding == "same" else 0
            if size is None or not taps <= size + padding <= _LONGEST:
                return False
        return True


def _values(num_powers: int, num_points: int) -> np.ndarray:
    """Return the first powers of so many points, float64 (num_powers, num_points).

    The last point is infinity, where the highest power alone counts.
    """
    finite = np.vander(_POINTS[: num_points - 1], num_powers, increasing=True).T
    return np.column_stack([finite, np.eye(num_powers)[-1]])


def _transform(matrix: np.ndarray, places: Any) -> Any:
    """Multiply the places of maps or of a kernel by a constant matrix."""
    return ops.matmul(matrix.astype(np.float32), places)
