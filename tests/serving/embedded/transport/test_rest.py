"""REST against a running server: paths, forms, codes, wording."""

from __future__ import annotations

import base64
import gzip
import json
import math
import re
import urllib.error
import urllib.request
import zlib

import pytest

LINE = "/v1/models/colours:predict"


def call(server, path, body=None, headers=None):
    """Return (status, content type, body) of a GET, or of a POST if there is a body."""
    request = urllib.request.Request(server.url + path, body, headers or {})
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, reply.headers.get_content_type(), reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get_content_type(), error.read()


def post(server, body, path=LINE):
    if not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    if isinstance(body, str):
        body = body.encode()
    status, kind, reply = call(server, path, body)
    assert kind == "application/json"
    # Bytes that are no UTF-8 come back as they are.
    return status, json.loads(reply.decode("utf-8", "replace"))


def b64(data):
    return {"b64": base64.b64encode(data).decode()}


@pytest.mark.parametrize(
    ("body", "reply"),
    [
        (
            {"signature_name": "line", "instances": [1, 2.5]},
            {"predictions": [4.0, 10.0]},
        ),
        ({"signature_name": "line", "inputs": [1, 2.5]}, {"outputs": [4.0, 10.0]}),
        (
            {"signature_name": "line", "instances": [{"x": 1}, {"x": 2}]},
            {"predictions": [4.0, 8.0]},
        ),
        ({"signature_name": "line", "inputs": {"x": [3]}}, {"outputs": [12.0]}),
        (
            {"signature_name": "two", "instances": [{"a": 2, "b": 3}]},
            {"predictions": [{"product": 6.0, "sum": 5.0}]},
        ),
        (
            {"signature_name": "two", "inputs": {"a": [2], "b": [3]}},
            {"outputs": {"product": [6.0], "sum": [5.0]}},
        ),
        (
            {"signature_name": "rows", "instances": [[1, 2], [3, 4]]},
            {"predictions": [3.0, 7.0]},
        ),
        ({"signature_name": "counts", "instances": [2**40]}, {"predictions": [2**41]}),
        (
            {"signature_name": "echo", "instances": ["é", b64(b"\x00")]},
            {
                "predictions": [
                    {"echo_bytes": b64("é".encode()), "text": "é"},
                    {"echo_bytes": b64(b"\x00"), "text": "\x00"},
                ]
            },
        ),
    ],
    ids=[
        "row",
        "column",
        "row-objects",
        "column-object",
        "two-row",
        "two-column",
        "nested",
        "int64",
        "strings",
    ],
)
def test_predict(server, body, reply):
    assert post(server, body) == (200, reply)


@pytest.mark.parametrize(
    ("body", "reply"),
    [
        (b'{"signature_name": "line", "inputs": [1]} text', b"[4.0]"),
        (b'\xef\xbb\xbf{"signature_name": "line", "inputs": [1]}', b"[4.0]"),
        (b'{"inputs": [1], "inputs": [2], "signature_name": "line"}', b"[4.0]"),
        # No limit of what a float can hold exactly; beyond it is an infinity.
        (b'{"signature_name": "line", "inputs": [16777217, 1e39]}', b"Infinity]"),
        (
            b'{"signature_name": "line", "inputs": [Inf, -Inf]}',
            b"[Infinity, -Infinity]",
        ),
        (
            b'{"signature_name": "line", "inputs": [-Infinity, NaN]}',
            b"[-Infinity, NaN]",
        ),
        (b'{"signature_name": "echo", "inputs": ["Inf NaN"]}', b'"text": ["Inf NaN"]'),
        # Bytes that are no UTF-8 come back as they are.
        (b'{"signature_name": "echo", "inputs": ["\xff"]}', b'"text": ["\xff"]'),
        (b'{"signature_name": "echo", "inputs": ["\\ud83d\\ude00"]}', "😀".encode()),
        # White space in base64, and no padding.
        (b'{"signature_name": "echo", "inputs": [{"b64": "QU\\n JD"}]}', b'["ABC"]'),
        (b'{"signature_name": "echo", "inputs": [{"b64": "QUI"}]}', b'["AB"]'),
        (b'{"signature_name": "echo", "inputs": [{"b64": "QQ"}]}', b'["A"]'),
    ],
    ids=lambda value: value[-30:].decode("utf-8", "replace"),
)
def test_json_is_read_as_the_binary_reads_it(server, body, reply):
    status, _, found = call(server, LINE, body)
    assert status == 200, found
    assert reply in found


