"""The JSON of predict requests and replies."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow.python.framework import tensor_util

from graft.serving.embedded.contract.json_columns import Column
from graft.serving.embedded.contract.json_values import (
    Members,
    is_base64,
    is_utf8,
    show,
)
from graft.serving.embedded.contract.status import StatusError, invalid
from graft.serving.embedded.contract.tensors import Array, type_text

_WRITTEN_TYPES = frozenset(
    (
        *(types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE, types_pb2.DT_STRING),
        *(types_pb2.DT_INT32, types_pb2.DT_INT16, types_pb2.DT_INT8),
        *(types_pb2.DT_UINT8, types_pb2.DT_UINT32, types_pb2.DT_UINT64),
        *(types_pb2.DT_INT64, types_pb2.DT_BOOL),
    )
)
"""Types of outputs that TensorFlow Serving writes as JSON."""


def fill_signature(document: Mapping[str, Any], spec: Any) -> None:
    """Copy the signature's name into a ModelSpec.

    Raises:
        StatusError: INVALID_ARGUMENT, if it isn't text, or no model can have it.
    """
    name = document.get("signature_name")
    if "signature_name" not in document:
        return
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {show(document)} not formatted correctly. 'signature_name' "
            "key must be a string value."
        )
    if not is_utf8(name):
        raise no_signature(name)
    spec.signature_name = name


def no_signature(name: str) -> StatusError:
    """Return the error for the name of a signature that the model lacks."""
    return invalid(f'Serving signature name: "{name}" not found in signature def')


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
    if not infos:
        name = request.model_spec.signature_name or "DEFAULT"
        raise invalid(f"Failed to get input map for signature: {name}")
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
    columns = {name: Column(infos[name].dtype) for name in names}
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
                _add_input(columns, name, value, with_name)
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


def _add_input(
    columns: Mapping[str, Column], name: str, value: Any, instance: Mapping[str, Any]
) -> None:
    if name not in columns:
        raise invalid(f"JSON object: does not have named input: {name}")
    # TensorFlow Serving adds the values of each, so that the instances after it get
    # values of others.
    if isinstance(instance, Members) and name in instance.repeated:
        raise invalid("The input comes more than once")
    columns[name].add(value)


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
        column = Column(info.dtype)
        column.add(value[name])
        tensors[name] = column.tensor(None)
    return tensors


def predict_reply(response: Any, *, is_rows: bool) -> dict[str, Any]:
    """Return the JSON value of a PredictResponse, in the form of its request.

    Raises:
        StatusError: INVALID_ARGUMENT, if row form asks for what has no rows.
    """
    if not response.outputs:
        raise invalid("Cannot convert empty tensor map to JSON")
    arrays = {
        name: _plain(name, tensor_util.MakeNdarray(tensor))
        for name, tensor in sorted(response.outputs.items())
    }
    num_rows = _num_rows(arrays) if is_rows else 0
    for name, array in arrays.items():
        kind = response.outputs[name].dtype
        # A tensor without values has none that can't be written.
        if array.size and kind not in _WRITTEN_TYPES:
            raise invalid(
                f"Failed to write JSON value for tensor type: {type_text(kind)}"
            )
    values = {name: _nested(array) for name, array in arrays.items()}
    if len(values) == 1:
        return {"predictions" if is_rows else "outputs": next(iter(values.values()))}
    if not is_rows:
        return {"outputs": values}
    return {
        "predictions": [
            {name: column[row] for name, column in values.items()}
            for row in range(num_rows)
        ]
    }


def _num_rows(arrays: Mapping[str, Array]) -> int:
    """Return the rows that all outputs have.

    Raises:
        StatusError: INVALID_ARGUMENT, if they have none, or different numbers.
    """
    num_rows = None
    for name, array in arrays.items():
        if not array.ndim:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if num_rows not in (None, array.shape[0]):
            raise invalid(
                f"Tensor name: {name} has inconsistent batch size: {array.shape[0]} "
                f"expecting: {num_rows}"
            )
        num_rows = int(array.shape[0])
    return num_rows or 0


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


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)
