"""gRPC against a running server: replies, and each row of the table of errors."""

from __future__ import annotations

import time

import grpc
import pytest

pytest.importorskip("tensorflow_serving")
from google.protobuf import text_format
from tensorflow.core.example import example_pb2
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    predict_pb2,
    regression_pb2,
)

from graft.serving.embedded.contract.status import StatusError
from graft_client import wire

INVALID = grpc.StatusCode.INVALID_ARGUMENT
MISSING = grpc.StatusCode.NOT_FOUND
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


def parse(kind, text):
    return text_format.Parse(text, kind())


def predict(text):
    return parse(predict_pb2.PredictRequest, text)


LINE = 'model_spec { name: "colours" signature_name: "line" }'
TWO = 'model_spec { name: "colours" signature_name: "two" }'
FLOATS = "dtype: DT_FLOAT tensor_shape { dim { size: 2 } } float_val: [1, 2]"
X = f'inputs {{ key: "x" value {{ {FLOATS} }} }}'
A = f'inputs {{ key: "a" value {{ {FLOATS} }} }}'


def test_outputs_use_the_typed_fields(prediction):
    response = prediction.Predict(predict(f"{LINE} {X}"))
    assert list(response.outputs["y"].float_val) == [4, 8]
    assert response.outputs["y"].tensor_content == b""
    assert response.model_spec.name == "colours"
    assert response.model_spec.version.value == 1
    assert response.model_spec.signature_name == "line"


def test_the_default_signature_is_named_in_the_reply(prediction, colours):
    example = example_pb2.Example()
    feature = example.features.feature["image/encoded"]
    feature.bytes_list.value.append(colours["green"])
    request = predict('model_spec { name: "colours" }')
    tensor = request.inputs["examples"]
    tensor.dtype = types_pb2.DT_STRING
    tensor.tensor_shape.dim.add(size=1)
    tensor.string_val.append(example.SerializeToString())

    response = prediction.Predict(request)

    assert response.model_spec.signature_name == "serving_default"
    assert response.outputs["label"].string_val == [b"green"]
    assert len(response.outputs["probabilities"].float_val) == 3


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        ("tensor_shape { dim { size: 3 } } float_val: [1, 2]", [4, 8, 8]),
        ("tensor_shape { dim { size: 2 } } float_val: 3", [12, 12]),
        ("tensor_shape { dim { size: 2 } }", [0, 0]),
        (
            "tensor_shape { dim { size: 1 } } tensor_content: '\\000\\000\\000\\100'",
            [8],
        ),
        ("tensor_shape { dim { size: 0 } }", []),
    ],
    ids=["last-repeats", "one-for-all", "none-is-zero", "content", "empty"],
)
def test_inputs_may_be_short_or_raw(prediction, tensor, expected):
    text = f'{LINE} inputs {{ key: "x" value {{ dtype: DT_FLOAT {tensor} }} }}'
    assert list(prediction.Predict(predict(text)).outputs["y"].float_val) == expected


def test_output_filter_chooses(prediction):
    b = A.replace('"a"', '"b"')
    response = prediction.Predict(predict(f'{TWO} {A} {b} output_filter: "sum"'))
    assert set(response.outputs) == {"sum"}


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (X, INVALID, "Missing ModelSpec"),
        (f"model_spec {{ }} {X}", INVALID, "ModelSpec has no name specified."),
        (
            f'model_spec {{ name: "m" }} {X}',
            MISSING,
            "Servable not found for request: Latest(m)",
        ),
        (
            f'model_spec {{ name: "colours" version {{ value: 9 }} }} {X}',
            MISSING,
            "Servable not found for request: Specific(colours, 9)",
        ),
        (
            f'model_spec {{ name: "colours" version_label: "x" }} {X}',
            INVALID,
            "Unrecognized servable version label: x",
        ),
        (
            f'model_spec {{ name: "colours" signature_name: "x" }} {X}',
            PRECONDITION,
            'Serving signature key "x" not found.',
        ),
        (
            f"{LINE} {X} {X.replace('x', 'q', 1)}",
            INVALID,
            "input size does not match signature: 2!=1 len({q,x}) != len({x}). "
            "Sent extra: {q}. Missing but required: {}.",
        ),
        (
            f"{TWO} {A}",
            INVALID,
            "input size does not match signature: 1!=2 len({a}) != len({a,b}). "
            "Sent extra: {}. Missing but required: {b}.",
        ),
        (
            f"{LINE} {A}",
            INVALID,
            "Signature input alias: x(feed name: line_x:0) not found in request and no "
            "default value provided.",
        ),
        (
            f'{LINE} inputs {{ key: "x" value {{ dtype: DT_FLOAT tensor_content: "ab" '
            "tensor_shape { dim { size: 2 } } } }",
            INVALID,
            "tensor parsing error: x",
        ),
        (
            f'{LINE} inputs {{ key: "x" value {{ dtype: DT_FLOAT '
            "tensor_shape { dim { size: -2 } } } }",
            INVALID,
            "tensor parsing error: x",
        ),
        (
            f'{LINE} inputs {{ key: "x" value {{ dtype: DT_FLOAT float_val: 1 '
            "tensor_shape { dim { size: 1000000 } dim { size: 1000000 } } } }",
            INVALID,
            "tensor parsing error: x",
        ),
        (
            f'{LINE} inputs {{ key: "x" value {{ dtype: DT_FLOAT float_val: 1 '
            f"tensor_shape {{ {'dim { size: 1 } ' * 33}}} }} }}",
            INVALID,
            "Input x may have up to 32 dimensions. Received: 33",
        ),
        (
            f'{LINE} inputs {{ key: "x" value {{ dtype: DT_INVALID }} }}',
            INVALID,
            "tensor parsing error: x",
        ),
        (
            f'{LINE} {X} output_filter: "z"',
            INVALID,
            "output tensor alias not found in signature: z Outputs expected to be in "
            "the set {y}.",
        ),
        (
            f'{LINE} {X} output_filter: "y" output_filter: "y"',
            INVALID,
            "duplicate output tensor alias: y",
        ),
        (
            f"{LINE} {X}".replace("FLOAT", "DOUBLE").replace("float_val", "double_val"),
            INVALID,
            "Expects arg[0] to be float but double is provided",
        ),
    ],
    ids=[
        "no-spec",
        "no-name",
        "unknown-model",
        "unknown-version",
        "unknown-label",
        "unknown-signature",
        "extra-input",
        "missing-input",
        "wrong-input",
        "malformed-content",
        "negative-shape",
        "trillion-values",
        "33-dimensions",
        "no-dtype",
        "unknown-output",
        "output-twice",
        "wrong-dtype",
    ],
)
def test_predict_errors(prediction, text, code, message):
    with pytest.raises(grpc.RpcError) as caught:
        prediction.Predict(predict(text))
    assert caught.value.code() == code
    assert caught.value.details().startswith(message)


