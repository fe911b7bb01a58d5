"""Tensors of each type are equal after a round trip through typed fields."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorflow_serving")
from tensorflow.core.framework import tensor_pb2

from graft.serving.embedded.contract.status import StatusError
from graft.serving.embedded.contract.tensors import to_array, to_proto


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1.5, -2], [0, 3]], np.float32),
        np.array([1.5], np.float64),
        np.array([-1, 2], np.int32),
        np.array([-1, 2], np.int8),
        np.array([1, 65535], np.uint16),
        np.array([2**62], np.int64),
        np.array([2**63], np.uint64),
        np.array([True, False]),
        np.array([1.5, -2], np.float16),
        np.array([1 + 2j], np.complex64),
        np.array([b"a\0b", b""], object),
        np.array(2.5, np.float32),
        np.zeros((0, 3), np.float32),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
def test_a_tensor_survives_the_way_there_and_back(array):
    proto = tensor_pb2.TensorProto.FromString(to_proto(array).SerializeToString())
    assert not proto.tensor_content
    back = to_array(proto, "x")
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_no_strings_in_a_shape_that_overflows_are_malformed():
    proto = tensor_pb2.TensorProto(dtype=7)
    for size in (0, 2**62, 2**62):
        proto.tensor_shape.dim.add(size=size)
    with pytest.raises(StatusError, match="tensor parsing error: x"):
        to_array(proto, "x")
