"""Messages of gRPC calls: decompressed within limits, and their memory counted."""

from __future__ import annotations

import gzip
import zlib

import pytest

pytest.importorskip("tensorflow_serving")
from tensorflow_serving.apis import predict_pb2

from graft.serving.embedded.contract.status import StatusError
from graft.serving.embedded.transport import messages
from graft.serving.embedded.transport.messages import MessageReader
from graft.serving.embedded.transport.request_memory import RequestMemory

MIB = 2**20


def request(**fields) -> bytes:
    """Return a PredictRequest whose input `x` has the given fields of a TensorProto."""
    message = predict_pb2.PredictRequest()
    tensor = message.inputs["x"]
    for name, values in fields.items():
        if name == "num_dims":
            for _ in range(values):
                tensor.tensor_shape.dim.add()
        else:
            getattr(tensor, name).extend(values)
    return message.SerializeToString()


def read(data: bytes, limit: int = 2**40, max_bytes: int = 64 * MIB):
    with RequestMemory(limit).reserve() as memory:
        return MessageReader(predict_pb2.PredictRequest, max_bytes).read(data, memory)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zlib.compress])
@pytest.mark.parametrize("size", [10, 3 * MIB])
def test_a_message_is_read(compress, size):
    data = request(string_val=[bytes(size)])
    assert read(compress(data)).inputs["x"].string_val == [bytes(size)]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (gzip.compress(bytes(65 * MIB)), "RESOURCE_EXHAUSTED"),
        (zlib.compress(bytes(65 * MIB)), "RESOURCE_EXHAUSTED"),
        (request(string_val=[b""] * (messages.MAX_FIELDS + 1)), "RESOURCE_EXHAUSTED"),
        (gzip.compress(request(string_val=[b"a"]))[:-3], "INTERNAL"),
        (b"\x1f\x8bnonsense", "INTERNAL"),
        (request(string_val=[bytes(MIB)])[:-1], "INTERNAL"),
        (b"\x0a" * MIB, "INTERNAL"),
        (b"\xff" * MIB, "INTERNAL"),
        (b"\x0b" * MIB, "INTERNAL"),
        (b"\x12", "INTERNAL"),
    ],
    ids=[
        "gzip-bomb",
        "zlib-bomb",
        "fields",
        "cut-gzip",
        "damaged-gzip",
        "cut",
        "lengths",
        "endless-number",
        "groups",
        "small",
    ],
)
def test_what_is_refused(data, code):
    with pytest.raises(StatusError) as caught:
        read(data)
    assert caught.value.code.name == code


@pytest.mark.parametrize("size", [10**6, 2**28])
def test_values_that_are_left_out_are_counted(size):
    """The last value is repeated, and the reply may have as many."""
    message = predict_pb2.PredictRequest()
    message.inputs["x"].tensor_shape.dim.add(size=size // 10)
    message.inputs["x"].tensor_shape.dim.add(size=10)
    message.inputs["x"].float_val.append(1)
    data = message.SerializeToString()
    with pytest.raises(StatusError, match="max_request_memory_bytes"):
        read(data, 60 * size)
    read(data, 65 * size)
    message.inputs["x"].tensor_content = bytes(4)  # A contradiction, refused later.
    read(message.SerializeToString(), 100_000)


def test_values_count_by_their_number_not_by_their_bytes():
    message = predict_pb2.PredictRequest()
    message.inputs["x"].tensor_shape.dim.add(size=MIB)
    message.inputs["x"].string_val.append(bytes(MIB // 2))
    with pytest.raises(StatusError, match="max_request_memory_bytes"):
        read(message.SerializeToString(), 63 * MIB)


@pytest.mark.parametrize(
    ("data", "factor"),
    [
        (request(string_val=[bytes(4 * MIB)]), 1),
        (request(float_val=[1.5] * MIB), 1),
        (request(int64_val=[1] * (4 * MIB)), 18.7),
        (request(string_val=[b""] * (MIB - 9)), 18.7),
        (request(num_dims=MIB // 2), 25.4),
        (request(string_val=[b""] * 9000), 18.7),
    ],
    ids=["image", "floats", "integers", "strings", "dimensions", "small"],
)
def test_the_memory_is_counted_as_measured(data, factor):
    """docs/decisions/0070-request-limits.md has the measured factors."""
    with pytest.raises(StatusError, match="max_request_memory_bytes"):
        read(data, int(factor * len(data)))
    # Honest messages are not counted many times.
    read(data, int((factor + 6) * 6 * len(data)))
