"""Hostile requests: each gets a status, and none ends or blocks the server."""

from __future__ import annotations

import io
import json
import random
import threading
import time
import urllib.error
import urllib.request

import grpc
import pytest
from hostile_requests import (
    METHODS,
    MIB,
    PATHS,
    SLOW_BEGINNING,
    HonestClient,
    attack,
    bomb,
    images_message,
    memory_mib,
    open_slowly,
    random_message,
    send_path,
    send_random_body,
    still_serves,
)

from graft_client import PredictionClient, wire
from graft_client.protos import serving_pb2 as pb


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


def test_random_bodies(server, colours):
    generator = random.Random(3)
    for _ in range(300):
        send_random_body(server, generator)
    still_serves(server, colours)


@pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
def test_paths_lead_nowhere(server, path):
    send_path(server, path)


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
        # Beyond 100 MiB it is an empty document, as for the binary.
        assert caught.value.code == 400
    still_serves(server, colours)


def zeros(size: int) -> bytes:
    """Return a body of so many bytes with a value in every second one."""
    head, tail = b'{"signature_name": "line", "instances": [', b"0]}"
    return head + b"0," * ((size - len(head) - len(tail)) // 2) + tail


@pytest.mark.parametrize(
    ("body", "limit", "code"),
    [(b" " * (96 * MIB), 600 * MIB, 429), (zeros(96 * MIB), 2**35, 413)],
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
        before = memory_mib(server)
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
        assert memory_mib(server, "VmHWM") - before < 600
        still_serves(server, colours)


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
        before = memory_mib(server)
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
        assert memory_mib(server, "VmHWM") - before < 6 * 2 * 64
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
    for beginning in (
        b"GET /\x1b[2J HTTP/1.1\r\n\r\n",
        b"\x1b[2J /\r\n\r\n",
        b"GET /" + b"|" * 5000 + b" HTTP/1.1\r\n\r\n",
    ):
        with open_slowly(server, beginning) as connection:
            assert b" 400 " in connection.recv(1000)
    log = server.log.read_bytes()
    assert b"\\n2026-11-29 00:00:00,000 INFO forged" in log
    assert b"\n2026-11-29 00:00:00,000 INFO forged" not in log
    assert b"\x1b" not in log
    assert (
        b": Error handling request from 127.0.0.1: The target is no URI: /\\x1b" in log
    )
    assert b"Traceback" not in log
    assert log.count(b"forged") < 50
    assert b"|" * 100 in log
    assert b"|" * 200 not in log


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
    before = memory_mib(server)
    _ask_often(server, 100_000)
    assert memory_mib(server) < before + 20
