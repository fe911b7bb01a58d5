"""Classify, Regress and MultiInference: what they read of a graph and refuse of it.

The cases are those of TensorFlow Serving's unit tests of its classifier, regressor and
multi-inference. The graph's outputs are given, so each wrong one can be tried.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("tensorflow_serving")
from google.protobuf import text_format
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    regression_pb2,
)

from graft.serving.embedded.contract import inference
from graft.serving.embedded.contract.status import StatusError, unavailable

CLASSES = [[b"dos", b"uno"], [b"cuatro", b"tres"]]
SCORES = [[2, 1], [4, 3]]
VALUES = np.array([5, 6], np.float32)
TWO_EXAMPLES = "example_list { examples { } examples { } }"


def signature(inputs, outputs):
    """Return a SignatureDef whose tensors are called like their keys."""
    message = meta_graph_pb2.SignatureDef()
    for keys, infos in ((inputs, message.inputs), (outputs, message.outputs)):
        for key in keys.split():
            infos[key].name = f"{key}:0"
    return message


SIGNATURES = {
    "serving_default": signature("inputs", "classes scores"),
    "classes_only": signature("inputs", "classes"),
    "scores_only": signature("inputs", "scores"),
    "regress": signature("inputs", "outputs"),
    "two_inputs": signature("inputs other", "scores"),
    "wrong_input": signature("x", "scores"),
    "wrong_input_of_regress": signature("x", "outputs"),
    "wrong_output": signature("inputs", "other"),
    "three_outputs": signature("inputs", "classes scores other"),
}


class Graph:
    """A servable that returns given outputs, and keeps what it was fed."""

    name, version = "m", 7
    signatures = SIGNATURES

    def __init__(self, **outputs):
        self.runner = self
        self.fed = {}
        self._outputs = {f"{key}:0": value for key, value in outputs.items()}

    def run(self, feeds, fetches, caller):
        self.fed = dict(feeds)
        if not self._outputs:
            raise unavailable("Run totally failed")
        return [self._outputs[each] for each in fetches]


def strings(rows):
    return np.array(rows, object)


def floats(rows):
    return np.array(rows, np.float32)


def classify(graph, source=TWO_EXAMPLES, name=""):
    request = text_format.Parse(
        f'model_spec {{ name: "m" signature_name: "{name}" }} input {{ {source} }}',
        classification_pb2.ClassificationRequest(),
    )
    return inference.classify(graph, request)


def regress(graph, source=TWO_EXAMPLES, name="regress"):
    request = text_format.Parse(
        f'model_spec {{ name: "m" signature_name: "{name}" }} input {{ {source} }}',
        regression_pb2.RegressionRequest(),
    )
    return inference.regress(graph, request)


def pairs(result):
    return [
        [(entry.label, entry.score) for entry in row.classes]
        for row in result.classifications
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", [[("dos", 2), ("uno", 1)], [("cuatro", 4), ("tres", 3)]]),
        ("classes_only", [[("dos", 0), ("uno", 0)], [("cuatro", 0), ("tres", 0)]]),
        ("scores_only", [[("", 2), ("", 1)], [("", 4), ("", 3)]]),
    ],
    ids=["both", "classes", "scores"],
)
def test_classes_and_scores(name, expected):
    graph = Graph(classes=strings(CLASSES), scores=floats(SCORES))
    response = classify(graph, name=name)
    assert pairs(response.result) == expected
    spec = response.model_spec
    assert (spec.name, spec.version.value) == ("m", 7)
    assert spec.signature_name == (name or "serving_default")


def test_scores_of_zero_are_there():
    graph = Graph(scores=floats([[-1, 0, 1]]))
    response = classify(graph, "example_list { examples { } }", "scores_only")
    assert pairs(response.result) == [[("", -1), ("", 0), ("", 1)]]


def test_a_label_that_is_no_text_is_replaced():
    graph = Graph(classes=strings([[b"\xff\xe4"]]))
    response = classify(graph, "example_list { examples { } }", "classes_only")
    assert pairs(response.result) == [[("\ufffd\ufffd", 0)]]


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (
            {"scores": floats([2, 1])},
            "Expected Tensor shape: [batch_size num_classes] but got [2]",
        ),
        (
            {"classes": strings([CLASSES])},
            "Expected Tensor shape: [batch_size num_classes] but got [1,2,2]",
        ),
        (
            {"scores": floats([[2, 1]])},
            "Expected scores output batch size of 2. Got: 1",
        ),
        (
            {"classes": strings(CLASSES[:1])},
            "Expected classes output batch size of 2. Got: 1",
        ),
        (
            {"scores": np.array(SCORES, np.float64)},
            "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE",
        ),
        (
            {"classes": floats(SCORES)},
            "Expected classes Tensor of DT_STRING. Got: DT_FLOAT",
        ),
        (
            {"scores": floats([[1, 2, 3]] * 2)},
            "Tensors class and score should match in dim_size(1). Got 2 vs. 3",
        ),
    ],
    ids=[
        *("one-dimension", "three-dimensions", "few-scores", "few-classes"),
        *("doubles", "numbers-as-classes", "widths"),
    ],
)
def test_outputs_that_are_no_classification(outputs, message):
    good = {"classes": strings(CLASSES), "scores": floats(SCORES)}
    with pytest.raises(StatusError) as caught:
        classify(Graph(**{**good, **outputs}))
    assert caught.value.code.name == "INVALID_ARGUMENT"
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (
            floats([[5, 6]]),
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] "
            "but got [1,2]",
        ),
        (
            floats([5]),
            "Input batch size did not match output batch size: 2 vs. 1",
        ),
        (
            VALUES.astype(np.int32),
            "Expected output Tensor of DT_FLOAT.  Got: DT_INT32",
        ),
    ],
    ids=["shape", "few", "integers"],
)
def test_outputs_that_are_no_regression(outputs, message):
    with pytest.raises(StatusError) as caught:
        regress(Graph(outputs=outputs))
    assert caught.value.code.name == "INVALID_ARGUMENT"
    assert caught.value.message == message


@pytest.mark.parametrize("values", [VALUES, VALUES[:, None]], ids=["flat", "column"])
def test_values(values):
    result = regress(Graph(outputs=values)).result
    assert [each.value for each in result.regressions] == [5, 6]


BOTH = {classify: "classification", regress: "regression"}


@pytest.mark.parametrize(
    ("call", "name", "message"),
    [
        (classify, "x", "No signature was found with the name: x"),
        (regress, "x", "No signature was found with the name: x"),
        (classify, "two_inputs", "Expected one input Tensor."),
        (regress, "two_inputs", "Expected one input Tensor."),
        (regress, "serving_default", "Expected one output Tensor."),
        (classify, "three_outputs", "Expected one or two output Tensors, found 3"),
        (
            classify,
            "wrong_input",
            "No classification inputs found in SignatureDef: inputs {",
        ),
        (
            regress,
            "wrong_input_of_regress",
            "No regression inputs found in SignatureDef: inputs {",
        ),
        (
            classify,
            "regress",
            "Expected classification signature outputs to contain at least one of "
            '"classes" or "scores". Signature was: inputs {',
        ),
        (
            regress,
            "wrong_output",
            "No regression outputs found in SignatureDef: inputs {",
        ),
    ],
)
def test_signatures_of_another_form(call, name, message):
    with pytest.raises(StatusError) as caught:
        call(Graph(), name=name)
    assert caught.value.code.name == "INVALID_ARGUMENT"
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize("call", BOTH, ids=BOTH.values())
@pytest.mark.parametrize(
    "source",
    [
        "",
        "example_list { }",
        "example_list_with_context { }",
        "example_list_with_context { context { features { } } }",
    ],
    ids=["nothing", "no-example", "neither", "context-alone"],
)
def test_no_examples(call, source):
    with pytest.raises(StatusError, match=r"^INVALID_ARGUMENT: Input is empty\.$"):
        call(Graph(outputs=VALUES), source)


@pytest.mark.parametrize("call", BOTH, ids=BOTH.values())
def test_a_run_that_fails(call):
    with pytest.raises(StatusError, match=r"^UNAVAILABLE: Run totally failed$"):
        call(Graph())


def feature(key, value):
    """Return the text and the bytes of an Example with one integer."""
    text = f'features {{ feature {{ key: "{key}" value {{ int64_list {{ value: '
    text += f"{value} }} }} }} }}"
    entry = b"\x0a\x01" + key.encode() + b"\x12\x05\x1a\x03\x0a\x01" + bytes([value])
    return text, b"\x0a\x0c\x0a\x0a" + entry


def test_an_example_follows_its_context_byte_by_byte():
    (a, a_bytes), (b, b_bytes) = feature("a", 11), feature("b", 22)
    graph = Graph(outputs=VALUES)
    listed = f"context {{ {a} }} examples {{ {b} }} examples {{ }}"
    regress(graph, f"example_list_with_context {{ {listed} }}")
    assert graph.fed["inputs:0"].tolist() == [a_bytes + b_bytes, a_bytes]
    regress(graph, f"example_list {{ examples {{ {a} }} examples {{ {b} }} }}")
    assert graph.fed["inputs:0"].tolist() == [a_bytes, b_bytes]
    regress(graph, f"example_list_with_context {{ examples {{ {b} }} examples {{ }} }}")
    assert graph.fed["inputs:0"].tolist() == [b_bytes, b""]


def multi(graph, *tasks):
    request = inference_pb2.MultiInferenceRequest()
    text_format.Parse(TWO_EXAMPLES, request.input)
    for name, method in tasks:
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name = "m"
        task.model_spec.signature_name = name
    return inference.multi_inference(graph, request)


def test_tasks_get_their_own_results():
    graph = Graph(classes=strings(CLASSES), scores=floats(SCORES), outputs=VALUES)
    response = multi(graph, ("regress", "regress"), ("", "classify"))
    first, second = response.results
    assert [each.value for each in first.regression_result.regressions] == [5, 6]
    assert pairs(second.classification_result)[1] == [("cuatro", 4), ("tres", 3)]
    assert [each.model_spec.signature_name for each in response.results] == [
        "regress",
        "serving_default",
    ]


def test_the_form_of_a_signature_is_checked_for_its_method():
    with pytest.raises(StatusError, match="Expected one output Tensor"):
        multi(Graph(outputs=VALUES), ("serving_default", "regress"))


def test_the_first_task_that_is_wrong_is_told():
    tasks = [("regress", "regress"), ("regress", "regress"), ("x", "classify")]
    with pytest.raises(StatusError, match="Duplicate evaluation of signature: regress"):
        multi(SimpleNamespace(signatures=SIGNATURES), *tasks)