def test_images_by_base64(server, colours):
    body = {
        "signature_name": "predict_images",
        "instances": [b64(colours["green"]), b64(colours["red"])],
    }
    status, reply = post(server, body)
    assert status == 200
    assert [row["label"] for row in reply["predictions"]] == ["green", "red"]


def test_large_base64_is_decoded_in_pieces():
    from graft.serving.embedded.contract import json_values
    from graft.serving.embedded.contract.status import StatusError

    data = bytes(range(256)) * 10_000
    for size in (0, 1, 2, 3 * 2**18, 3 * 2**18 + 1, len(data)):
        assert json_values.decode_base64(b64(data[:size])) == data[:size]
    text = b64(data)["b64"]
    for wrong in ("AA==" + text, text[: 2**20 - 4] + "AA==" + text, "-_==", "é"):
        with pytest.raises(StatusError, match="Unable to base64 decode"):
            json_values.decode_base64({"b64": wrong})


def test_numbers_are_written_as_the_binary_does(server):
    body = b'{"signature_name": "line", "instances": [0.75, 0.1, NaN, Infinity, 2e9]}'
    status, _, reply = call(server, LINE, body)
    assert status == 200
    assert reply == b'{"predictions": [3.0, 0.4, NaN, Infinity, 8e+09]}'
    assert math.isnan(json.loads(reply)["predictions"][2])


def test_other_ways_to_send(server):
    body = b'{"signature_name": "line", "instances": [1]}'
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert call(server, LINE, body, form)[0] == 200
    packed = {"Content-Encoding": "gzip"}
    assert call(server, LINE, gzip.compress(body), packed)[0] == 200
    assert call(server, LINE, gzip.compress(body)[:-1], packed)[0] == 400
    # The binary reads no other encoding.
    deflated = {"Content-Encoding": "deflate"}
    assert call(server, LINE, zlib.compress(body), deflated)[0] == 400
    assert call(server, LINE, zlib.compress(body)[2:-4], deflated)[0] == 400
    # What it can't decompress is an empty document.
    for wrong in (b"", body, gzip.compress(body)[:-1], gzip.compress(body) * 2):
        status, _, reply = call(server, LINE, wrong, packed)
        assert status == 400
        assert "The document is empty" in json.loads(reply)["error"]
    assert call(server, "/V1/Models/colours/Versions/1:predict", body)[0] == 200
    assert call(server, "/v1/models/%63olours:predict", body)[0] == 200


