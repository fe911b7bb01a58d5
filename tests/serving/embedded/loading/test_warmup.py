"""Which warm-up files a version may have; the cases of TensorFlow Serving's tests."""

from __future__ import annotations

import pytest

pytest.importorskip("tensorflow_serving")
from tensorflow.python.lib.io import tf_record
from tensorflow_serving.apis import prediction_log_pb2

from graft.serving.embedded.contract.status import StatusError
from graft.serving.embedded.loading.warmup import (
    WARMUP_FILE,
    groups_of_requests,
    send,
)

NOTHING = prediction_log_pb2.PredictionLog().SerializeToString()
SESSION = prediction_log_pb2.PredictionLog(
    session_run_log=prediction_log_pb2.SessionRunLog()
).SerializeToString()


@pytest.fixture
def write(tmp_path):
    """Writes records into the warm-up file of a version, and returns the version."""
    file = tmp_path / WARMUP_FILE
    file.parent.mkdir()

    def of(records):
        with tf_record.TFRecordWriter(str(file)) as writer:
            for record in records:
                writer.write(record)
        return tmp_path

    return of


def test_a_version_needs_no_warm_up(tmp_path, write):
    assert groups_of_requests(tmp_path) == []
    assert groups_of_requests(write([])) == []


def test_a_record_without_a_request_is_passed_over(write):
    version = write([NOTHING] * 1000)
    (group,) = groups_of_requests(version)
    assert len(group) == 1000
    send(None, version, group)


def test_requests_of_a_signature_stay_together_in_their_order(write):
    names = ["a", "b", "a", "", "b"]
    logs = [prediction_log_pb2.PredictionLog() for _ in names]
    for log, name in zip(logs, names, strict=True):
        log.predict_log.request.model_spec.signature_name = name
    logs[3].classify_log.request.model_spec.signature_name = "a"
    groups = groups_of_requests(write([log.SerializeToString() for log in logs]))
    assert [[number for number, _ in group] for group in groups] == [[1, 3, 4], [2, 5]]


@pytest.mark.parametrize(
    ("records", "code", "message"),
    [
        (
            [NOTHING] * 1001,
            "INVALID_ARGUMENT",
            "Number of warmup records exceeds the maximum (1000)",
        ),
        ([b"\xff"], "INVALID_ARGUMENT", "Failed to parse warmup record 1"),
        ([SESSION], "UNIMPLEMENTED", "Unsupported log_type for warmup: 5"),
    ],
    ids=["too-many", "no-log", "other-request"],
)
def test_records_that_are_refused(write, tmp_path, records, code, message):
    with pytest.raises(StatusError) as caught:
        for group in groups_of_requests(write(records)):
            send(None, tmp_path, group)
    assert caught.value.code.name == code
    assert message in caught.value.message


def test_a_file_of_another_format_is_data_loss(write):
    version = write([])
    (version / WARMUP_FILE).write_bytes(b"no records, but a text of many bytes")
    with pytest.raises(StatusError) as caught:
        groups_of_requests(version)
    assert caught.value.code.name == "DATA_LOSS"
    assert caught.value.message.endswith(
        ". Please verify your warmup data is in TFRecord format."
    )
