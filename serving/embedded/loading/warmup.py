"""Replay a version's warm-up requests before it turns AVAILABLE."""

from __future__ import annotations

from pathlib import Path

from google.protobuf.message import DecodeError
from tensorflow.python.framework import errors
from tensorflow.python.lib.io import tf_record
from tensorflow.python.util import deprecation
from tensorflow_serving.apis import prediction_log_pb2

from graft.serving.embedded.contract import inference
from graft.serving.embedded.contract.servable import Servable
from graft.serving.embedded.contract.status import (
    StatusError,
    from_number,
    invalid,
    unimplemented,
)

WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
MAX_RECORDS = 1000

Requests = list[tuple[int, prediction_log_pb2.PredictionLog]]
"""Records of the warm-up file, each with its number, counted from 1."""


def groups_of_requests(path: Path) -> list[Requests]:
    """Return the warm-up requests of a version, those of a signature together.

    TensorFlow prepares a graph for each signature in its first run, on one thread. So
    the groups can be sent at the same time.

    Args:
        path: The version's folder.

    Raises:
        StatusError: If a record is damaged, or there are too many.
    """
    file = path / WARMUP_FILE
    if not file.is_file():
        return []
    count = 0
    groups: dict[str, Requests] = {}
    try:
        with deprecation.silence():  # The replacement needs eager execution.
            records = tf_record.tf_record_iterator(str(file))
        for record in records:
            count += 1
            if count > MAX_RECORDS:
                raise invalid(
                    "Number of warmup records exceeds the maximum "
                    f"({MAX_RECORDS}) at {file}"
                )
            log = prediction_log_pb2.PredictionLog.FromString(record)
            groups.setdefault(_signature_of(log), []).append((count, log))
    except DecodeError as error:
        raise invalid(f"Failed to parse warmup record {count} of {file}") from error
    except errors.OpError as error:
        raise from_number(
            error.error_code,
            f"{error.message}. Please verify your warmup data is in TFRecord format.",
        ) from error
    return list(groups.values())


def send(servable: Servable, path: Path, requests: Requests) -> None:
    """Run warm-up requests one after the other.

    The model name and version in the records are ignored.

    Args:
        servable: The version, loaded.
        path: Its folder.
        requests: One of `groups_of_requests`.

    Raises:
        StatusError: If a request fails.
    """
    for number, log in requests:
        try:
            _send(servable, log)
        except StatusError as error:
            file = path / WARMUP_FILE
            raise StatusError(
                error.code,
                f"Warm-up request {number} of {file} failed: {error.message}",
            ) from error


def _signature_of(log: prediction_log_pb2.PredictionLog) -> str:
    """Return the name of the signature that a request wants, as far as it says so."""
    kind = log.WhichOneof("log_type")
    request = getattr(getattr(log, kind), "request", None) if kind else None
    return str(getattr(getattr(request, "model_spec", None), "signature_name", ""))


def _send(servable: Servable, log: prediction_log_pb2.PredictionLog) -> None:
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        inference.predict(servable, log.predict_log.request)
    elif kind == "classify_log":
        inference.classify(servable, log.classify_log.request)
    elif kind == "regress_log":
        inference.regress(servable, log.regress_log.request)
    elif kind == "multi_inference_log":
        inference.multi_inference(servable, log.multi_inference_log.request)
    elif kind is not None:
        number = log.DESCRIPTOR.fields_by_name[kind].number
        raise unimplemented(f"Unsupported log_type for warmup: {number}")
