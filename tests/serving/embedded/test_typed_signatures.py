"""JSON of every data type, shape and error, bytes in and bytes out.

The cases are those that TensorFlow Serving's own unit tests have for its JSON and its
REST handler. The model returns what it gets, with one signature for each data type.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("tensorflow_serving")
from tensorflow.core.example import example_pb2

ROOT = Path(__file__).resolve().parents[3]
MODEL = "/v1/models/typed"

BUILD = '''
import sys
import tensorflow as tf

module = tf.Module()
signatures = {}

def add(name, body, **inputs):
    specs = [tf.TensorSpec(None, kind, key) for key, kind in inputs.items()]
    signatures[name] = tf.function(body, input_signature=specs)

for kind in ("int8", "int16", "int32", "int64", "uint8", "uint32", "uint64",
             "float32", "float64", "string", "bool", "half", "complex64"):
    add(kind, lambda x: {"y": tf.identity(x)}, x=getattr(tf, kind))
add("bytes", lambda x: {"y_bytes": tf.identity(x)}, x=tf.string)
add("both", lambda n, s: {"n": tf.identity(n), "s": tf.identity(s)},
    n=tf.int32, s=tf.string)
add("total", lambda x: {"y": tf.reduce_sum(x)}, x=tf.int32)
add("none", lambda x: {"y": tf.reshape(x, [-1, 2])[:0]}, x=tf.int32)
add("nones", lambda x: {"a": tf.zeros([0, 3, 4]), "b": tf.fill([0, 1], "")},
    x=tf.int32)
add("uneven", lambda x: {"a": tf.zeros([0, 2], tf.int32), "b": tf.fill([1, 2], "")},
    x=tf.int32)
add("half_of", lambda x: {"y": tf.cast(x, tf.half)}, x=tf.float32)
add("complex_of", lambda x: {"y": tf.complex(x, x)}, x=tf.float32)
add("many", lambda x: {
    "double_scalar": tf.constant([8.0, 9.0], tf.float64),
    "floats": tf.constant([[1.0], [2.0]]),
    "ints": tf.constant([[[1, 2], [3, 4]], [[7, 8], [9, 0]]]),
    "text": tf.constant([["foo", "bar"], ["baz", "bat"]]),
    "text_bytes": tf.constant([["hello", "world"], ["tf", "serving"]]),
}, x=tf.int32)

def sent(inputs):
    """Return each example as the label of its only class."""
    return {"classes": tf.expand_dims(tf.io.encode_base64(inputs), 1)}

def table(inputs):
    scores = [[0.2, 0.7, 0.1], [0.7, 0.1, 0.2]]
    return {"classes": tf.constant([["car", "bike", "bus"]] * 2),
            "scores": tf.constant(scores)}

def numbers(inputs):
    inf = float("inf")
    return {"outputs": tf.constant([0.2, inf, 1.0, -inf, float("nan")])}

add("sent", sent, inputs=tf.string)
add("table", table, inputs=tf.string)
add("numbers", numbers, inputs=tf.string)
for name, function in signatures.items():
    setattr(module, "f_" + name, function)
tf.saved_model.save(module, sys.argv[1], signatures=signatures)
'''


@pytest.fixture(scope="module")
def typed(tmp_path_factory, run_server):
    """A server over the model `typed`."""
    base_path = tmp_path_factory.mktemp("typed") / "typed"
    base_path.mkdir()
    subprocess.run(
        [sys.executable, "-c", BUILD, str(base_path / "1")],
        check=True,
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
    )
    log = base_path.parent / "log"
    flags = ("--model_name=typed", f"--model_base_path={base_path}")
    with run_server(log, *flags) as running:
        yield running


def call(server, method, path, body=None):
    """Return the status and the bytes of the reply."""
    request = urllib.request.Request(server.url + path, body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def predict(server, signature, rest):
    body = f'{{"signature_name": "{signature}", {rest}}}'
    return call(server, "POST", f"{MODEL}:predict", body.encode())


HELLO, WORLD = '{"b64": "aGVsbG8="}', '{ "b64": "d29ybGQ=" }'


@pytest.mark.parametrize(
    ("signature", "request_part", "reply"),
    [
        ("int32", '"instances": [[1,2],[3,4],[5,6]]', "[[1, 2], [3, 4], [5, 6]]"),
        ("int32", '"instances": [1, 2, 3]', "[1, 2, 3]"),
        ("int32", '"instances": [[[1]], [[2]]]', "[[[1]], [[2]]]"),
        (
            "int32",
            '"instances": [-2147483648, 2147483647]',
            "[-2147483648, 2147483647]",
        ),
        ("int64", '"instances": [-9223372036854775808]', "[-9223372036854775808]"),
        ("uint64", '"instances": [18446744073709551615]', "[18446744073709551615]"),
        ("uint32", '"instances": [4294967295]', "[4294967295]"),
        ("int8", '"instances": [-128, 127]', "[-128, 127]"),
        ("int16", '"instances": [-32768]', "[-32768]"),
        ("uint8", '"instances": [255]', "[255]"),
        ("bool", '"instances": [true, false]', "[true, false]"),
        (
            "float32",
            '"instances": [1, 2.0, 3, 5.003, 0.007, 0.0]',
            "[1.0, 2.0, 3.0, 5.003, 0.007, 0.0]",
        ),
        (
            "float64",
            '"instances": [1.0, 2, 0.662, 0, 0.0]',
            "[1.0, 2.0, 0.662, 0.0, 0.0]",
        ),
        ("float32", '"instances": [1435774380]', "[1.43577434e+09]"),
        ("float32", '"instances": [1435774380.0]', "[1.43577434e+09]"),
        ("float32", '"instances": [1.7976931348623157e308]', "[Infinity]"),
        ("float32", '"instances": [-1.7976931348623157e308]', "[-Infinity]"),
        ("float32", '"instances": [2.2250738585072014e-308]', "[0.0]"),
        ("float32", '"instances": [-2.2250738585072014e-308]', "[-0.0]"),
        (
            "float32",
            '"instances": [9000000, 999999, 0.50000, 0.0003, 0.00003, 555557.5]',
            "[9e+06, 999999.0, 0.5, 0.0003, 3e-05, 555557.5]",
        ),
        ("float32", '"instances": [NaN, Infinity, 3]', "[NaN, Infinity, 3.0]"),
        ("float64", '"instances": [0.1, 1e22]', "[0.1, 1e+22]"),
        ("string", f'"instances": [{HELLO}, {WORLD}]', '["hello", "world"]'),
        ("string", f'"instances": [[{HELLO}], [{WORLD}]]', '[["hello"], ["world"]]'),
        (
            "string",
            f'"instances": [{{"x": [[{HELLO}], [{WORLD}]]}}]',
            '[[["hello"], ["world"]]]',
        ),
        ("string", '"instances": ["", "\\"\\\\\\n"]', '["", "\\"\\\\\\n"]'),
        (
            "bytes",
            '"instances": [["hello", "world"], ["tf", "serving"]]',
            '[[{"b64": "aGVsbG8="}, {"b64": "d29ybGQ="}], '
            '[{"b64": "dGY="}, {"b64": "c2VydmluZw=="}]]',
        ),
        (
            "both",
            '"instances": [{"n": [1], "s": ["a"]}, {"s": ["b"], "n": [2]}]',
            '[{"n": [1], "s": ["a"]}, {"n": [2], "s": ["b"]}]',
        ),
        ("none", '"instances": [1, 2]', "[]"),
        ("nones", '"instances": [1]', "[]"),
        (
            "many",
            '"instances": [1]',
            '[{"double_scalar": 8.0, "floats": [1.0], "ints": [[1, 2], [3, 4]], '
            '"text": ["foo", "bar"], '
            '"text_bytes": [{"b64": "aGVsbG8="}, {"b64": "d29ybGQ="}]}, '
            '{"double_scalar": 9.0, "floats": [2.0], "ints": [[7, 8], [9, 0]], '
            '"text": ["baz", "bat"], '
            '"text_bytes": [{"b64": "dGY="}, {"b64": "c2VydmluZw=="}]}]',
        ),
        (
            "int32",
            '"instances": [1], "nested": ' + "[" * 400_000 + "]" * 400_000,
            "[1]",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_rows(typed, signature, request_part, reply):
    found = predict(typed, signature, request_part)
    assert found == (200, f'{{"predictions": {reply}}}'.encode())


@pytest.mark.parametrize(
    ("signature", "request_part", "reply"),
    [
        ("int32", '"inputs": [[1,2],[3,4]]', "[[1, 2], [3, 4]]"),
        ("int32", '"inputs": {"x": [1, 2]}', "[1, 2]"),
        ("int32", '"inputs": 5', "5"),
        ("total", '"inputs": [1, 2, 3]', "6"),
        ("string", f'"inputs": {HELLO}', '"hello"'),
        ("string", f'"inputs": {{"x": {HELLO}}}', '"hello"'),
        (
            "both",
            '"inputs": {"n": [[1, 2]], "s": ["a", "b"]}',
            '{"n": [[1, 2]], "s": ["a", "b"]}',
        ),
        ("both", '"inputs": {"n": 1, "s": "a", "more": 2}', '{"n": 1, "s": "a"}'),
        ("none", '"inputs": [1, 2]', "[]"),
        ("uneven", '"inputs": [1]', '{"a": [], "b": [["", ""]]}'),
    ],
)
def test_columns(typed, signature, request_part, reply):
    found = predict(typed, signature, request_part)
    assert found == (200, f'{{"outputs": {reply}}}'.encode())


@pytest.mark.parametrize(
    ("signature", "request_part", "message"),
    [
        ("int32", '"instances": 5', "Expecting 'instances' to be an list/array"),
        ("int32", '"instances": {"x": 5}', "Expecting 'instances' to be an list/array"),
        ("int32", '"instances": []', "No values in 'instances' array"),
        ("int32", '"x": [1]', "Missing 'inputs' or 'instances' key"),
        ("int32", '"instances": [[1, 2], [3]]', "Expecting tensor size: 2 but got: 1"),
        (
            "int32",
            '"instances": [[[1, 2], [3, 4]], [1, 2, 3, 4]]',
            "Expecting shape [2,2] but got: [4]",
        ),
        ("int32", '"instances": [[1, [2]]]', "Encountered list at unexpected level: 1"),
        (
            "int32",
            '"instances": [[[1, 2], 3]]',
            "found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
        (
            "int32",
            '"instances": [[[1, 2], [3]]]',
            "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
        ),
        ("int32", '"instances": ["1"]', "Type: String is not of expected type: int32"),
        ("int32", '"instances": [null]', "Type: Null is not of expected type: int32"),
        ("int32", '"instances": [true]', "Type: True is not of expected type: int32"),
        ("int32", '"instances": [1.0]', "Type: Number is not of expected type: int32"),
        ("int32", '"instances": [2147483648]', "is not of expected type: int32"),
        ("uint32", '"instances": [-1]', "is not of expected type: uint32"),
        ("uint64", '"instances": [-1]', "is not of expected type: uint64"),
        ("int64", '"instances": [9223372036854775808]', "not of expected type: int64"),
        ("bool", '"instances": [1]', "Type: Number is not of expected type: bool"),
        ("string", '"instances": [1]', "Type: Number is not of expected type: string"),
        (
            "float32",
            '"instances": [false]',
            "Type: False is not of expected type: float",
        ),
        ("half", '"instances": [1]', "Conversion of JSON Value: 1 to type: half"),
        (
            "string",
            '"instances": [{"b64": "aGVsbG8=", "x": 1}]',
            "JSON object: does not have named input: b64",
        ),
        ("string", '"instances": [[{"b64": 5}]]', "not formatted correctly for base64"),
        ("string", '"instances": [{"b64": "a"}]', "Unable to base64 decode"),
        (
            "both",
            '"instances": [[1, 2]]',
            "instances is a plain list, but expecting list of objects",
        ),
        ("both", '"inputs": [1, 2]', "inputs is a plain value/list, but expecting an"),
        ("both", '"inputs": {"n": 1}', "Missing named input: s in 'inputs' object."),
        (
            "both",
            '"instances": [{"n": 1}]',
            "keys must be equal to: n,s",
        ),
        (
            "both",
            '"instances": [{"n": 1, "s": "a", "t": 2}]',
            "JSON object: does not have named input: t",
        ),
        (
            "both",
            '"instances": [{"n": 1, "s": "a"}, [1, 2]]',
            "Expecting object but got list at item 1 of input list",
        ),
        (
            "string",
            '"instances": [["baz", "bar"], {"x": ["baz"]}]',
            "Expecting value/list but got object at item 1 of input list",
        ),
        ("total", '"instances": [1]', "Tensor name: y has no shape information"),
        ("uneven", '"instances": [1]', "Tensor name: b has inconsistent batch size"),
        (
            "half_of",
            '"instances": [1]',
            "Failed to write JSON value for tensor type: half",
        ),
        ("complex_of", '"instances": [1]', "for tensor type: complex64"),
        ("missing", '"instances": [1]', '"missing\\" not found in signature def'),
    ],
)
def test_predict_is_refused(typed, signature, request_part, message):
    status, body = predict(typed, signature, request_part)
    assert status == 400
    assert message in body.decode()


def test_a_type_without_json_is_not_implemented(typed):
    """In rows it is an error of the element, as above."""
    status, body = predict(typed, "half", '"inputs": [1]')
    assert status == 501
    assert "Conversion of JSON Value: 1 to type: half" in body.decode()


def examples_of(server, rest):
    """Return the examples that a classify request sent to the model."""
    body = f'{{"signature_name": "sent", {rest}}}'.encode()
    status, reply = call(server, "POST", f"{MODEL}:classify", body)
    assert status == 200, reply
    labels = [classes[0][0] for classes in json.loads(reply)["results"]]
    return [
        example_pb2.Example.FromString(
            base64.urlsafe_b64decode(label + "=" * (-len(label) % 4))
        )
        for label in labels
    ]


def test_examples_without_context(typed):
    first, second = examples_of(
        typed,
        '"examples": [{"names": ["foo", "bar"], "ratings": [8.0, 9.0], "age": 20}, '
        '{"names": ["baz"], "ratings": 6.0, "bool": true}]',
    )
    assert first.features.feature["names"].bytes_list.value == [b"foo", b"bar"]
    assert first.features.feature["ratings"].float_list.value == [8, 9]
    assert first.features.feature["age"].int64_list.value == [20]
    assert second.features.feature["ratings"].float_list.value == [6]
    assert second.features.feature["bool"].int64_list.value == [1]
    assert "age" not in second.features.feature


def test_examples_with_context(typed):
    (example,) = examples_of(
        typed,
        '"context": {"query": "pizza", "location": ["sfo"]}, "examples": [{"names": '
        '["baz", {"b64": "aGVsbG8="}], "mix": [1, true, false], '
        '"ratings": [8.0, Infinity, -Infinity], "none": []}]',
    )
    features = example.features.feature
    assert features["query"].bytes_list.value == [b"pizza"]
    assert features["location"].bytes_list.value == [b"sfo"]
    assert features["names"].bytes_list.value == [b"baz", b"hello"]
    assert features["mix"].int64_list.value == [1, 1, 0]
    assert features["ratings"].float_list.value == [8, float("inf"), float("-inf")]
    assert features["none"].WhichOneof("kind") is None


def test_an_example_wins_over_the_context(typed):
    (example,) = examples_of(
        typed, '"context": {"a": 1, "b": 2}, "examples": [{"a": 3}]'
    )
    assert example.features.feature["a"].int64_list.value == [3]
    assert example.features.feature["b"].int64_list.value == [2]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"signature_name": ["x"], "examples": [{}]}', "'signature_name' key must be"),
        ('{"context": [{"a": 1}], "examples": [{}]}', "Example must be JSON object"),
        ('{"context": {"a": 1}}', "key 'examples' is expected and was not found"),
        ('{"examples": {"a": 1}}', "'examples' value to be an list/array"),
        ('{"examples": []}', "'examples' value is an empty array"),
        (
            '{"examples": [[{"a": 1}]]}',
            "Example must be JSON object but got JSON Array",
        ),
        (
            '{"examples": [{"a": [10, null]}]}',
            "Feature: a has element with unexpected JSON type: Null",
        ),
        ('{"examples": [{"a": [10, 10.0]}]}', "feature: a expecting type: int64"),
        ('{"examples": [{"a": ["x", 1]}]}', "feature: a expecting type: bytes"),
        ('{"examples": [{"a": [1.5, "x"]}]}', "feature: a expecting type: float"),
        (
            '{"examples": [{"a": [{"b": 1}]}]}',
            "a has element with unexpected JSON type",
        ),
        ('{"examples": [{"a": [[10], 20]}]}', "unexpected JSON type: Array"),
        ('{"examples": [{"a": 18446744073709551603}]}', "Only int64_t is supported."),
        ('{"examples": [{"a": {"b64": "*"}}]}', "Unable to base64 decode"),
        ("[]", "Is not object"),
        ("", "The document is empty"),
    ],
)
@pytest.mark.parametrize("verb", ["classify", "regress"])
def test_examples_are_refused(typed, verb, body, message):
    status, reply = call(typed, "POST", f"{MODEL}:{verb}", body.encode())
    assert status == 400
    assert message in json.loads(reply)["error"]


def test_classes_and_values(typed):
    body = b'{"signature_name": "table", "examples": [{}, {}]}'
    status, reply = call(typed, "POST", f"{MODEL}:classify", body)
    assert (status, reply) == (
        200,
        b'{"results": [[["car", 0.2], ["bike", 0.7], ["bus", 0.1]], '
        b'[["car", 0.7], ["bike", 0.1], ["bus", 0.2]]]}',
    )
    body = b'{"signature_name": "numbers", "examples": [{}, {}, {}, {}, {}]}'
    status, reply = call(typed, "POST", f"{MODEL}:regress", body)
    assert (status, reply) == (
        200,
        b'{"results": [0.2, Infinity, 1.0, -Infinity, NaN]}',
    )


BODY = b'{"signature_name": "int32", "instances": [1]}'
LATEST = "18446744073709551616"


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/v1/foo", 400, "Malformed request: GET /v1/foo"),
        ("POST", "/v1/foo", 400, "Malformed request: POST /v1/foo"),
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("GET", "/v1/models/debug/typed", 400, "Malformed request"),
        ("POST", "/v1/models", 400, "Malformed request"),
        ("GET", f"{MODEL}:predict", 400, "Malformed request"),
        ("POST", f"{MODEL}/version/1:predict", 400, "Malformed request"),
        ("POST", f"{MODEL}/versions/HELLO:regress", 400, "Malformed request"),
        (
            "POST",
            f"{MODEL}/versions/{LATEST}:predict",
            400,
            "Failed to convert version",
        ),
        ("POST", f"{MODEL}/metadata", 400, "Malformed request"),
        ("POST", f"{MODEL}/label/some:regress", 400, "Malformed request"),
        ("POST", f"{MODEL}/labels/some/versions/1:regress", 400, "Malformed request"),
        ("POST", f"{MODEL}/versions/1/labels/some:regress", 400, "Malformed request"),
        ("POST", "/v1/models/foo:predict", 404, "Servable not found for request"),
        ("POST", "/v1/models/foo/versions/50:predict", 404, "Servable not found"),
        ("POST", f"{MODEL}/versions/50:predict", 404, "Servable not found for request"),
        ("POST", f"{MODEL}/labels/some:predict", 400, "Unrecognized servable version"),
        ("POST", f"{MODEL}:predict?x=1", 400, "Malformed request"),
        ("POST", f"{MODEL}:Predict", 400, "Malformed request"),
        ("PUT", f"{MODEL}:predict", 400, "Malformed request: PUT"),
        ("DELETE", MODEL, 400, "Malformed request: DELETE"),
        ("GET", f"{MODEL}/versions/7", 404, "Could not find version 7 of model typed"),
        ("GET", "/v1/models/foo", 404, "Could not find any versions of model foo"),
        ("GET", "/v1/models/foo/metadata", 404, "Servable not found for request"),
        ("POST", "/V1/MODELS/typed:predict", 200, "predictions"),
        ("POST", f"{MODEL}/versions/1:predict", 200, "predictions"),
        ("POST", f"{MODEL}/versions/0001:predict", 200, "predictions"),
        ("GET", f"{MODEL}/versions/1", 200, "AVAILABLE"),
        ("GET", f"{MODEL}/versions/1/metadata", 200, "signature_def"),
    ],
)
def test_paths(typed, method, path, status, message):
    found, body = call(typed, method, path, BODY if method == "POST" else None)
    assert found == status, body
    assert message in body.decode()


def test_status_and_metadata(typed):
    _, body = call(typed, "GET", MODEL)
    assert json.loads(body) == {
        "model_version_status": [
            {
                "version": "1",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }
    _, body = call(typed, "GET", f"{MODEL}/metadata")
    found = json.loads(body)
    assert found["model_spec"]["version"] == "1"
    signature = found["metadata"]["signature_def"]["signature_def"]["int32"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["x"] == {
        "dtype": "DT_INT32",
        "tensor_shape": {"dim": [], "unknown_rank": True},
        "name": signature["inputs"]["x"]["name"],
    }
