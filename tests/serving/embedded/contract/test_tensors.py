"""Tensors of each type are equal after a round trip through typed fields."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorflow_serving")
from tensorflow.core.framework import tensor_pb2, types_pb2

from graft.serving.embedded.contract import tensors
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


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1.5, -2], [0, 3]], np.float32),
        np.array([2**63], np.uint64),
        np.array([1 + 2j], np.complex64),
        np.array([1.5, -2], np.float16),
        np.array([True, False]),
    ],
    ids=lambda array: str(array.dtype),
)
def test_a_tensor_may_be_sent_as_content(array):
    proto = to_proto(array, as_content=True)
    assert proto.tensor_content
    np.testing.assert_array_equal(to_array(proto, "x"), array)


def test_strings_as_content_are_lengths_and_bytes():
    texts = [b"a", b"", b"x" * 300]
    array = np.array(texts, object)
    content = to_proto(array, as_content=True).tensor_content
    assert content == b"\x01\x00\xac\x02" + b"".join(texts)


@pytest.mark.parametrize(
    ("field", "values", "dtype"),
    [("float_val", [1, 2, 3], 1), ("int64_val", [1, 2, 3], 9), ("half_val", [1], 19)],
)
def test_values_beyond_the_shape_are_left_out(field, values, dtype):
    proto = tensor_pb2.TensorProto(dtype=dtype)
    proto.tensor_shape.dim.add(size=len(values) - 1)
    getattr(proto, field).extend(values)
    found = to_array(proto, "x")
    assert found.shape == (len(values) - 1,)
    assert found.tolist() == values[:-1]


def test_a_string_is_not_repeated_without_end():
    """Python makes each of them, for which all other requests would wait."""
    proto = tensor_pb2.TensorProto(dtype=7, string_val=[b"x"])
    proto.tensor_shape.dim.add(size=tensors.MAX_STRINGS)
    assert len(to_array(proto, "x")) == tensors.MAX_STRINGS
    proto.tensor_shape.dim[0].size += 1
    with pytest.raises(StatusError, match="tensor parsing error: x"):
        to_array(proto, "x")


@pytest.mark.parametrize(
    ("number", "text"), [(1, "float"), (2, "double"), (19, "half"), (9, "int64")]
)
def test_types_have_the_names_of_the_messages(number, text):
    assert tensors.type_text(number) == text


@pytest.mark.parametrize("field", ["DT_FLOAT", "DT_INT64", "DT_STRING"])
def test_no_value_and_a_length_beyond_numpy_is_malformed(field):
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DataType.Value(field))
    for length in (2**62, 0):
        proto.tensor_shape.dim.add(size=length)
    with pytest.raises(StatusError, match="tensor parsing error: x"):
        to_array(proto, "x")


@pytest.mark.parametrize("name", ["QINT8", "RESOURCE", "VARIANT", "FLOAT8_E5M2"])
def test_types_that_are_not_read(name):
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DataType.Value(f"DT_{name}"))
    with pytest.raises(StatusError, match="tensor parsing error: x"):
        to_array(proto, "x")


def test_strings_come_as_content():
    texts = [b"a", b"", b"x" * 300]
    array = np.array(texts, object)
    proto = to_proto(array, as_content=True)
    assert to_array(proto, "x").tolist() == texts
    for wrong in (proto.tensor_content[:-1], proto.tensor_content + b"x", b"\xff" * 9):
        proto.tensor_content = wrong
        with pytest.raises(StatusError, match="tensor parsing error: x"):
            to_array(proto, "x")


@pytest.mark.parametrize(
    ("field", "dtype", "value", "read"),
    [
        ("int_val", 4, 300, 44),
        ("int_val", 6, 200, -56),
        ("int_val", 17, 70000, 4464),
        ("half_val", 19, 0x13C00, 1.0),
    ],
)
def test_bits_beyond_a_narrow_type_are_left_out(field, dtype, value, read):
    proto = tensor_pb2.TensorProto(dtype=dtype)
    proto.tensor_shape.dim.add(size=2)
    getattr(proto, field).append(value)
    assert to_array(proto, "x").tolist() == [read, read]


def test_a_scalar_string_keeps_its_zero_bytes():
    proto = to_proto(tensors.as_array(b"Hi\0\0"))
    assert proto.string_val == [b"Hi\0\0"]
    assert not proto.tensor_shape.dim
