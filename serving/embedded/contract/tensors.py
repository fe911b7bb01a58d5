"""Convert TensorProtos to arrays and back, with TensorFlow Serving's field layout."""

from __future__ import annotations

import functools
from collections.abc import Iterable
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
MAX_STRINGS = 2**20
"""Most strings in a tensor. Each is an object of Python's, which holds Python's lock
while it makes them."""
MAX_DIMENSIONS = 32
"""Most dimensions of a tensor from a request. TensorFlow's session ends the process at
a string tensor of more."""

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
_NARROW = {
    types_pb2.DT_INT16: np.int16,
    types_pb2.DT_INT8: np.int8,
    types_pb2.DT_UINT16: np.uint16,
    types_pb2.DT_UINT8: np.uint8,
    types_pb2.DT_HALF: np.uint16,
    types_pb2.DT_BFLOAT16: np.uint16,
}
"""Types whose values are sent as wider ones."""
_TYPE_TEXTS = {"float32": "float", "float64": "double", "float16": "half"}
_VALUES_PER_ELEMENT = {types_pb2.DT_COMPLEX64: 2, types_pb2.DT_COMPLEX128: 2}


def as_array(output: Any) -> Array:
    """Return what a session gives for a tensor as an array.

    A scalar string is `bytes`. NumPy would cut the zero bytes at its end.
    """
    if not isinstance(output, bytes):
        return np.asarray(output)
    array: Array = np.empty((), object)
    array[()] = output
    return array


def type_text(dtype: int) -> str:
    """Return a data type's name in TensorFlow's C++ messages, such as `float`."""
    name: str = dtypes.as_dtype(dtype).name
    return _TYPE_TEXTS.get(name, name)


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
    if len(shape) > MAX_DIMENSIONS:
        raise invalid(
            f"Input {name} may have up to {MAX_DIMENSIONS} dimensions. Received: "
            f"{len(shape)}"
        )
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
    num_values = size * _VALUES_PER_ELEMENT.get(proto.dtype, 1)
    num_sent = len(getattr(proto, field))
    if num_sent < num_values and num_bytes > MAX_EXPANDED_BYTES:
        raise _malformed(name)
    if num_sent > num_values or proto.dtype in _NARROW:
        proto = _as_tensorflow_reads(proto, field, num_values)
    try:
        # Beside a length of 0 the others may be greater than NumPy can tell.
        array: Array = (
            tensor_util.MakeNdarray(proto) if size else np.empty(shape, dtype)
        )
    except (ValueError, TypeError, OverflowError, MemoryError) as error:
        raise _malformed(name) from error
    return array


def _as_tensorflow_reads(proto: Any, field: str, num_values: int) -> Any:
    """Return a copy without values beyond the shape, and without bits beyond the type.

    TensorFlow leaves out both.
    """
    copied = tensor_pb2.TensorProto()
    copied.CopyFrom(proto)
    values = getattr(copied, field)
    del values[num_values:]
    if proto.dtype in _NARROW and values:
        narrow = np.array(values, np.int64).astype(_NARROW[proto.dtype])
        del values[:]
        values.extend(narrow.tolist())
    return copied


def _malformed(name: str) -> StatusError:
    return invalid(f"tensor parsing error: {name}")


def _to_strings(proto: Any, shape: list[int], size: int, name: str) -> Array:
    if size > MAX_STRINGS:
        raise _malformed(name)
    if proto.tensor_content:
        values = _strings_of_content(proto.tensor_content, size)
        if values is None:
            raise _malformed(name)
    else:
        values = list(proto.string_val[:size])
    if len(values) < size:
        values += [values[-1] if values else b""] * (size - len(values))
    array: Array = np.empty(size, object)
    array[:] = values
    try:
        return array.reshape(shape)
    except ValueError as error:  # No value at all, and lengths that overflow.
        raise _malformed(name) from error


def shape_text(shape: Iterable[int]) -> str:
    """Return a shape as TensorFlow's messages show it, such as `[2,3]`."""
    return "[" + ",".join(map(str, shape)) + "]"


def enum_name(dtype: np.dtype[Any]) -> str:
    """Return the name of a type in TensorFlow's protos, such as `DT_FLOAT`."""
    name: str = types_pb2.DataType.Name(_number(dtype))
    return name


@functools.lru_cache(maxsize=64)
def _number(dtype: np.dtype[Any]) -> int:
    if dtype.hasobject or dtype.kind in "SU":
        return int(types_pb2.DT_STRING)
    return int(dtypes.as_dtype(dtype).as_datatype_enum)


def to_proto(array: Array, into: Any = None, *, as_content: bool = False) -> Any:
    """Return a TensorProto with the values in a typed field, as many clients expect.

    Args:
        array: Of any shape.
        into: An empty TensorProto to fill and return; a new one if None.
        as_content: Whether the values go into `tensor_content` instead.

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
    if as_content:
        proto.tensor_content = _content_of(values)
        return proto
    if field == "half_val":
        values = values.view(np.uint16)
    elif field == "scomplex_val":
        values = values.view(np.float32)
    elif field == "dcomplex_val":
        values = values.view(np.float64)
    getattr(proto, field).extend(values.tolist())
    return proto


def _content_of(values: Array) -> bytes:
    """Return the bytes of a flat array as TensorFlow keeps them in memory.

    Strings are written as all lengths, as varints, and then all bytes.
    """
    if not values.dtype.hasobject:
        return values.tobytes()
    texts = [bytes(value) for value in values]
    lengths = bytearray()
    for text in texts:
        length = len(text)
        while length > 127:
            lengths.append(length & 127 | 128)
            length >>= 7
        lengths.append(length)
    return bytes(lengths) + b"".join(texts)


def _strings_of_content(content: bytes, size: int) -> list[bytes] | None:
    """Return the strings that `_content_of` wrote; None if it wrote no such bytes."""
    lengths = []
    position = 0
    for _ in range(size):
        length = shift = 0
        while True:
            if position >= len(content) or shift > 28:
                return None
            byte = content[position]
            position += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        lengths.append(length)
    if position + sum(lengths) != len(content):
        return None
    values = []
    for length in lengths:
        values.append(content[position : position + length])
        position += length
    return values
