"""The client's protos against TensorFlow's and TensorFlow Serving's own."""

from __future__ import annotations

import pytest

from graft_client.protos import serving_pb2

pytest.importorskip("tensorflow_serving")
from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2
from tensorflow_serving.apis import get_model_status_pb2, model_pb2, predict_pb2

PAIRS = [
    (serving_pb2.Tensor, tensor_pb2.TensorProto),
    (serving_pb2.TensorShape, tensor_shape_pb2.TensorShapeProto),
    (serving_pb2.TensorShape.Dim, tensor_shape_pb2.TensorShapeProto.Dim),
    (serving_pb2.ModelSpec, model_pb2.ModelSpec),
    (serving_pb2.PredictRequest, predict_pb2.PredictRequest),
    (serving_pb2.PredictResponse, predict_pb2.PredictResponse),
    (
        serving_pb2.GetModelStatusResponse.ModelVersionStatus,
        get_model_status_pb2.ModelVersionStatus,
    ),
    (serving_pb2.Example, example_pb2.Example),
    (serving_pb2.Example.Features, feature_pb2.Features),
    (serving_pb2.Example.BytesList, feature_pb2.BytesList),
]
VARINTS = {3, 4, 5, 8, 13, 14}
"""Wire type 0: an enum may be restated as an integer."""


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda m: m.DESCRIPTOR.name)
def test_each_field_has_their_number_and_wire_type(ours, theirs):
    assert ours.DESCRIPTOR.fields
    for field in ours.DESCRIPTOR.fields:
        other = theirs.DESCRIPTOR.fields_by_name[field.name]
        assert field.number == other.number
        assert field.is_repeated == other.is_repeated
        assert field.type == other.type or {field.type, other.type} <= VARINTS


def test_a_request_reads_the_same_to_both():
    request = predict_pb2.PredictRequest(output_filter=["probabilities"])
    request.model_spec.name = "flowers"
    request.model_spec.version.value = 7
    request.inputs["images"].dtype = 7
    request.inputs["images"].tensor_shape.dim.add(size=1)
    request.inputs["images"].string_val.append(b"\xff\xd8")

    read = serving_pb2.PredictRequest.FromString(request.SerializeToString())

    assert read.model_spec.version.value == 7
    assert read.inputs["images"].string_val == [b"\xff\xd8"]
    again = predict_pb2.PredictRequest.FromString(read.SerializeToString())
    assert again == request
