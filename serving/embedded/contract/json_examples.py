"""The JSON of classify and regress requests and replies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from tensorflow.core.example import example_pb2

from graft.serving.embedded.contract.json_values import (
    Members,
    decode_base64,
    encode,
    is_base64,
    is_utf8,
    read_number,
    show,
    type_name,
)
from graft.serving.embedded.contract.status import invalid


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
    # Of a feature that comes twice the last one counts.
    features = value.last if isinstance(value, Members) else value
    for name, content in features.items():
        if not is_utf8(name):
            raise invalid(f"The name of a feature is no UTF-8: {name}")
        feature = example.features.feature[name]
        for each in content if isinstance(content, list) else [content]:
            _add_value(feature, name, each)
    return example


def _add_value(feature: Any, name: str, value: Any) -> None:
    stored: bytes | float | int
    if isinstance(value, str):
        kind, stored = "bytes_list", encode(value)
    elif is_base64(value):
        kind, stored = "bytes_list", decode_base64(value)
    elif isinstance(value, float) or _is_double(value):
        kind, stored = "float_list", read_number(value)
    elif isinstance(value, int):  # And true and false, which are 1 and 0.
        kind, stored = "int64_list", int(value)
        if stored >= 2**63:
            raise invalid(
                f"Feature: {name} has uint64_t element. Only int64_t is supported."
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


def _is_double(value: Any) -> bool:
    """Return whether RapidJSON reads a number without a point as a double."""
    return isinstance(value, int) and not -(2**63) <= value < 2**64


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
