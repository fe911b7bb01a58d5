"""Hostile requests: each gets a status, and none ends or blocks the server."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import random
import resource
import socket
import struct
import threading
import time
import urllib.error
import urllib.request
import zlib

import grpc
import pytest

from graft_client import PredictionClient, wire
from graft_client.errors import CallError
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


def test_random_messages(server, colours):
    generator = random.Random(1)
    with grpc.insecure_channel(server.target) as channel:
        refused = [
            attack(
                channel,
                random_message(generator, colours["red"]),
                generator.choice(METHODS),
            )
            for _ in range(2000)
        ]
    assert sum(refused) > 1500
    still_serves(server, colours)
    assert server.process.poll() is None


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


def test_random_bodies(server, colours):
    generator = random.Random(3)
    for _ in range(300):
        send_random_body(server, generator)
    still_serves(server, colours)


PATHS = (
    "/v1/models/../../../etc/passwd",
    "/v1/models/..%2F..%2Fetc%2Fpasswd/metadata",
    "/v1/models/%00:predict",
    "/../../etc/passwd",
    "/v1/models/colours/versions/../../x:predict",
    "//etc/passwd",
    "/v1/models/" + "a" * 7000,
)


@pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
def test_paths_lead_nowhere(server, path):
    send_path(server, path)


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


def test_a_decompression_bomb_and_a_huge_image(server, colours):
    from PIL import Image

    with PredictionClient(
        server.target, name="colours", deadline_seconds=120
    ) as client:
        # Says 10 gigabytes: TensorFlow refuses before it unpacks anything.
        images = [bomb(60_000, rows=2), colours["green"], bomb(4000)]
        refused, good, large = client.predict_each(images)
        assert getattr(refused, "code", "") == "INVALID_ARGUMENT"
        assert good.class_name == "green"
        assert large.model_version == 1  # 16 KB for 48 MB of pixels: still an image.
        stream = io.BytesIO()
        Image.new("RGB", (16, 16)).save(stream, "PNG")
        padded = stream.getvalue() + bytes(100 * 2**20)
        (outcome,) = client.predict_each([padded])
        assert getattr(outcome, "code", "OK") in ("OK", "INVALID_ARGUMENT")
    still_serves(server, colours)


def test_a_gzip_bomb(server, colours):
    import gzip

    body = gzip.compress(b" " * (520 * 2**20), 1)
    request = urllib.request.Request(
        f"{server.url}/v1/models/colours:predict", body, {"Content-Encoding": "gzip"}
    )
    with pytest.raises((urllib.error.HTTPError, ConnectionError)) as caught:
        urllib.request.urlopen(request, timeout=120)
    if isinstance(caught.value, urllib.error.HTTPError):
        caught.value.close()
        assert caught.value.code == 413
    still_serves(server, colours)


MIB = 2**20


def zeros(size: int) -> bytes:
    """Return a body of so many bytes with a value in every second one."""
    head, tail = b'{"signature_name": "line", "instances": [', b"0]}"
    return head + b"0," * ((size - len(head) - len(tail)) // 2) + tail


@pytest.mark.parametrize(
    ("body", "limit", "code"),
    [(b" " * (200 * MIB), 600 * MIB, 429), (zeros(200 * MIB), 2**35, 413)],
    ids=["memory", "values"],
)
def test_compressed_bodies_hold_up_nobody(
    tmp_path, publish, run_server, colours, body, limit, code
):
    """Six posts of kilobytes that decompress to hundreds of megabytes."""
    import gzip

    publish(tmp_path / "colours", 1)
    flags = ("--model_name=colours", f"--model_base_path={tmp_path / 'colours'}")
    packed = gzip.compress(body, 9)
    del body
    codes = []

    def post():
        url = f"{server.url}/v1/models/colours:predict"
        request = urllib.request.Request(url, packed, {"Content-Encoding": "gzip"})
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=100)
        codes.append(caught.value.code)
        assert json.load(caught.value)["error"]
        caught.value.close()

    with run_server(
        tmp_path / "log", *flags, f"--max_request_memory_bytes={limit}"
    ) as server:
        still_serves(server, colours)
        before = _memory_mib(server)
        threads = [threading.Thread(target=post) for _ in range(6)]
        for thread in threads:
            thread.start()
        waits = []
        while any(thread.is_alive() for thread in threads):
            begin = time.perf_counter()
            with urllib.request.urlopen(f"{server.url}/v1/models/colours") as reply:
                assert reply.status == 200
            waits.append(time.perf_counter() - begin)
        assert codes == [code] * 6
        assert max(waits) < 3
        assert _memory_mib(server, "VmHWM") - before < 600
        still_serves(server, colours)


def test_slow_loris(server, colours):
    """Connections that never end a request don't delay others."""
    beginnings = [SLOW_BEGINNING, SLOW_BEGINNING + b"Content-Length: 1000\r\n\r\n{"]
    loris = []
    try:
        for number in range(150):
            port = server.rest_port if number % 3 else server.port
            connection = socket.create_connection(("localhost", port), 30)
            if port == server.port:
                # HTTP/2: the preface, settings, and then nothing.
                connection.sendall(
                    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4] + [0] * 5)
                )
            else:
                connection.sendall(beginnings[number % 2])
            loris.append(connection)
        still_serves(server, colours)
        url = f"{server.url}/v1/models/colours"
        with urllib.request.urlopen(url, timeout=30) as reply:
            assert reply.status == 200
    finally:
        for connection in loris:
            connection.close()


