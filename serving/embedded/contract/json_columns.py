"""Nested JSON lists of one input to a tensor, with its type and shape checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow.python.framework import dtypes

from graft.serving.embedded.contract.json_values import (
    decode_base64,
    encode,
    read_number,
    show,
    type_name,
)
from graft.serving.embedded.contract.status import StatusError, invalid, unimplemented
from graft.serving.embedded.contract.tensors import (
    MAX_DIMENSIONS,
    Array,
    shape_text,
    to_proto,
    type_text,
)

_INT_LIMITS = {
    types_pb2.DT_INT32: (-(2**31), 2**31 - 1),
    types_pb2.DT_INT16: (-(2**31), 2**31 - 1),
    types_pb2.DT_INT8: (-(2**31), 2**31 - 1),
    types_pb2.DT_UINT8: (-(2**31), 2**31 - 1),
    types_pb2.DT_INT64: (-(2**63), 2**63 - 1),
    types_pb2.DT_UINT32: (0, 2**32 - 1),
    types_pb2.DT_UINT64: (0, 2**64 - 1),
}
_FLOATS = (types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE)
_WIDE = {
    types_pb2.DT_FLOAT: np.float64,
    types_pb2.DT_DOUBLE: np.float64,
    types_pb2.DT_BOOL: np.bool_,
    types_pb2.DT_UINT64: np.uint64,
}
"""NumPy's type that holds each value of a data type; int64 for the others."""


class Column:
    """The values of one input, gathered from instances of one shape."""

    def __init__(self, dtype: int) -> None:
        self._dtype = dtype
        self._read = _leaf_reader(dtype)
        self._values: list[Any] = []
        self._shape: list[int] | None = None

    def add(self, value: Any) -> None:
        """Add one value, or a list of values in any depth.

        Raises:
            StatusError: INVALID_ARGUMENT, if its type or shape is wrong.
        """
        shape = _shape_of(value)
        if len(shape) > MAX_DIMENSIONS:
            raise invalid(f"Lists are nested deeper than {MAX_DIMENSIONS} levels")
        size = len(self._values)
        self._fill(value, 0, shape)
        added = len(self._values) - size
        if self._shape is None:
            self._shape, self._size = shape, added
        elif self._size != added:
            raise invalid(f"Expecting tensor size: {self._size} but got: {added}")
        elif self._shape != shape:
            raise invalid(
                f"Expecting shape {shape_text(self._shape)} but got: "
                f"{shape_text(shape)}"
            )

    def _fill(self, value: Any, level: int, shape: list[int]) -> None:
        if not isinstance(value, list):
            if level != len(shape):
                raise invalid(
                    f"JSON Value: {show(value)} found at incorrect level: {level + 1} "
                    f"in the JSON DOM. Expected at level: {len(shape)}"
                )
            self._values.append(self._read(value))
            return
        if level >= len(shape):
            raise invalid(
                f"Encountered list at unexpected level: {level} expected < {len(shape)}"
            )
        if len(value) != shape[level]:
            raise invalid(
                f"Encountered list at unexpected size: {len(value)} at level: {level} "
                f"expected size: {shape[level]}"
            )
        for each in value:
            self._fill(each, level + 1, shape)

    def tensor(self, num_rows: int | None) -> Any:
        """Return a TensorProto of all values; `num_rows` is its first dimension."""
        shape = list(self._shape or [])
        if num_rows is not None:
            shape = [num_rows, *shape]
        if self._dtype == types_pb2.DT_STRING:
            array: Array = np.empty(len(self._values), object)
            array[:] = self._values
        else:
            dtype = dtypes.as_dtype(self._dtype).as_numpy_dtype
            # A float beyond float32 becomes infinite, and an integer beyond a byte
            # loses its high bits, as in C++.
            with np.errstate(over="ignore"):
                wide: Array = np.array(self._values, _WIDE.get(self._dtype, np.int64))
                array = wide.astype(dtype)
        return to_proto(array.reshape(shape))


def _leaf_reader(dtype: int) -> Callable[[Any], Any]:
    """Return the function that reads one value of a data type, or refuses it."""

    def refuse(value: Any) -> StatusError:
        return invalid(
            f"JSON Value: {show(value)} Type: {type_name(value)} is not of expected "
            f"type: {type_text(dtype)}"
        )

    def read_string(value: Any) -> bytes:
        if isinstance(value, dict):
            return decode_base64(value)
        if not isinstance(value, str):
            raise refuse(value)
        return encode(value)

    def read_bool(value: Any) -> bool:
        if not isinstance(value, bool):
            raise refuse(value)
        return value

    def read_int(value: Any) -> int:
        low, high = _INT_LIMITS[dtype]
        if not isinstance(value, int) or isinstance(value, bool):
            raise refuse(value)
        if not low <= value <= high:
            raise refuse(value)
        return value

    def read_float(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise refuse(value)
        return read_number(value)

    def read_nothing(value: Any) -> Any:
        if isinstance(value, dict):
            raise refuse(value)
        raise unimplemented(
            f"Conversion of JSON Value: {show(value)} to type: {type_text(dtype)}"
        )

    if dtype == types_pb2.DT_STRING:
        return read_string
    if dtype == types_pb2.DT_BOOL:
        return read_bool
    if dtype in _FLOATS:
        return read_float
    return read_int if dtype in _INT_LIMITS else read_nothing


def _shape_of(value: Any) -> list[int]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return shape