def test_classify_and_regress(server, colours):
    body = {
        "signature_name": "classify",
        "examples": [{"image/encoded": b64(colours["red"])}],
    }
    status, reply = post(server, body, "/v1/models/colours:classify")
    assert status == 200
    ((first, *rest),) = reply["results"]
    assert first[0] == "red"
    assert first[1] > 0.9
    assert [name for name, _ in rest] == ["green", "blue"]

    body = {
        "signature_name": "regress",
        "context": {"x": 5.0},
        "examples": [{"x": [1.0]}, {}],
    }
    reply = post(server, body, "/v1/models/colours:regress")
    assert reply == (200, {"results": [4.0, 20.0]})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "JSON Parse error: The document is empty"),
        (" ", "JSON Parse error: The document is empty"),
        ("nonsense", "JSON Parse error: Invalid value. at offset: 1"),
        # A difference from the binary, which does not look for what is used.
        ('{"a": 1e400}', "Missing 'inputs' or 'instances' key"),
        (
            '{"inputs": 1e400, "signature_name": "line"}',
            "JSON Parse error: Number too big to be stored in double. at offset: 11",
        ),
        (
            '{"signature_name": "line", "instances": [1, -1.8e308]}',
            "JSON Parse error: Number too big to be stored in double. at offset: 44",
        ),
        (
            '{"signature_name": "line", "instances": [' + "9" * 5000 + "]}",
            "JSON Parse error: Number too big to be stored in double. at offset: 41",
        ),
        ('{"a": 1.}', "JSON Parse error: Miss fraction part in number. at offset: 8"),
        ('{"a": 1e}', "JSON Parse error: Miss exponent in number. at offset: 8"),
        (
            b'\xef\xbb\xbf{"a": "\xc3\xa4", 1}',
            "JSON Parse error: Missing a name for object member. at offset: 15",
        ),
        (
            '{"signature_name":' + "[" * 500_000 + "]" * 500_000 + "}",
            "'signature_name' key must be a string value.",
        ),
        ('{"a": ' + "[" * 2**19 + "]" * 2**19 + "}", "The document is nested too deep"),
        (
            '{"signature_name": "line", "instances": [{"x": 1, "x": 2}, {"x": 3}]}',
            "Failed to process element: 0 key: x of 'instances' list. Error: "
            "INVALID_ARGUMENT: The input comes more than once",
        ),
        (
            '{"b": 1, "a": 2, "b": 3, "instances": 5}',
            '{\n    "b": 1,\n    "a": 2,\n    "instances": 5\n} Expecting',
        ),
        (
            '{"a": [1' + " " * 2**20 + "}",
            "Parse error: Expecting ',' delimiter: line 1",
        ),
        (
            '{"signature_name": "echo", "instances": [{"b64": "AA==", "b64": "AA=="}]}',
            "JSON object: does not have named input: b64",
        ),
        ('{"a": "\\ud800"}', "The surrogate pair in string is invalid. at offset: 7"),
        (b'{"a": "\x01"}', "JSON Parse error: Invalid escape character"),
        ("[" * 100_000, "JSON Parse error: Invalid value. at offset: 100000"),
        (
            '{"signature_name": "line", "inputs": ' + "[" * 65 + "1" + "]" * 65 + "}",
            "nested deeper than 32 levels",
        ),
        # TensorFlow would end the process.
        (
            '{"signature_name": "echo", "instances": ' + "[" * 33 + "]" * 33 + "}",
            "may have up to 32 dimensions. Received: 33",
        ),
        (
            '{"signature_name": "echo", "inputs": ' + "[" * 33 + "]" * 33 + "}",
            "nested deeper than 32 levels",
        ),
        ("[1]", "Is not object"),
        (
            {"signature_name": 5, "instances": [1]},
            "'signature_name' key must be a string value.",
        ),
        (
            {"signature_name": "x", "instances": [1]},
            'Serving signature name: "x" not found in signature def',
        ),
        (
            b'{"signature_name": "\xff", "instances": [1]}',
            'Serving signature name: "\ufffd" not found in signature def',
        ),
        (
            b'{"signature_name": "\\udc00", "instances": [1]}',
            "not found in signature def",
        ),
        (
            b'{"signature_name": "line", "instances": [{"\xff": 1}]}',
            "does not have named input",
        ),
        (
            b'{"signature_name": "__saved_model_init_op", "instances": [1]}',
            "Failed to get input map for signature: __saved_model_init_op",
        ),
        (
            b'{"signature_name": "__saved_model_init_op", "inputs": {}}',
            "Failed to get input map for signature: __saved_model_init_op",
        ),
        (
            {"signature_name": "line", "instances": [{"x\0y": 1}]},
            "JSON object: does not have named input: x\0y",
        ),
        ({"signature_name": "line"}, "Missing 'inputs' or 'instances' key"),
        (
            {"signature_name": "line", "inputs": [1], "instances": [1]},
            "expecting only one of 'inputs' or 'instances' keys",
        ),
        (
            {"signature_name": "line", "instances": {"x": 1}},
            "Expecting 'instances' to be an list/array",
        ),
        (
            {"signature_name": "line", "instances": []},
            "No values in 'instances' array",
        ),
        (
            {"signature_name": "line", "instances": ["one"]},
            "Failed to process element: 0 of 'instances' list. Error: "
            'INVALID_ARGUMENT: JSON Value: "one" Type: String is not of expected type: '
            "float",
        ),
        (
            {"signature_name": "line", "instances": [b64(b"x")]},
            "Type: Object is not of expected type: float",
        ),
        (
            {"signature_name": "counts", "instances": [1.5]},
            "Type: Number is not of expected type: int64",
        ),
        (
            {"signature_name": "rows", "instances": [[1, 2], [1, 2, 3]]},
            "Expecting tensor size: 2 but got: 3",
        ),
        (
            {"signature_name": "rows", "instances": [[1, 2], [[1, 2]]]},
            "Expecting shape [2] but got: [1,2]",
        ),
        (
            {"signature_name": "two", "inputs": {"a": [1]}},
            "Missing named input: b in 'inputs' object.",
        ),
        (
            {"signature_name": "two", "instances": [{"a": 1}]},
            "keys must be equal to: a,b",
        ),
        ({"signature_name": "two", "instances": [1]}, "instances is a plain list"),
        (
            {"signature_name": "counts", "instances": [2**63]},
            "Type: Number is not of expected type: int64",
        ),
        (
            {"signature_name": "echo", "instances": [{"b64": "a-_="}]},
            "Unable to base64 decode",
        ),
        (
            {"signature_name": "whole", "instances": [1, 2]},
            "has no shape information",
        ),
    ],
    ids=lambda value: None if isinstance(value, dict) else str(value)[:30],
)
def test_predict_errors(server, body, message):
    status, reply = post(server, body)
    assert status == 400
    assert message in reply["error"]