def test_a_default_stands_in_for_a_missing_input():
    from graft.serving.embedded.contract.inference import _read_inputs

    signature = parse(
        meta_graph_pb2.SignatureDef,
        'inputs { key: "a" value { name: "a:0" } } '
        'inputs { key: "b" value { name: "b:0" } } '
        f'defaults {{ key: "b" value {{ {FLOATS} }} }}',
    )
    sent = predict(A).inputs
    feeds = _read_inputs(signature, sent)
    assert {name: array.tolist() for name, array in feeds.items()} == {
        "a:0": [1, 2],
        "b:0": [1, 2],
    }
    with pytest.raises(StatusError, match="input size does not match signature: 3!=2"):
        _read_inputs(signature, dict.fromkeys("abq", sent["a"]))


def test_a_wrong_shape_fails_in_the_graph(prediction):
    text = f'model_spec {{ name: "colours" signature_name: "rows" }} {X}'
    with pytest.raises(grpc.RpcError) as caught:
        prediction.Predict(predict(text))
    assert caught.value.code() == INVALID
    assert "{{node" in caught.value.details()


def test_an_error_that_quotes_bytes_of_the_request(prediction):
    request = predict('model_spec { name: "colours" }')
    examples = request.inputs["examples"]
    examples.dtype = types_pb2.DT_STRING
    examples.tensor_shape.dim.add(size=1)
    examples.string_val.append(b"\xed\xa0\x80 is no example")
    with pytest.raises(grpc.RpcError) as caught:
        prediction.Predict(request)
    assert caught.value.code() is INVALID
    assert "Could not parse example input" in caught.value.details()


@pytest.mark.parametrize("method", [wire.PREDICT_METHOD, wire.STATUS_METHOD])
def test_bytes_that_are_no_message(channel, method):
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(method)(b"\xff\xff", timeout=30)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert caught.value.details() == "the request is no such message"


def test_a_long_message_is_cut(prediction):
    name = "x" * 3000
    with pytest.raises(grpc.RpcError) as caught:
        prediction.Predict(predict(f'model_spec {{ name: "{name}" }}'))
    assert caught.value.details().endswith("...TRUNCATED")
    assert len(caught.value.details()) < 1100


def test_the_deadline_bounds_the_run(prediction):
    text = (
        'model_spec { name: "colours" signature_name: "slow" } inputs { key: "x" value '
        "{ dtype: DT_FLOAT tensor_shape { dim { size: 1 } } float_val: 1e7 } }"
    )
    started = time.monotonic()
    with pytest.raises(grpc.RpcError) as caught:
        prediction.Predict(predict(text), timeout=1)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - started < 10
    # The run was cancelled, so the server is not busy with it any more.
    assert prediction.Predict(predict(f"{LINE} {X}"), timeout=20)


# --- tf.Example calls -----------------------------------------------------------------


def image_example(image):
    example = example_pb2.Example()
    example.features.feature["image/encoded"].bytes_list.value.append(image)
    return example


def number_example(value):
    example = example_pb2.Example()
    example.features.feature["x"].float_list.value.append(value)
    return example


