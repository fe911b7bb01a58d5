"""Which warm-up files a version may have; the cases of TensorFlow Serving's tests."""

from __future__ import annotations

import pytest

pytest.importorskip("tensorflow_serving")
from tensorflow.python.lib.io import tf_record
from tensorflow_serving.apis import prediction_log_pb2

from graft.serving.embedded.contract.status import StatusError
from graft.serving.embedded.loading.warmup import WARMUP_FILE, replay

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
    assert replay(None, tmp_path) == 0
    assert replay(None, write([])) == 0


def test_a_record_without_a_request_is_passed_over(write):
    assert replay(None, write([NOTHING] * 1000)) == 1000


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
def test_records_that_are_refused(write, records, code, message):
    with pytest.raises(StatusError) as caught:
        replay(None, write(records))
    assert caught.value.code.name == code
    assert message in caught.value.message


def test_a_file_of_another_format_is_data_loss(write):
    version = write([])
    (version / WARMUP_FILE).write_bytes(b"no records, but a text of many bytes")
    with pytest.raises(StatusError) as caught:
        replay(None, version)
    assert caught.value.code.name == "DATA_LOSS"
    assert caught.value.message.endswith(
        ". Please verify your warmup data is in TFRecord format."
    )
