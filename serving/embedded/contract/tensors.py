"""Convert TensorProtos to arrays and back, with TensorFlow Serving's field layout."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow.python.framework import dtypes, tensor_util

from graft.serving.embedded.contract.status import StatusError, internal, invalid

Array = npt.NDArray[Any]

MAX_EXPANDED_BYTES = 2**30
"""Largest array from a short message: twenty bytes can ask for one value a trillion
times."""

_VALUE_FIELDS = {
    types_pb2.DT_FLOAT: "float_val",
    types_pb2.DT_DOUBLE: "double_val",
    types_pb2.DT_INT32: "int_val",
    types_pb2.DT_INT16: "int_val",
    types_pb2.DT_INT8: "int_val",
    types_pb2.DT_UINT16: "int_val",
    types_pb2.DT_UINT8: "int_val",
    types_pb2.DT_INT64: "int64_val",
    types_pb2.DT_BOOL: "bool_val",
    types_pb2.DT_STRING: "string_val",
    types_pb2.DT_UINT32: "uint32_val",
    types_pb2.DT_UINT64: "uint64_val",
    types_pb2.DT_HALF: "half_val",
    types_pb2.DT_BFLOAT16: "half_val",
    types_pb2.DT_COMPLEX64: "scomplex_val",
    types_pb2.DT_COMPLEX128: "dcomplex_val",
}
_VALUES_PER_ELEMENT = {types_pb2.DT_COMPLEX64: 2, types_pb2.DT_COMPLEX128: 2}


def to_array(proto: Any, name: str) -> Array:
    """Return the array that a TensorProto describes.

    The values are in `tensor_content` or in a typed field. In a typed field, the last
    value is repeated for missing ones, and no value at all means zeros.

    Args:
        proto: A TensorProto, as a client sent it.
        name: The input's name, for the message.

    Raises:
        StatusError: INVALID_ARGUMENT, if the message contradicts itself.
    """
    field = _VALUE_FIELDS.get(proto.dtype)
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if field is None or proto.tensor_shape.unknown_rank or min(shape, default=0) < 0:
        raise _malformed(name)
    size = 1
    for length in shape:
        size *= length
    if field == "string_val":
        return _to_strings(proto, shape, size, name)
    dtype = dtypes.as_dtype(proto.dtype).as_numpy_dtype
    num_bytes = size * np.dtype(dtype).itemsize
    if proto.tensor_content:
        if len(proto.tensor_content) != num_bytes:
            raise _malformed(name)
        return np.frombuffer(proto.tensor_content, dtype).reshape(shape)
    num_sent = len(getattr(proto, field)) // _VALUES_PER_ELEMENT.get(proto.dtype, 1)
    if num_sent < size and num_bytes > MAX_EXPANDED_BYTES:
        raise _malformed(name)
    try:
        array: Array = tensor_util.MakeNdarray(proto)
    except (ValueError, TypeError, OverflowError, MemoryError) as error:
        raise _malformed(name) from error
    return array


def _malformed(name: str) -> StatusError:
    return invalid(f"tensor parsing error: {name}")


def _to_strings(proto: Any, shape: list[int], size: int, name: str) -> Array:
    values = list(proto.string_val[:size])
    if proto.tensor_content or size * 8 > MAX_EXPANDED_BYTES:
        raise _malformed(name)
    if len(values) < size:
        values += [values[-1] if values else b""] * (size - len(values))
    array: Array = np.empty(size, object)
    array[:] = values
    try:
        return array.reshape(shape)
    except ValueError as error:  # No value at all, and lengths that overflow.
        raise _malformed(name) from error


@functools.lru_cache(maxsize=64)
def _number(dtype: np.dtype[Any]) -> int:
    if dtype.hasobject or dtype.kind in "SU":
        return int(types_pb2.DT_STRING)
    return int(dtypes.as_dtype(dtype).as_datatype_enum)


def to_proto(array: Array, into: Any = None) -> Any:
    """Return a TensorProto with the values in a typed field, as many clients expect.

    Args:
        array: Of any shape.
        into: An empty TensorProto to fill and return; a new one if None.

    Raises:
        StatusError: INTERNAL, for a data type that has no such field.
    """
    number = _number(array.dtype)
    field = _VALUE_FIELDS.get(number)
    if field is None:
        raise internal(f"an output of type {array.dtype} can't be sent")
    proto = tensor_pb2.TensorProto() if into is None else into
    proto.dtype = number
    for length in array.shape:
        proto.tensor_shape.dim.add(size=length)
    values = array.ravel()
    if field == "half_val":
        values = values.view(np.uint16)
    elif field == "scomplex_val":
        values = values.view(np.float32)
    elif field == "dcomplex_val":
        values = values.view(np.float64)
    getattr(proto, field).extend(values.tolist())
    return proto