@pytest.fixture
def serve_colours(tmp_path, publish, run_server):
    """Starts a server of few threads with the given flags."""
    publish(tmp_path / "colours", 1)
    flags = ("--model_name=colours", f"--model_base_path={tmp_path / 'colours'}")

    def start(*more, **settings):
        return run_server(
            tmp_path / "log", *flags, "--grpc_max_threads=4", *more, **settings
        )

    return start


def test_one_connection_takes_not_all_calls(serve_colours, colours):
    with serve_colours() as server, silent_calls(server.target) as add:
        add(1000)
        still_serves(server, colours)


def test_calls_without_a_message_deny_nobody_for_long(serve_colours, colours):
    """The first ones end when more come, all others in time; honest clients stay."""
    with (
        serve_colours("--grpc_message_timeout_in_ms=6000") as server,
        PredictionClient(server.target, name="colours") as honest,
        silent_calls(server.target, num_connections=6) as add,
    ):
        honest.predict([colours["red"]])
        codes = add(600)
        begin = time.monotonic()
        while True:
            try:
                still_serves(server, colours)
                break
            except CallError as error:
                assert "RESOURCE_EXHAUSTED" in str(error)
                assert time.monotonic() < begin + 4
        time.sleep(1.5)
        # A few may still wait; they get the time that the flag gives.
        num_ended = len(codes())
        assert 500 < num_ended < 600
        still_serves(server, colours)
        time.sleep(begin + 7.5 - time.monotonic())
        assert len(codes()) == 600
        assert set(codes()) == {"CANCELLED", "RESOURCE_EXHAUSTED"}
        honest.predict([colours["red"]])


def test_silent_health_checks_end_too(serve_colours):
    flags = ("--grpc_message_timeout_in_ms=1500", "--enable_grpc_healthcheck_service")
    with serve_colours(*flags) as server:
        for method in ("Check", "Watch"):
            path = f"/grpc.health.v1.Health/{method}"
            with silent_calls(server.target, method=path) as add:
                codes = add(3)
                time.sleep(2)
                assert codes() == ["CANCELLED"] * 3


