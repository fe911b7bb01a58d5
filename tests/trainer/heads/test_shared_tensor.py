"""Large arrays become tensors without a copy; others are copied, never refused."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from graft.trainer.heads.shared_tensor import as_tensor

_BUFFER = np.zeros(4096, np.float32)
_START = (-_BUFFER.ctypes.data % 64) // 4
ALIGNED = _BUFFER[_START : _START + 2000].reshape(50, 40)


def _read_only() -> np.ndarray:
    array = ALIGNED.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(_BUFFER[_START + 1 : _START + 2001].reshape(50, 40), id="shifted"),
        pytest.param(ALIGNED.T, id="columns first"),
        pytest.param(ALIGNED[:0], id="empty"),
        pytest.param(_read_only(), id="read only"),
        pytest.param(ALIGNED, id="aligned"),
    ],
)
def test_any_array_becomes_a_tensor(array: np.ndarray) -> None:
    np.testing.assert_array_equal(as_tensor(array).numpy(), array)


@pytest.mark.skipif(
    bool(tf.config.list_physical_devices("GPU")), reason="a GPU needs a copy"
)
def test_an_aligned_array_is_shared() -> None:
    array = ALIGNED.copy()
    if array.ctypes.data % 64:
        array = ALIGNED
    tensor = as_tensor(array)
    array[3, 4] = 7
    assert tensor[3, 4].numpy() == 7
