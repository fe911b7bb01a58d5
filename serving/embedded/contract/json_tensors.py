"""REST's JSON to requests, and replies to JSON."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from tensorflow.core.example import example_pb2
from tensorflow.core.framework import types_pb2
from tensorflow.python.framework import dtypes, tensor_util

from graft.serving.embedded.contract.json_values import (
    decode_base64,
    is_base64,
    show,
    type_name,
)
from graft.serving.embedded.contract.status import StatusError, invalid, unimplemented
from graft.serving.embedded.contract.tensors import Array, to_proto

_INT_LIMITS = {
    types_pb2.DT_INT32: (-(2**31), 2**31 - 1),
    types_pb2.DT_INT16: (-(2**31), 2**31 - 1),
    types_pb2.DT_INT8: (-(2**31), 2**31 - 1),
    types_pb2.DT_UINT8: (-(2**31), 2**31 - 1),
    types_pb2.DT_INT64: (-(2**63), 2**63 - 1),
    types_pb2.DT_UINT32: (0, 2**32 - 1),
    types_pb2.DT_UINT64: (0, 2**64 - 1),
}
# Largest number, largest integer that is exact, name.
_FLOATS = {
    types_pb2.DT_FLOAT: (float(np.finfo(np.float32).max), 2**24 - 1, "float"),
    types_pb2.DT_DOUBLE: (float(np.finfo(np.float64).max), 2**53 - 1, "double"),
}


def fill_signature(document: Mapping[str, Any], spec: Any) -> None:
    """Copy the signature's name into a ModelSpec.

    Raises:
        StatusError: INVALID_ARGUMENT, if it isn't text.
    """
    name = document.get("signature_name")
    if "signature_name" not in document:
        return
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {show(document)} not formatted correctly. 'signature_name' "
            "key must be a string value."
        )
    spec.signature_name = name


def fill_predict(
    document: Mapping[str, Any], infos: Mapping[str, Any], request: Any
) -> bool:
    """Copy the tensors of a predict request.

    Args:
        document: The request's body.
        infos: TensorInfo of each input of the signature.
        request: The PredictRequest to fill.

    Returns:
        Whether it has row form, which the reply must have too.

    Raises:
        StatusError: INVALID_ARGUMENT, in TensorFlow Serving's words.
    """
    has_rows, has_columns = "instances" in document, "inputs" in document
    if has_rows and has_columns:
        raise invalid(
            f"JSON Value: {show(document)} Not formatted correctly expecting only one "
            "of 'inputs' or 'instances' keys to exist "
        )
    if has_rows:
        tensors = _read_rows(document, infos)
    elif has_columns:
        tensors = _read_columns(document["inputs"], infos)
    else:
        raise invalid("Missing 'inputs' or 'instances' key")
    for name, tensor in tensors.items():
        request.inputs[name].CopyFrom(tensor)
    return has_rows


def _read_rows(document: Mapping[str, Any], infos: Mapping[str, Any]) -> dict[str, Any]:
    instances = document["instances"]
    if not isinstance(instances, list):
        raise invalid(
            f"JSON Value: {show(document)} Expecting 'instances' to be an list/array"
        )
    if not instances:
        raise invalid(f"JSON Value: {show(document)} No values in 'instances' array")
    if not isinstance(instances[0], dict) and len(infos) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple "
            "input tensors required as per tensorinfo_map"
        )
    names = sorted(infos)
    are_objects = _is_object(instances[0])
    columns = {name: _Column(infos[name].dtype) for name in names}
    for number, instance in enumerate(instances):
        if not are_objects:
            if _is_object(instance):
                raise invalid(
                    f"Expecting value/list but got object at item {number} of input "
                    "list"
                )
            with_name = {names[0]: instance}
        elif not _is_object(instance):
            raise invalid(
                f"Expecting object but got list at item {number} of input list"
            )
        else:
            with_name = instance
        for name, value in with_name.items():
            try:
                if name not in columns:
                    raise invalid(f"JSON object: does not have named input: {name}")
                columns[name].add(value)
            except StatusError as error:
                key = f" key: {name}" if are_objects else ""
                raise invalid(
                    f"Failed to process element: {number}{key} of 'instances' list. "
                    f"Error: {error}"
                ) from error
        if set(with_name) != set(names):
            raise invalid(
                f"Failed to process element: {number} of 'instances' list. JSON "
                f"object: {show(instance)} keys must be equal to: {','.join(names)}"
            )
    return {name: column.tensor(len(instances)) for name, column in columns.items()}


def _read_columns(value: Any, infos: Mapping[str, Any]) -> dict[str, Any]:
    if not _is_object(value):
        if len(infos) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple "
                "input tensors required as per tensorinfo_map"
            )
        value = dict.fromkeys(infos, value)
    tensors = {}
    for name, info in sorted(infos.items()):
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
        column = _Column(info.dtype)
        column.add(value[name])
        tensors[name] = column.tensor(None)
    return tensors


class _Column:
    """The values of one input, gathered from instances of one shape."""

    def __init__(self, dtype: int) -> None:
        self._dtype = dtype
        self._read = _leaf_reader(dtype)
        self._values: list[Any] = []
        self._shape: list[int] | None = None

    def add(self, value: Any) -> None:
        shape = _shape_of(value)
        size = len(self._values)
        self._fill(value, 0, shape)
        added = len(self._values) - size
        if self._shape is None:
            self._shape, self._size = shape, added
        elif self._size != added:
            raise invalid(f"Expecting tensor size: {self._size} but got: {added}")
        elif self._shape != shape:
            raise invalid(
                f"Expecting shape {_show_shape(self._shape)} but got: "
                f"{_show_shape(shape)}"
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
        shape = list(self._shape or [])
        if num_rows is not None:
            shape = [num_rows, *shape]
        if self._dtype == types_pb2.DT_STRING:
            array: Array = np.empty(len(self._values), object)
            array[:] = self._values
        else:
            dtype = dtypes.as_dtype(self._dtype).as_numpy_dtype
            array = np.array(self._values).astype(dtype)
        return to_proto(array.reshape(shape))


def _leaf_reader(dtype: int) -> Callable[[Any], Any]:
    """Return the function that reads one value of a data type, or refuses it."""

    def refuse(value: Any) -> StatusError:
        return invalid(
            f"JSON Value: {show(value)} Type: {type_name(value)} is not of expected "
            f"type: {dtypes.as_dtype(dtype).name}"
        )

    def read_string(value: Any) -> bytes:
        if isinstance(value, dict):
            return decode_base64(value)
        if not isinstance(value, str):
            raise refuse(value)
        return value.encode("utf-8", "surrogatepass")

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
        largest, largest_int, name = _FLOATS[dtype]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise refuse(value)
        is_lossy = (
            abs(value) > largest_int
            if isinstance(value, int)
            else np.isfinite(value) and abs(value) > largest
        )
        if is_lossy:
            raise invalid(
                f"Cannot convert JSON value: {show(value)} to {name} without loss of "
                "precision."
            )
        return float(value)

    def read_nothing(value: Any) -> Any:
        raise unimplemented(
            f"Conversion of JSON Value: {show(value)} to type: "
            f"{dtypes.as_dtype(dtype).name}"
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


def _show_shape(shape: list[int]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def predict_reply(response: Any, *, is_rows: bool) -> dict[str, Any]:
    """Return the JSON value of a PredictResponse, in the form of its request.

    Raises:
        StatusError: INVALID_ARGUMENT, if row form asks for what has no rows.
    """
    arrays = {
        name: _plain(name, tensor_util.MakeNdarray(tensor))
        for name, tensor in sorted(response.outputs.items())
    }
    if not is_rows:
        values = {name: _nested(array) for name, array in arrays.items()}
        only = next(iter(values.values())) if len(values) == 1 else values
        return {"outputs": only}
    num_rows = None
    for name, array in arrays.items():
        if not array.ndim:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if num_rows not in (None, array.shape[0]):
            raise invalid(
                f"Tensor name: {name} has inconsistent batch size: {array.shape[0]} "
                f"expecting: {num_rows}"
            )
        num_rows = array.shape[0]
    if len(arrays) == 1:
        return {"predictions": _nested(next(iter(arrays.values())))}
    rows = {name: _nested(array) for name, array in arrays.items()}
    return {
        "predictions": [
            {name: column[row] for name, column in rows.items()}
            for row in range(num_rows or 0)
        ]
    }


def _plain(name: str, array: Array) -> Array:
    """Turn the strings of a `..._bytes` output into `{"b64": ...}` objects."""
    if array.dtype != object or not name.endswith("_bytes"):
        return array
    wrapped: Array = np.empty(array.shape, object)
    for index in np.ndindex(array.shape):
        wrapped[index] = {"b64": base64.b64encode(bytes(array[index])).decode("ascii")}
    return wrapped


def _nested(array: Array) -> Any:
    if array.dtype != np.float32:
        return array.tolist()
    if not array.ndim:
        return array[()]
    # Lists of NumPy's float32: their text has fewer digits than Python's float.
    return [_nested(each) for each in array] if array.ndim > 1 else list(array)


def fill_examples(document: Mapping[str, Any], source: Any) -> None:
    """Copy the examples, and the context, of a classify or regress request.

    Raises:
        StatusError: INVALID_ARGUMENT, in TensorFlow Serving's words.
    """
    if "examples" not in document:
        raise invalid(
            f"JSON Value: {show(document)} When method is classify, key 'examples' is "
            "expected and was not found"
        )
    examples = document["examples"]
    if not isinstance(examples, list):
        raise invalid(
            f"JSON Value: {show(document)} Expecting 'examples' value to be an "
            "list/array"
        )
    if not examples:
        raise invalid(
            f"JSON Value: {show(document)} 'examples' value is an empty array"
        )
    listed = source.example_list
    if "context" in document:
        listed = source.example_list_with_context
        listed.context.CopyFrom(_read_example(document["context"]))
    listed.examples.extend(_read_example(example) for example in examples)


def _read_example(value: Any) -> Any:
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {type_name(value)}")
    example = example_pb2.Example()
    for name, content in value.items():
        feature = example.features.feature[name]
        for each in content if isinstance(content, list) else [content]:
            _add_value(feature, name, each)
    return example


def _add_value(feature: Any, name: str, value: Any) -> None:
    stored: bytes | float | int
    if isinstance(value, str):
        kind, stored = "bytes_list", value.encode("utf-8", "surrogatepass")
    elif is_base64(value):
        kind, stored = "bytes_list", decode_base64(value)
    elif isinstance(value, float):
        kind, stored = "float_list", value
    elif isinstance(value, int):  # And true and false, which are 1 and 0.
        kind, stored = "int64_list", int(value)
        if stored >= 2**63 or stored < -(2**63):
            raise invalid(
                f"Feature: {name} has uint64 element. Only int64 is supported."
            )
    else:
        raise invalid(
            f"Feature: {name} has element with unexpected JSON type: {type_name(value)}"
        )
    if feature.WhichOneof("kind") not in (None, kind):
        expected = feature.WhichOneof("kind").removesuffix("_list")
        raise invalid(
            f"Unexpected element type in feature: {name} expecting type: {expected}"
        )
    getattr(feature, kind).value.append(stored)


def classify_reply(response: Any) -> dict[str, Any]:
    """Return the JSON value of a ClassificationResponse."""
    return {
        "results": [
            [[entry.label, np.float32(entry.score)] for entry in row.classes]
            for row in response.result.classifications
        ]
    }


def regress_reply(response: Any) -> dict[str, Any]:
    """Return the JSON value of a RegressionResponse."""
    return {"results": [np.float32(each.value) for each in response.result.regressions]}
