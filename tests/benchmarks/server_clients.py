"""Clients that send requests of all kinds, and check each answer.

The model is `colours` of tests/serving/conftest.py. Odd versions of it multiply by 4,
even ones by 8.
"""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import random
from typing import Any

import grpc
from tensorflow.core.example import example_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from graft.contract import example_keys, signature_names

SLOPES = {1: 4.0, 0: 8.0}
"""By the version's number modulo 2."""
_TIMEOUT_SECONDS = 60
_FLOAT = 1
_STRING = 7


class WrongAnswerError(Exception):
    """An answer that is not the right one."""


def _require(is_right: bool, kind: str, answer: Any) -> None:
    if not is_right:
        raise WrongAnswerError(f"{kind}: {str(answer)[:1000]}")


class GrpcClient:
    """Sends random requests by gRPC.

    Args:
        target: `HOST:PORT`.
        name: The model's name.
        images: PNG by colour.
        seed: Of the random requests.
    """

    kinds = (
        *("line", "predict", "classify", "regress"),
        *("status", "metadata", "refused"),
    )

    def __init__(
        self, target: str, name: str, images: dict[str, bytes], seed: int
    ) -> None:
        self._random = random.Random(seed)
        self._name = name
        self._images = images
        self._channel = grpc.insecure_channel(target)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def close(self) -> None:
        """End the connection."""
        self._channel.close()

    def ask(self, kind: str | None = None) -> str:
        """Send a request and check its answer; return its kind.

        Raises:
            WrongAnswerError: If the answer is wrong.
        """
        kind = kind or self._random.choice(self.kinds)
        getattr(self, f"_{kind}")()
        return f"grpc_{kind}"

    def _spec(self, request: Any, signature: str = "") -> Any:
        request.model_spec.name = self._name
        request.model_spec.signature_name = signature
        if self._random.random() < 0.5:
            request.model_spec.version_label = "stable"
        return request

    def _line(self) -> None:
        request = self._spec(predict_pb2.PredictRequest(), "line")
        values = [float(self._random.randrange(1000)) for _ in range(5)]
        tensor = request.inputs["x"]
        tensor.dtype = _FLOAT
        tensor.tensor_shape.dim.add(size=len(values))
        tensor.float_val.extend(values)
        reply = self._stub.Predict(request, timeout=_TIMEOUT_SECONDS)
        slope = SLOPES[reply.model_spec.version.value % 2]
        expected = [slope * value for value in values]
        _require(list(reply.outputs["y"].float_val) == expected, "line", reply)

    def _predict(self) -> None:
        names = self._random.choices(sorted(self._images), k=3)
        signature = signature_names.IMAGES_SIGNATURE
        request = self._spec(predict_pb2.PredictRequest(), signature)
        tensor = request.inputs[signature_names.IMAGES_INPUT]
        tensor.dtype = _STRING
        tensor.tensor_shape.dim.add(size=len(names))
        tensor.string_val.extend(self._images[name] for name in names)
        reply = self._stub.Predict(request, timeout=_TIMEOUT_SECONDS)
        labels = reply.outputs[signature_names.LABEL_OUTPUT].string_val
        _require([each.decode() for each in labels] == names, "predict", reply)

    def _classify(self) -> None:
        names = self._random.choices(sorted(self._images), k=2)
        request = self._spec(classification_pb2.ClassificationRequest(), "classify")
        for name in names:
            example = request.input.example_list.examples.add()
            feature = example.features.feature[example_keys.IMAGE_KEY]
            feature.bytes_list.value.append(self._images[name])
        reply = self._stub.Classify(request, timeout=_TIMEOUT_SECONDS)
        best = [
            max(each.classes, key=lambda one: one.score).label
            for each in reply.result.classifications
        ]
        _require(best == names, "classify", reply)

    def _regress(self) -> None:
        request = self._spec(regression_pb2.RegressionRequest(), "regress")
        value = float(self._random.randrange(1000))
        example = example_pb2.Example()
        example.features.feature["x"].float_list.value.append(value)
        request.input.example_list.examples.append(example)
        reply = self._stub.Regress(request, timeout=_TIMEOUT_SECONDS)
        slope = SLOPES[reply.model_spec.version.value % 2]
        found = [each.value for each in reply.result.regressions]
        _require(found == [slope * value], "regress", reply)

    def _status(self) -> None:
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = self._name
        reply = self._models.GetModelStatus(request, timeout=_TIMEOUT_SECONDS)
        available = [each.state for each in reply.model_version_status]
        _require(30 in available, "status", reply)

    def _metadata(self) -> None:
        request = self._spec(get_model_metadata_pb2.GetModelMetadataRequest())
        request.metadata_field.append("signature_def")
        reply = self._stub.GetModelMetadata(request, timeout=_TIMEOUT_SECONDS)
        _require(b"predict_images" in reply.SerializeToString(), "metadata", reply)

    def _refused(self) -> None:
        request = self._spec(predict_pb2.PredictRequest(), "none")
        try:
            reply = self._stub.Predict(request, timeout=_TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            expected = grpc.StatusCode.FAILED_PRECONDITION
            _require(error.code() is expected, "refused", error)
        else:
            raise WrongAnswerError(f"refused: {reply}")


class RestClient:
    """Sends random requests by REST, on one connection.

    Args:
        port: The server's.
        name: The model's name.
        images: PNG by colour.
        seed: Of the random requests.
    """

    kinds = ("rows", "columns", "predict", "classify", "regress", "status", "refused")

    def __init__(
        self, port: int, name: str, images: dict[str, bytes], seed: int
    ) -> None:
        self._random = random.Random(seed)
        self._path = f"/v1/models/{name}"
        self._images = images
        self._connection = http.client.HTTPConnection(
            "localhost", port, timeout=_TIMEOUT_SECONDS
        )

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def ask(self, kind: str | None = None) -> str:
        """Send a request and check its answer; return its kind.

        Raises:
            WrongAnswerError: If the answer is wrong.
        """
        kind = kind or self._random.choice(self.kinds)
        getattr(self, f"_{kind}")()
        return f"rest_{kind}"

    def _post(self, verb: str, document: Any) -> tuple[int, Any]:
        label = "/labels/stable" if self._random.random() < 0.5 else ""
        body = json.dumps(document).encode("ascii")
        headers = {"Content-Type": "application/json"}
        if self._random.random() < 0.5:
            body, headers = gzip.compress(body), {"Content-Encoding": "gzip"}
        return self._send("POST", f"{self._path}{label}:{verb}", body, headers)

    def _send(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, Any]:
        self._connection.request(method, path, body, headers)
        reply = self._connection.getresponse()
        return reply.status, json.loads(reply.read())

    def _rows(self) -> None:
        values = [float(self._random.randrange(1000)) for _ in range(5)]
        document = {"signature_name": "line", "instances": values}
        _, answer = self._post("predict", document)
        self._check_line(values, answer.get("predictions"), answer)

    def _columns(self) -> None:
        values = [float(self._random.randrange(1000)) for _ in range(5)]
        document = {"signature_name": "line", "inputs": {"x": values}}
        _, answer = self._post("predict", document)
        self._check_line(values, answer.get("outputs"), answer)

    def _check_line(self, values: list[float], found: Any, answer: Any) -> None:
        # The reply does not say which version answered.
        allowed = [[slope * value for value in values] for slope in SLOPES.values()]
        _require(found in allowed, "line", answer)

    def _predict(self) -> None:
        names = self._random.choices(sorted(self._images), k=3)
        document = {
            "signature_name": signature_names.IMAGES_SIGNATURE,
            "instances": [self._encoded(name) for name in names],
        }
        _, answer = self._post("predict", document)
        rows = answer.get("predictions", [])
        found = [row[signature_names.LABEL_OUTPUT] for row in rows]
        _require(found == names, "predict", answer)

    def _classify(self) -> None:
        names = self._random.choices(sorted(self._images), k=2)
        examples = [{example_keys.IMAGE_KEY: self._encoded(name)} for name in names]
        document = {"signature_name": "classify", "examples": examples}
        _, answer = self._post("classify", document)
        found = [
            max(pairs, key=lambda pair: pair[1])[0]
            for pairs in answer.get("results", [])
        ]
        _require(found == names, "classify", answer)

    def _regress(self) -> None:
        value = float(self._random.randrange(1000))
        document = {"signature_name": "regress", "examples": [{"x": value}]}
        _, answer = self._post("regress", document)
        allowed = [[slope * value] for slope in SLOPES.values()]
        _require(answer.get("results") in allowed, "regress", answer)

    def _status(self) -> None:
        code, answer = self._send("GET", self._path, None, {})
        states = [each["state"] for each in answer.get("model_version_status", [])]
        is_right = code == http.client.OK and "AVAILABLE" in states
        _require(is_right, "status", answer)

    def _refused(self) -> None:
        code, answer = self._post("predict", {"instances": "none"})
        is_right = code == http.client.BAD_REQUEST and bool(answer["error"])
        _require(is_right, "refused", answer)

    def _encoded(self, name: str) -> dict[str, str]:
        return {"b64": base64.b64encode(self._images[name]).decode("ascii")}
