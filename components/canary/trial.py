"""The trial: send real images and bad requests over the gRPC API."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
from PIL import Image

from graft.components.canary import early_start
from graft.components.canary.config import CanaryConfig
from graft.components.canary.result import Check, TrialResult
from graft.components.canary.server_process import (
    MODEL_NAME,
    ServerError,
    ServerProcess,
)
from graft.contract import signature_names
from graft_client import Prediction, PredictionClient, wire
from graft_client.errors import CallError, PredictionError
from graft_client.protos import serving_pb2 as pb

_HUGE_EDGE = 5000
_DT_INT64 = 9
_NUM_TIMED = 16
_MOST_CHARACTERS = 160
_GRAPH_NODES = re.compile(r"\{\{.*?\}\}\s*|\[\[.*?\]\]")
_REFUSALS = ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED")


@dataclass(frozen=True)
class Expected:
    """An image and the evaluation's prediction for it.

    Attributes:
        image: Encoded bytes.
        class_names: The label map.
        probabilities: float32 (K,), in the order of the label map.
        unknown_threshold: The answer is `unknown` if the greatest probability is
            below this; 0 for never.
    """

    image: bytes
    class_names: tuple[str, ...]
    probabilities: np.ndarray
    unknown_threshold: float = 0.0


def try_model(
    model_path: str, expected: Sequence[Expected], config: CanaryConfig
) -> TrialResult:
    """Serve a SavedModel in a new process and check its answers and limits.

    The process may have been started early; see `early_start`.

    Args:
        model_path: The SavedModel.
        expected: Images to send, at least one.
        config: Tolerance and limits.
    """
    server = early_start.take(model_path) or ServerProcess(
        model_path, config.start_timeout_seconds
    )
    try:
        with server:
            return _run_checks(server, expected, config)
    except ServerError as error:
        start = Check("starts", False, str(error))
        return TrialResult((start,), server.engine, server.start_seconds)


def _run_checks(
    server: ServerProcess, expected: Sequence[Expected], config: CanaryConfig
) -> TrialResult:
    checks = [
        Check(
            "starts",
            True,
            f"{server.engine} served the model after {server.start_seconds:.1f} s",
        )
    ]
    latencies: list[float] = []
    timeout_seconds = config.request_timeout_seconds
    with PredictionClient(
        server.target,
        name=MODEL_NAME,
        batch_size=8,
        max_attempts=1,
        deadline_seconds=timeout_seconds,
    ) as client:
        try:
            checks.append(_check_answers(client, expected, config.tolerance))
            latencies = _time_images(client, expected)
            checks += _check_bad_requests(
                server, client, expected[0].image, timeout_seconds
            )
            checks.append(_check_after(client, expected[0], config.tolerance))
        except CallError as error:
            checks.append(Check("answers", False, f"a request failed: {error}"))
    alive = server.is_alive()
    checks.append(
        Check(
            "stays up",
            alive,
            "the server still runs" if alive else f"the server died:\n{server.log()}",
        )
    )
    memory = server.peak_memory_mb()
    checks += _check_limits(latencies, memory, config)
    return TrialResult(
        tuple(checks),
        server.engine,
        server.start_seconds,
        float(np.median(latencies)) if latencies else None,
        memory,
    )


def _check_answers(
    client: PredictionClient, expected: Sequence[Expected], tolerance: float
) -> Check:
    images = [each.image for each in expected]
    greatest, problems = 0.0, []
    for each, answer in zip(expected, client.predict_each(images), strict=True):
        problem, difference = _compare(each, answer, tolerance)
        greatest = max(greatest, difference)
        if problem:
            problems.append(problem)
    if problems:
        message = f"{len(problems)} of {len(images)} answers are wrong: {problems[0]}"
        return Check("answers", False, message)
    return Check(
        "answers",
        True,
        f"{len(images)} real images: names equal the evaluation's, and probabilities "
        f"within {greatest:.2g} (limit {tolerance:g})",
    )


def _compare(
    each: Expected, answer: Prediction | PredictionError, tolerance: float
) -> tuple[str, float]:
    """Return the problem of an answer, or "", and its greatest difference."""
    if isinstance(answer, PredictionError):
        return str(answer), 0.0
    if answer.class_names and tuple(answer.class_names) != each.class_names:
        return f"class names are {answer.class_names}, not {each.class_names}", 0.0
    given = np.asarray(answer.probabilities)
    if given.shape != each.probabilities.shape:
        return f"{given.size} probabilities, not {each.probabilities.size}", 0.0
    difference = float(np.abs(given - each.probabilities).max())
    if not difference <= tolerance:
        return f"a probability differs by {difference:.3g}", difference
    return _compare_names(each, answer, tolerance), difference


def _compare_names(each: Expected, answer: Prediction, tolerance: float) -> str:
    """Return the problem of an answer's class name, or "".

    If two classes are equally probable, either name is right. At the threshold a name
    and `unknown` are both right.
    """
    best = float(each.probabilities.max())
    right = set()
    if best >= each.unknown_threshold - tolerance:
        is_best = best - each.probabilities <= 2 * tolerance
        right.update(np.array(each.class_names)[is_best].tolist())
    if best < each.unknown_threshold + tolerance and each.unknown_threshold:
        right.add(signature_names.UNKNOWN_LABEL)
    if answer.class_name in right:
        return ""
    return f"the class is {answer.class_name!r}, not {' or '.join(sorted(right))!r}"


def _time_images(client: PredictionClient, expected: Sequence[Expected]) -> list[float]:
    """Return the milliseconds of requests with one image each."""
    times = []
    for index in range(_NUM_TIMED):
        image = expected[index % len(expected)].image
        start = time.perf_counter()
        client.predict([image])
        times.append((time.perf_counter() - start) * 1e3)
    return times


def _check_bad_requests(
    server: ServerProcess,
    client: PredictionClient,
    good: bytes,
    timeout_seconds: float,
) -> Iterator[Check]:
    """Send bad requests. The server must refuse each one."""
    for name, content in (
        ("not an image", b"this is no image at all"),
        ("empty", b""),
        ("cut short", good[: max(16, len(good) // 3)]),
    ):
        yield _check_refusal(name, lambda content=content: client.predict([content]))
    yield _check_refusal(
        "huge", lambda: client.predict([_huge_image()]), may_answer=True
    )
    yield _check_refusal(
        "wrong dtype", lambda: _send_integers(server.target, timeout_seconds)
    )


def _check_refusal(name: str, send: Any, *, may_answer: bool = False) -> Check:
    label = f"bad request: {name}"
    try:
        send()
    except (PredictionError, CallError) as error:
        is_refusal = error.code in _REFUSALS
        words = "was refused" if is_refusal else "failed"
        return Check(label, is_refusal, f"{words} with {error.code}: {_brief(error)}")
    if may_answer:
        return Check(label, True, "was answered")
    # Decoders fill the missing part of a JPEG, so an answer is allowed here.
    lenient = name == "cut short"
    return Check(label, lenient, "was answered" + ("" if lenient else " as an image"))


def _brief(error: PredictionError | CallError) -> str:
    """Return the first line of a message, without names of graph nodes."""
    text = _GRAPH_NODES.sub("", error.message).strip()
    return text.splitlines()[0][:_MOST_CHARACTERS] if text else "no message"


def _huge_image() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (_HUGE_EDGE, _HUGE_EDGE), 128).save(buffer, "PNG")
    return buffer.getvalue()


def _send_integers(target: str, timeout_seconds: float) -> None:
    """Send int64 instead of strings, which the client's own types don't allow."""
    tensor = pb.Tensor(
        dtype=_DT_INT64,
        tensor_shape=pb.TensorShape(dim=[pb.TensorShape.Dim(size=1)]),
        tensor_content=np.array([7], np.int64).tobytes(),
    )
    request = pb.PredictRequest(
        model_spec=wire.ModelChoice(name=MODEL_NAME).spec(
            signature_names.IMAGES_SIGNATURE
        ),
        inputs={signature_names.IMAGES_INPUT: tensor},
    )
    with grpc.insecure_channel(target) as channel:
        call = channel.unary_unary(
            wire.PREDICT_METHOD,
            request_serializer=pb.PredictRequest.SerializeToString,
            response_deserializer=pb.PredictResponse.FromString,
        )
        try:
            call(request, timeout=timeout_seconds)
        except grpc.RpcError as error:
            raise CallError(error.code().name, error.details() or "") from error


def _check_after(client: PredictionClient, each: Expected, tolerance: float) -> Check:
    (answer,) = client.predict_each([each.image])
    problem, _ = _compare(each, answer, tolerance)
    message = problem or "after the bad requests a good one is answered as before"
    return Check("recovers", not problem, message)


def _check_limits(
    latencies: Sequence[float], memory: float | None, config: CanaryConfig
) -> Iterator[Check]:
    if latencies:
        slow = float(np.percentile(latencies, 95))
        limit = config.max_latency_ms
        within = limit is None or slow <= limit
        yield Check(
            "latency",
            within,
            f"one image takes {np.median(latencies):.0f} ms, 95th percentile "
            f"{slow:.0f} ms ({'no limit' if limit is None else f'limit {limit:g} ms'})",
        )
    if memory is not None:
        limit = config.max_memory_mb
        within = limit is None or memory <= limit
        yield Check(
            "memory",
            within,
            f"at most {memory:,.0f} MB "
            f"({'no limit' if limit is None else f'limit {limit:,.0f} MB'})",
        )