@pytest.mark.parametrize(
    ("example", "result"),
    [
        (b'{"x": 1.5, "x": 2.5}', 10.0),
        (b'{"x": 99999999999999999999}', 4e20),
        (b'{"x": -9223372036854775809}', -3.68935e19),
    ],
)
def test_features_as_the_binary_reads_them(server, example, result):
    """The last of two counts, and an integer beyond 64 bits is a float."""
    body = b'{"signature_name": "regress", "examples": [%s]}' % example
    status, reply = post(server, body, "/v1/models/colours:regress")
    assert status == 200, reply
    assert reply["results"] == [pytest.approx(result, rel=1e-5)]


@pytest.mark.parametrize(
    ("verb", "body", "message"),
    [
        ("classify", {}, "'examples' is expected and was not found"),
        ("classify", {"examples": {}}, "to be an list/array"),
        ("regress", {"examples": []}, "is an empty array"),
        (
            "regress",
            {"examples": [1]},
            "but got JSON Number",
        ),
        (
            "regress",
            {"examples": [{"x": [1, "a"]}]},
            "Unexpected element type in",
        ),
        ("regress", {"examples": [{"x": None}]}, "unexpected JSON type: Null"),
        ("classify", b'{"examples": [{"\xff": 1}]}', "a feature is no UTF-8"),
        ("regress", b'{"examples": [{"\\udc00": 1}]}', "a feature is no UTF-8"),
        (
            "regress",
            {"signature_name": "regress", "examples": [{"x\0y": 1.5}]},
            "is required but could not be found",
        ),
    ],
)
def test_example_errors(server, verb, body, message):
    status, reply = post(server, body, f"/v1/models/colours:{verb}")
    assert status == 400
    assert message in reply["error"]


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/v1/models/m:predict", b'{"instances": [1]}', 404, "Latest(m)"),
        (
            "/v1/models/colours/versions/9:predict",
            b'{"instances": [1]}',
            404,
            "Specific(colours, 9)",
        ),
        (
            "/v1/models/colours/labels/x:predict",
            b'{"instances": [1]}',
            400,
            "Unrecognized servable version label: x",
        ),
        ("/v1/models/colours:Predict", b"{}", 400, "Malformed request: POST /v1/"),
        ("/v1/models/colours:predict", None, 400, "Malformed request: GET /v1/"),
        ("/v1/nothing", None, 400, "Malformed request: GET /v1/nothing"),
        ("/v1/models", None, 400, "Missing model name in request."),
        ("/v1/models/m", None, 404, "Could not find any versions of model m"),
        ("/v1/models/colours/versions/9", None, 404, "Could not find version 9"),
        ("/v1/models/m/metadata", None, 404, "Latest(m)"),
        ("/v1/models/colours/versions/99999999999999999999", None, 400, "convert"),
        ("/v1/models/colours/versions/" + "9" * 5000, None, 400, "convert"),
        (LINE + "?x=1", b'{"instances": [1]}', 400, f"request: POST {LINE}?x=1"),
        ("/v1/models/..%2f..%2fetc%2fpasswd", None, 404, "Could not find any versions"),
        ("/v1/models/../../etc/passwd", None, 400, "Malformed request"),
    ],
)
def test_paths(server, path, body, status, message):
    found, kind, reply = call(server, path, body)
    assert found == status
    assert kind == "application/json"
    assert message in json.loads(reply)["error"]


