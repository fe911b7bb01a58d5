"""Hostile requests, and what watches the server meanwhile."""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
import time
import urllib.error
import urllib.request
import zlib

import grpc

from graft_client import PredictionClient, wire
from graft_client.protos import serving_pb2 as pb

METHODS = ("Predict", "Classify", "Regress", "MultiInference", "GetModelMetadata")
SLOW_BEGINNING = b"POST /v1/models/colours:predict HTTP/1.1\r\nHost: x\r\n"
INPUTS = {
    "predict_images": ["images"],
    "line": ["x"],
    "two": ["a", "b"],
    "rows": ["x"],
    "echo": ["text"],
    "classify": ["inputs"],
}
SIGNATURES = (*INPUTS, "x", "")


def still_serves(server, colours):
    """Require a right answer to a good request."""
    with PredictionClient(server.target, name="colours") as client:
        assert client.predict([colours["red"]])[0].class_name == "red"


def random_message(generator: random.Random, image: bytes) -> bytes:
    """Return bytes that are not a request, a part of one, or an invalid one."""
    kind = generator.randrange(4)
    if kind == 0:
        return generator.randbytes(generator.randrange(300))
    request = pb.PredictRequest()
    # Often valid, so that the rest of the request is checked, too.
    request.model_spec.name = generator.choice(
        ["colours"] * 7 + ["", "m" * 5000, "../x"]
    )
    signature_name = generator.choice(SIGNATURES)
    request.model_spec.signature_name = signature_name
    names = generator.sample(["images", "x", "a", "b", "text", "é"], 2)
    if generator.random() < 0.8:
        names = INPUTS.get(signature_name, names)
    if generator.random() < 0.2:
        request.model_spec.version.value = generator.randrange(-(2**63), 2**63)
    for name in names:
        tensor = request.inputs[name]
        tensor.dtype = generator.choice([1, 7, generator.randrange(-1, 30)])
        for _ in range(generator.randrange(4)):
            size = generator.choice([0, 1, 2, 2**40, -1, 2**62])
            tensor.tensor_shape.dim.add(size=size)
        tensor.tensor_shape.unknown_rank = generator.random() < 0.05
        tensor.float_val.extend([float("nan")] * generator.randrange(3))
        tensor.string_val.extend(
            generator.choice([b"", image, image[:30], b"\xff\xd8\xff\xe0" * 40])
            for _ in range(generator.randrange(3))
        )
        if generator.random() < 0.3:
            tensor.tensor_content = generator.randbytes(generator.randrange(64))
    if generator.random() < 0.2:
        request.output_filter.extend(["y", "z", "y"])
    data = request.SerializeToString()
    if kind == 1:
        return data[: generator.randrange(len(data))]
    if kind == 2:
        changed = bytearray(data)
        for _ in range(3):
            changed[generator.randrange(len(changed))] = generator.randrange(256)
        return bytes(changed)
    return data


def attack(channel, message: bytes, method: str = "Predict") -> bool:
    """Send a message; return whether it had a status other than OK."""
    path = f"/tensorflow.serving.PredictionService/{method}"
    try:
        channel.unary_unary(path)(message, timeout=120)
    except grpc.RpcError as error:
        # A status of the server, not of a broken connection.
        assert error.code() is not grpc.StatusCode.UNAVAILABLE, error
        details = error.details() or ""
        assert "Traceback" not in details
        # An expected error, not an exception in the server.
        assert "internal error" not in details, message
        return True
    return False


def random_body(generator: random.Random) -> bytes:
    values = [
        None,
        True,
        1,
        -1.5,
        1e400,
        10**30,
        "a",
        "\ud800",
        [],
        {},
        [[1], 2],
        {"b64": "AA=="},
        {"b64": 5},
        [[[[[]]]]],
    ]
    document = {
        "signature_name": generator.choice([*SIGNATURES, 5, None]),
        generator.choice(["instances", "inputs", "examples"]): generator.choices(
            values, k=generator.randrange(4)
        ),
        "context": generator.choice([*values, {"x": 1.0}]),
    }
    body = json.dumps(document).encode()
    if generator.random() < 0.3:
        body = body[: generator.randrange(len(body))]
    return body


def send_random_body(server, generator: random.Random) -> None:
    verb = generator.choice(["predict", "classify", "regress"])
    url = f"{server.url}/v1/models/colours:{verb}"
    try:
        with urllib.request.urlopen(url, random_body(generator), timeout=60) as reply:
            assert reply.status == 200
    except urllib.error.HTTPError as error:
        with error:
            assert 400 <= error.code < 500, error.read()
            assert json.load(error)["error"]


PATHS = (
    "/v1/models/../../../etc/passwd",
    "/v1/models/..%2F..%2Fetc%2Fpasswd/metadata",
    "/v1/models/%00:predict",
    "/../../etc/passwd",
    "/v1/models/colours/versions/../../x:predict",
    "//etc/passwd",
    "/v1/models/" + "a" * 7000,
)


def send_path(server, path: str) -> None:
    with socket.create_connection(("localhost", server.rest_port), 30) as connection:
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        reply = b""
        while block := connection.recv(65536):
            reply += block
    assert reply.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404"))
    assert b"root:" not in reply


def bomb(side: int, rows: int | None = None) -> bytes:
    """Return a small PNG that claims `side` x `side` pixels, and has `rows` rows."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    packer = zlib.compressobj(9)
    row = bytes(1 + 3 * side)
    pixels = (
        b"".join(packer.compress(row) for _ in range(rows or side)) + packer.flush()
    )
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )


MIB = 2**20


def open_slowly(server, beginning: bytes) -> socket.socket:
    """Return a REST connection on which only the beginning of a request was sent."""
    connection = socket.create_connection(("localhost", server.rest_port), 30)
    connection.sendall(beginning)
    return connection


class HonestClient:
    """Sends good requests all the time, and records their duration."""

    def __init__(self, server, image: bytes) -> None:
        self.seconds: list[float] = []
        self._server = server
        self._image = image
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        with PredictionClient(
            self._server.target, name="colours", max_attempts=1
        ) as client:
            while not self._is_over.wait(0.05):
                begin = time.perf_counter()
                assert client.predict([self._image])[0].class_name == "red"
                self.seconds.append(time.perf_counter() - begin)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        assert self._thread.is_alive(), "a request of the honest client failed"
        self._is_over.set()
        self._thread.join()


def images_message(images: list[bytes]) -> bytes:
    choice = wire.ModelChoice(name="colours")
    return wire.images_request(choice, images).SerializeToString()


def memory_mib(server, kind: str = "VmRSS") -> float:
    with open(f"/proc/{server.process.pid}/status") as status:
        lines = dict(line.split(":", 1) for line in status)
    return int(lines[kind].split()[0]) / 1024
