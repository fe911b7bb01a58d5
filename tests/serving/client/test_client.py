"""The clients against a gRPC server that fails on purpose.

These tests need pytest and what graft-client requires, no more:
`test_bare_environments.py` runs them with the oldest and the newest versions.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from graft_client import (
    AsyncPredictionClient,
    CallError,
    PredictionClient,
    PredictionError,
    signature_names,
    wire,
)
from graft_client.protos import serving_pb2 as pb


def test_nobody_there_is_unavailable():
    with PredictionClient("localhost:1", name="m", max_attempts=1) as client:
        with pytest.raises(CallError, match="UNAVAILABLE"):
            client.predict([b""])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"deadline_seconds": 0}, "`deadline_seconds` must be greater than 0"),
        ({"batch_size": 0}, "`batch_size` must be at least 1. Received: batch_size=0"),
        ({"concurrency": -1}, "`concurrency` must be at least 1"),
        ({"max_attempts": 6}, r"`max_attempts` must be in \[1, 5\]"),
        ({"version": 1, "label": "stable"}, "Only one of `version` and `label`"),
        ({"name": ""}, "`name` must not be empty"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        PredictionClient("localhost:1", **{"name": "m", **settings})


def test_a_path_instead_of_bytes_is_refused():
    with PredictionClient("localhost:1", name="m") as client:
        with pytest.raises(TypeError, match="Received: str at position 0"):
            client.predict(["photo.jpg"])


class FailingServer:
    """A real gRPC server that refuses the first calls, and counts all of them."""

    def __init__(self, refusals, delay_seconds=0.0, max_images=None, has_each=True):
        self.sizes = []
        self.signatures = []
        self._has_each = has_each
        self._refusals = list(refusals)
        self._delay = threading.Event()
        self._delay_seconds = delay_seconds
        self._max_images = max_images

    def _predict(self, request, context):
        if request.model_spec.signature_name == "classify":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such signature")
        images = request.inputs["images"].string_val
        count = len(images)
        self.sizes.append(count)
        signature = request.model_spec.signature_name
        self.signatures.append(signature)
        asks_for_each = signature == signature_names.EACH_SIGNATURE
        if asks_for_each and not self._has_each:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no such signature")
        if b"bad" in images and not asks_for_each:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no image at 1")
        if self._delay_seconds:
            self._delay.wait(self._delay_seconds)
        if self._refusals:
            context.abort(self._refusals.pop(0), "not now")
        if self._max_images and count > self._max_images:
            context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "Sent message larger than max (9)"
            )
        response = pb.PredictResponse()
        response.outputs["label"].string_val.extend([b"cat"] * count)
        response.outputs["probabilities"].float_val.extend([0.75, 0.25] * count)
        if asks_for_each:
            errors = [b"no image" if image == b"bad" else b"" for image in images]
            response.outputs["error"].string_val.extend(errors)
        return response

    def __enter__(self):
        handler = grpc.unary_unary_rpc_method_handler(
            self._predict,
            request_deserializer=pb.PredictRequest.FromString,
            response_serializer=pb.PredictResponse.SerializeToString,
        )
        service, method = wire.PREDICT_METHOD.strip("/").split("/")
        self._pool = ThreadPoolExecutor(8)
        self._server = grpc.server(self._pool)
        self._server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(service, {method: handler})]
        )
        self.port = self._server.add_insecure_port("localhost:0")
        self._server.start()
        return self

    def __exit__(self, *_):
        self._delay.set()
        self._server.stop(None).wait()
        self._pool.shutdown()


def test_unavailable_is_tried_again():
    with FailingServer([grpc.StatusCode.UNAVAILABLE] * 2) as failing:
        with PredictionClient(f"localhost:{failing.port}", name="m") as client:
            (prediction,) = client.predict([b"x" * 500_000])
    assert failing.sizes == [1, 1, 1]
    assert prediction.class_name == "cat"
    assert prediction.class_names == ()
    assert prediction.top(5) == [("cat", 0.75)]


@pytest.mark.parametrize("code", ["NOT_FOUND", "INTERNAL", "RESOURCE_EXHAUSTED"])
def test_nothing_else_is_tried_again(code):
    with FailingServer([grpc.StatusCode[code]]) as failing:
        with PredictionClient(f"localhost:{failing.port}", name="m") as client:
            with pytest.raises(CallError, match=code):
                client.predict([b"x"])
    assert failing.sizes == [1]


def test_a_message_limit_between_is_met_by_splitting():
    with FailingServer([], max_images=2) as failing:
        with PredictionClient(f"localhost:{failing.port}", name="m") as client:
            assert len(client.predict([b"x"] * 8)) == 8
    assert max(failing.sizes) == 8
    assert failing.sizes.count(2) == 4


BAD_AMONG_GOOD = [b"x"] * 8 + [b"bad"] + [b"x"] * 7


def check_bad_among_good(outcomes):
    assert [isinstance(each, PredictionError) for each in outcomes] == [
        image == b"bad" for image in BAD_AMONG_GOOD
    ]
    assert outcomes[8].index == 8
    assert outcomes[8].code == "INVALID_ARGUMENT"
    assert outcomes[0].class_name == "cat"


def test_one_more_request_tells_a_bad_image_apart():
    with FailingServer([]) as failing:
        with PredictionClient(f"localhost:{failing.port}", name="m") as client:
            outcomes = list(client.predict_each(BAD_AMONG_GOOD))
    check_bad_among_good(outcomes)
    assert outcomes[8].message == "no image"
    assert failing.sizes == [16, 16]
    assert failing.signatures == [
        signature_names.IMAGES_SIGNATURE,
        signature_names.EACH_SIGNATURE,
    ]


def test_a_model_without_that_signature_is_asked_by_halves():
    with FailingServer([], has_each=False) as failing:
        with PredictionClient(f"localhost:{failing.port}", name="m") as client:
            outcomes = list(client.predict_each(BAD_AMONG_GOOD))
    check_bad_among_good(outcomes)
    assert failing.signatures.count(signature_names.EACH_SIGNATURE) == 1


def test_the_deadline_ends_a_call():
    with FailingServer([], delay_seconds=30) as failing:
        with PredictionClient(
            f"localhost:{failing.port}", name="m", deadline_seconds=0.3
        ) as client:
            with pytest.raises(CallError, match="DEADLINE_EXCEEDED"):
                client.predict([b"x"])


def test_images_are_read_only_as_far_as_requests_are_in_flight():
    read = []

    def images():
        for number in range(100):
            read.append(number)
            yield b"x"

    with FailingServer([]) as failing:
        with PredictionClient(
            f"localhost:{failing.port}", name="m", batch_size=1, concurrency=2
        ) as client:
            next(client.predict_each(images()))
            assert len(read) <= 5


def test_async_gives_what_sync_gives():
    async def ask(target):
        async with AsyncPredictionClient(target, name="m", batch_size=16) as client:
            return [each async for each in client.predict_each(BAD_AMONG_GOOD * 3)]

    with FailingServer([]) as failing:
        target = f"localhost:{failing.port}"
        with PredictionClient(target, name="m", batch_size=16) as client:
            outcomes = list(client.predict_each(BAD_AMONG_GOOD * 3))
        answers = asyncio.run(ask(target))
    assert len(answers) == len(outcomes) == 48
    for answer, outcome in zip(answers, outcomes, strict=True):
        if isinstance(outcome, PredictionError):
            assert (answer.index, answer.code) == (outcome.index, outcome.code)
        else:
            assert answer == outcome


def test_async_tries_again_while_unavailable():
    async def ask(target):
        async with AsyncPredictionClient(target, name="m") as client:
            return await client.predict([b"x" * 500_000])

    with FailingServer([grpc.StatusCode.UNAVAILABLE] * 2) as failing:
        (prediction,) = asyncio.run(ask(f"localhost:{failing.port}"))
    assert failing.sizes == [1, 1, 1]
    assert prediction.class_name == "cat"