def test_classify(prediction, colours):
    request = parse(
        classification_pb2.ClassificationRequest,
        'model_spec { name: "colours" signature_name: "classify" }',
    )
    request.input.example_list.examples.append(image_example(colours["blue"]))
    response = prediction.Classify(request)
    (row,) = response.result.classifications
    assert [entry.label for entry in row.classes] == ["red", "green", "blue"]
    assert max(row.classes, key=lambda entry: entry.score).label == "blue"
    assert response.model_spec.signature_name == "classify"
    assert response.model_spec.version.value == 1


def test_context_goes_before_each_example(prediction):
    request = parse(
        regression_pb2.RegressionRequest,
        'model_spec { name: "colours" signature_name: "regress" }',
    )
    listed = request.input.example_list_with_context
    listed.context.CopyFrom(number_example(5))
    listed.examples.extend([example_pb2.Example(), number_example(1)])
    response = prediction.Regress(request)
    assert [each.value for each in response.result.regressions] == [20, 4]


@pytest.mark.parametrize(
    ("signature", "code", "message"),
    [
        ("x", INVALID, "No signature was found with the name: x"),
        ("two", INVALID, "Expected one input Tensor."),
        ("line", INVALID, "No classification inputs found in SignatureDef"),
        ("classify", INVALID, "Input is empty."),
    ],
)
def test_classify_errors(prediction, signature, code, message):
    request = parse(
        classification_pb2.ClassificationRequest,
        f'model_spec {{ name: "colours" signature_name: "{signature}" }}',
    )
    with pytest.raises(grpc.RpcError) as caught:
        prediction.Classify(request)
    assert caught.value.code() == code
    assert caught.value.details().startswith(message)


def multi(*tasks):
    request = inference_pb2.MultiInferenceRequest()
    for model, signature, method in tasks:
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name = model
        task.model_spec.signature_name = signature
    return request


def test_multi_inference(prediction):
    request = multi(("colours", "regress", "regress"))
    request.input.example_list.examples.append(number_example(2))
    (result,) = prediction.MultiInference(request).results
    assert result.regression_result.regressions[0].value == 8
    assert result.model_spec.signature_name == "regress"


def test_multi_inference_feeds_each_signature(prediction, colours):
    """A TF2 model has an input for each signature; all get the same examples."""
    request = multi(
        ("colours", "regress", "regress"), ("colours", "classify", "classify")
    )
    example = number_example(2)
    image = example.features.feature["image/encoded"]
    image.bytes_list.value.append(colours["red"])
    request.input.example_list.examples.append(example)
    first, second = prediction.MultiInference(request).results
    assert first.regression_result.regressions[0].value == 8
    (row,) = second.classification_result.classifications
    assert row.classes[0].label == "red"


@pytest.mark.parametrize(
    ("tasks", "code", "message"),
    [
        (
            [("colours", "regress", "regress"), ("other", "regress", "regress")],
            INVALID,
            "All ModelSpecs in a MultiInferenceRequest must access the same model "
            "name.",
        ),
        (
            [("colours", "regress", "regress")] * 2,
            INVALID,
            "Duplicate evaluation of signature: regress",
        ),
        (
            [("colours", "regress", "predict")],
            grpc.StatusCode.UNIMPLEMENTED,
            "Unsupported signature method_name: tensorflow/serving/predict",
        ),
        ([], INVALID, "ModelSpec has no name specified."),
        ([("", "regress", "regress")], INVALID, "ModelSpec has no name specified."),
        (
            [("m", "regress", "regress"), ("colours", "regress", "regress")],
            MISSING,
            "Servable not found for request: Latest(m)",
        ),
        (
            [("colours", "regress", "regress"), ("", "classify", "classify")],
            INVALID,
            "Found ModelSpec with an empty model name.",
        ),
        (
            [("colours", "x", "regress"), ("other", "regress", "regress")],
            INVALID,
            "Requested signature not found in model graph: x",
        ),
        ([("colours", "regress", "regress")], INVALID, "Input is empty."),
    ],
    ids=[
        *("two-models", "twice", "method", "no-task", "no-name", "unknown-model"),
        *("second-without-name", "unknown-signature-first", "no-example"),
    ],
)
def test_multi_inference_errors(prediction, tasks, code, message):
    with pytest.raises(grpc.RpcError) as caught:
        prediction.MultiInference(multi(*tasks))
    assert caught.value.code() == code
    assert caught.value.details() == message


# --- Metadata, status, reload, health ------------------------------------------------


def test_a_photograph_sent_as_an_example_is_told_its_signature(prediction, colours):
    request = predict(
        'model_spec { name: "colours" } inputs { key: "examples" value { dtype: '
        "DT_STRING tensor_shape { dim { size: 1 } } } }"
    )
    # No bytes of the photograph are in the message, and no names of functions.
    request.inputs["examples"].string_val.append(colours["red"] * 10_000)
    with pytest.raises(grpc.RpcError) as caught:
        prediction.Predict(request)
    assert caught.value.code() == INVALID
    assert caught.value.details() == (
        "Could not parse example input: signature 'serving_default' takes serialized "
        "tf.Examples. Send the bytes of images to 'predict_images'."
    )