def test_outside_v1_is_a_plain_404(server):
    status, kind, _ = call(server, "/")
    assert (status, kind) == (404, "text/html")


def test_status_and_metadata(server):
    _, _, reply = call(server, "/v1/models/colours")
    assert json.loads(reply) == {
        "model_version_status": [
            {
                "version": "1",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }
    for path in ("/V1/Models/colours", "/v1/models/colours/Metadata"):
        assert call(server, path)[2] == reply
    status, _, reply = call(server, "/v1/models/colours/versions/1/metadata")
    document = json.loads(reply)
    assert status == 200
    assert document["model_spec"]["version"] == "1"
    signature = document["metadata"]["signature_def"]["signature_def"]["line"]
    assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert signature["inputs"]["x"]["tensor_shape"]["unknown_rank"] is False


def test_metrics(server):
    post(server, {"signature_name": "line", "instances": [1]})
    post(server, {"signature_name": "line", "instances": ["a"]})
    post(server, b"no JSON", "/v1/models/%63olours:predict")
    call(server, "/v1/models/colours")
    call(server, "/v1/models/stranger:predict", b'{"instances": [1]}')
    status, kind, reply = call(server, "/monitoring/prometheus/metrics")
    text = reply.decode()
    assert (status, kind) == (200, "text/plain")
    assert ':tensorflow:serving:request_count{model_name="colours",status="OK"}' in text
    # The verb of a URL is the API, and status requests have none.
    for api in ("predict", ""):
        labels = f'API="{api}",entrypoint="REST",le="{{}}",model_name="colours"'
        for bound in ("10", "58.32", "188.957", "1.47476e+09", "+Inf"):
            name = ":tensorflow:serving:request_latency_bucket"
            assert f"{name}{{{labels.format(bound)}}}" in text
    assert "stranger" not in text


def test_requests_that_are_refused_are_counted(server):
    def count():
        _, _, reply = call(server, "/monitoring/prometheus/metrics")
        name = (
            ':tensorflow:serving:request_count{model_name="colours",'
            'status="INVALID_ARGUMENT"} '
        )
        found = re.search(re.escape(name) + "([0-9.]+)", reply.decode())
        return float(found[1]) if found else 0.0

    before = count()
    post(server, b"no JSON")
    post(server, {"signature_name": "line", "instances": ["a"]})
    call(server, "/v1/models/colours:Predict", b"{}")
    assert count() == before + 3