def test_watches_of_the_health_service_are_limited(serve_colours, colours):
    with (
        serve_colours("--enable_grpc_healthcheck_service") as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")
        watches = [watch(b"", timeout=60) for _ in range(64)]
        assert [next(each) for each in watches] == [b"\x08\x01"] * 64
        with pytest.raises(grpc.RpcError, match="Too many Watch calls"):
            next(watch(b""))
        still_serves(server, colours)
        watches.pop().cancel()
        time.sleep(0.5)
        assert next(watch(b"", timeout=60)) == b"\x08\x01"


@pytest.mark.parametrize(
    "compression", [grpc.Compression.Gzip, grpc.Compression.Deflate]
)
def test_compressed_messages_hold_up_nobody(serve_colours, colours, compression):
    """Six messages of kilobytes that decompress to 100 MB."""
    data = images_message([bytes(100 * MIB)])
    path = wire.PREDICT_METHOD
    codes = []

    def send():
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(
            server.target, options=options, compression=compression
        ) as channel:
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(path)(data, timeout=100)
            codes.append(caught.value.code().name)

    with serve_colours(f"--max_request_memory_bytes={2**32}") as server:
        still_serves(server, colours)
        before = _memory_mib(server)
        threads = [threading.Thread(target=send) for _ in range(6)]
        with HonestClient(server, colours["red"]) as honest:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert codes == ["RESOURCE_EXHAUSTED"] * 6
        # This process compresses the six messages meanwhile.
        assert max(honest.seconds) < 10
        # Each may grow to the limit for a message: 2**32 / 64 bytes.
        assert _memory_mib(server, "VmHWM") - before < 6 * 2 * 64
        with PredictionClient(server.target, name="colours") as client:
            assert client.predict([colours["red"]])[0].class_name == "red"


def test_a_compressed_message_is_answered(server, colours):
    choice = wire.ModelChoice(name="colours")
    data = wire.images_request(choice, [colours["red"]] * 3).SerializeToString()
    for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        with grpc.insecure_channel(server.target, compression=compression) as channel:
            reply = channel.unary_unary(wire.PREDICT_METHOD)(data, timeout=60)
        labels = pb.PredictResponse.FromString(reply).outputs["label"].string_val
        assert labels == [b"red"] * 3


@contextlib.contextmanager
def silent_calls(target, *, num_connections=1, method=wire.PREDICT_METHOD):
    """Give a function that begins so many calls without a message.

    It returns a function that gives the codes of the calls that have ended.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    channels, calls = [], []

    async def begin(number):
        if not channels:
            options = [("grpc.use_local_subchannel_pool", 1)]
            channels.extend(
                grpc.aio.insecure_channel(target, options=options)
                for _ in range(num_connections)
            )
        for place in range(number):
            call = channels[place % num_connections].stream_unary(method)
            calls.append(call())
        await asyncio.sleep(1)

    async def codes():
        return [(await call.code()).name for call in calls if call.done()]

    async def end():
        for call in calls:
            call.cancel()
        await asyncio.gather(*(channel.close() for channel in channels))

    def run(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    def add(number):
        run(begin(number))
        return lambda: run(codes())

    try:
        yield add
    finally:
        run(end())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def limited(descriptors: str) -> tuple[str, ...]:
    """Return a command that runs another one with a limit of open files."""
    return ("sh", "-c", f'ulimit {descriptors} && exec "$@"', "sh")


def _cpu_seconds(server) -> float:
    with open(f"/proc/{server.process.pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_limit_of_open_files_is_raised(serve_colours):
    with serve_colours(wrapper=limited("-S -n 200")) as server:
        soft, hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        assert soft == hard > 200


def test_at_the_limit_of_open_files_it_waits(serve_colours, colours):
    """No spinning, a short log, and present connections are served."""
    with (
        serve_colours(
            "--rest_api_timeout_in_ms=6000", wrapper=limited("-n 300")
        ) as server,
        PredictionClient(server.target, name="colours") as honest,
        contextlib.ExitStack() as stack,
    ):
        honest.predict([colours["red"]])
        for _ in range(400):
            for port in (server.port, server.rest_port):
                with contextlib.suppress(OSError):
                    connection = socket.create_connection(("localhost", port), 0.2)
                    stack.enter_context(connection)
        time.sleep(1)
        before = _cpu_seconds(server), server.log.stat().st_size
        for _ in range(10):
            assert honest.predict([colours["red"]])[0].class_name == "red"
            time.sleep(0.2)
        assert _cpu_seconds(server) - before[0] < 1
        assert server.log.stat().st_size - before[1] < 5000
        assert len(os.listdir(f"/proc/{server.process.pid}/fd")) < 290
        # Silent REST connections end in time, and others get their turn.
        stack.close()
        with urllib.request.urlopen(f"{server.url}/v1/models/colours") as reply:
            assert reply.status == 200
        still_serves(server, colours)


def test_names_do_not_write_into_the_log(server):
    from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

    request = model_management_pb2.ReloadConfigRequest()
    name = "m\n2026-11-29 00:00:00,000 INFO forged: all is well\r\x1b[2J"
    request.config.model_config_list.config.add(
        name=name, base_path="relative", model_platform="tensorflow"
    )
    with grpc.insecure_channel(server.target) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        for _ in range(100):
            with pytest.raises(grpc.RpcError, match="absolute path"):
                stub.HandleReloadConfigRequest(request, timeout=20)
    for beginning in (b"GET /\x1b[2J HTTP/1.1\r\n\r\n", b"\x1b[2J /\r\n\r\n"):
        with open_slowly(server, beginning) as connection:
            assert b" 400 " in connection.recv(1000)
    log = server.log.read_bytes()
    assert b"\\n2026-11-29 00:00:00,000 INFO forged" in log
    assert b"\n2026-11-29 00:00:00,000 INFO forged" not in log
    assert b"\x1b" not in log
    assert log.count(b"forged") < 50


def test_a_request_that_never_ends_is_cut_off(tmp_path, publish, run_server, colours):
    """Headers or a body that arrive byte by byte end after the time-out."""
    base_path = tmp_path / "colours"
    publish(base_path, 1)
    flags = (
        "--model_name=colours",
        f"--model_base_path={base_path}",
        "--rest_api_timeout_in_ms=1500",
    )
    with run_server(tmp_path / "log", *flags) as impatient:
        header = open_slowly(impatient, SLOW_BEGINNING + b"X-Slow: ")
        body = open_slowly(impatient, SLOW_BEGINNING + b"Content-Length: 1000\r\n\r\n{")
        idle = open_slowly(impatient, b"")
        still_serves(impatient, colours)
        assert read_while_sending(header) == b""
        assert read_while_sending(body).startswith(b"HTTP/1.1 504")
        assert read_while_sending(idle) == b""
        still_serves(impatient, colours)


def open_slowly(server, beginning: bytes) -> socket.socket:
    connection = socket.create_connection(("localhost", server.rest_port), 30)
    connection.sendall(beginning)
    return connection


def read_while_sending(connection: socket.socket, limit_seconds: float = 15) -> bytes:
    """Send a byte now and then until the server ends the connection."""
    reply = b""
    connection.settimeout(0.3)
    end = time.monotonic() + limit_seconds
    with connection:
        while time.monotonic() < end:
            try:
                block = connection.recv(65536)
                reply += block
                if not block:
                    return reply
                continue
            except TimeoutError:
                pass
            except ConnectionError:
                return reply
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"x")
    raise AssertionError(f"still open after {limit_seconds} s; it said {reply!r}")


def test_a_client_that_leaves_costs_nothing(server, colours):
    choice = wire.ModelChoice(name="colours")
    request = wire.images_request(choice, [colours["red"]] * 500)
    with grpc.insecure_channel(server.target) as channel:
        call = channel.unary_unary(
            wire.PREDICT_METHOD, request_serializer=pb.PredictRequest.SerializeToString
        )
        # More than the server accepts at once: the earlier ones freed their threads.
        for _ in range(150):
            future = call.future(request)
            time.sleep(0.002)
            future.cancel()
    still_serves(server, colours)


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


@pytest.mark.large
def test_ten_thousand_hostile_requests(server, colours):
    """Many requests of all kinds, mixed. Large: takes minutes."""
    generator = random.Random(2)
    large = colours["blue"] + bytes(100 * 2**20)
    bombs = [bomb(60_000, rows=2), bomb(4000)]
    refused, loris = 0, []
    with (
        HonestClient(server, colours["red"]) as honest,
        grpc.insecure_channel(
            server.target, options=wire.channel_options(max_attempts=1)
        ) as channel,
    ):
        for number in range(10_000):
            kind = generator.random()
            if number % 2500 == 1:
                refused += attack(channel, images_message([large]))
            elif number % 500 == 2:
                refused += attack(channel, images_message(bombs))
            elif kind < 0.02:
                loris.append(open_slowly(server, SLOW_BEGINNING))
            elif kind < 0.05:
                send_path(server, generator.choice(PATHS))
            elif kind < 0.3:
                send_random_body(server, generator)
            else:
                message = random_message(generator, colours["red"])
                refused += attack(channel, message, generator.choice(METHODS))
    for connection in loris:
        connection.close()
    assert refused > 5000
    assert len(loris) > 150
    assert max(honest.seconds) < 30
    still_serves(server, colours)


def images_message(images: list[bytes]) -> bytes:
    choice = wire.ModelChoice(name="colours")
    return wire.images_request(choice, images).SerializeToString()


def _memory_mib(server, kind: str = "VmRSS") -> float:
    with open(f"/proc/{server.process.pid}/status") as status:
        lines = dict(line.split(":", 1) for line in status)
    return int(lines[kind].split()[0]) / 1024


def _ask_often(server, count: int) -> None:
    request = pb.PredictRequest()
    request.model_spec.name = "colours"
    request.model_spec.signature_name = "line"
    request.inputs["x"].dtype = 1
    request.inputs["x"].tensor_shape.dim.add(size=1)
    request.inputs["x"].float_val.append(1)
    data = request.SerializeToString()
    with grpc.insecure_channel(server.target) as channel:
        call = channel.unary_unary(wire.PREDICT_METHOD)
        for _ in range(count // 40):
            for future in [call.future(data, timeout=60) for _ in range(40)]:
                future.result()


@pytest.mark.large
def test_memory_stays_flat(server):
    """Large: a hundred thousand tiny requests take minutes."""
    _ask_often(server, 20_000)
    before = _memory_mib(server)
    _ask_often(server, 100_000)
    assert _memory_mib(server) < before + 20
