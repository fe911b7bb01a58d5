"""Predict requests and replies in JSON, where a signature is unusual."""

from __future__ import annotations

import pytest

pytest.importorskip("tensorflow_serving")
from google.protobuf import text_format
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2

from graft.serving.embedded.contract import json_predict
from graft.serving.embedded.contract.json_columns import Column
from graft.serving.embedded.contract.status import StatusError


@pytest.mark.parametrize("name", ["", "x"])
@pytest.mark.parametrize("document", [{"inputs": {}}, {"instances": [1]}, {}])
def test_a_signature_without_inputs_is_refused(name, document):
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = name
    with pytest.raises(StatusError) as caught:
        json_predict.fill_predict(document, {}, request)
    assert caught.value.http_status == 400
    assert caught.value.message == (
        f"Failed to get input map for signature: {name or 'DEFAULT'}"
    )


def reply_of(text, *, is_rows):
    response = text_format.Parse(text, predict_pb2.PredictResponse())
    return json_predict.predict_reply(response, is_rows=is_rows)


def output(name, dtype, *shape):
    dims = " ".join(f"dim {{ size: {size} }}" for size in shape)
    value = f"dtype: {dtype} tensor_shape {{ {dims} }}"
    return f'outputs {{ key: "{name}" value {{ {value} }} }} '


def test_no_value_of_a_type_without_json_is_no_value():
    none = output("y", "DT_HALF", 0, 2)
    assert reply_of(none, is_rows=True) == {"predictions": []}
    assert reply_of(none, is_rows=False) == {"outputs": []}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            output("y", "DT_HALF", 1),
            "Failed to write JSON value for tensor type: half",
        ),
        (output("y", "DT_HALF"), "Tensor name: y has no shape information "),
        (
            output("a", "DT_HALF", 1) + output("b", "DT_FLOAT", 2),
            "Tensor name: b has inconsistent batch size: 2 expecting: 1",
        ),
    ],
    ids=["type", "scalar-first", "rows-first"],
)
def test_what_is_refused_of_a_reply_in_rows(text, message):
    with pytest.raises(StatusError) as caught:
        reply_of(text, is_rows=True)
    assert caught.value.code.name == "INVALID_ARGUMENT"
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("value", "status", "message"),
    [
        ({"b64": "AA=="}, 400, "Type: Object is not of expected type: half"),
        (1.5, 501, "Conversion of JSON Value: 1.5 to type: half"),
    ],
    ids=["object", "number"],
)
def test_values_for_a_type_without_json(value, status, message):
    with pytest.raises(StatusError) as caught:
        Column(types_pb2.DT_HALF).add(value)
    assert caught.value.http_status == status
    assert message in caught.value.message
