"""Connections that are slow, silent or many: none blocks the server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import socket
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import grpc
import pytest
from hostile_requests import SLOW_BEGINNING, open_slowly, still_serves

from graft_client import PredictionClient, wire
from graft_client.errors import CallError
from graft_client.protos import serving_pb2 as pb


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


def test_one_connection_takes_not_all_calls(serve_colours, colours):
    with serve_colours() as server, silent_calls(server.target) as add:
        add(1000)
        still_serves(server, colours)


def test_calls_without_a_message_deny_nobody_for_long(serve_colours, colours):
    """The first ones end when more come, all others in time; honest clients stay."""
    with (
        serve_colours("--grpc_message_timeout_in_ms=12000") as server,
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
                assert time.monotonic() < begin + 10
        while len(codes()) <= 500:
            assert time.monotonic() < begin + 10
            time.sleep(0.2)
        # A few may still wait; they get the time that the flag gives.
        assert len(codes()) < 600
        still_serves(server, colours)
        while len(codes()) < 600:
            assert time.monotonic() < begin + 60
            time.sleep(0.2)
        # None is refused if the first ones end before the last ones begin.
        assert {"CANCELLED"} <= set(codes()) <= {"CANCELLED", "RESOURCE_EXHAUSTED"}
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


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="as root only: it starts a server as a user that has no other threads",
)
def test_a_container_of_few_threads_and_files(model_versions, run_server, colours):
    """128 threads and 256 files: calls beyond them are refused, and it stays alive.

    grpcio's server ends for good where a thread can't be started.
    """
    # The tests' own folders are closed to the other user.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        base_path = Path(folder) / "colours"
        shutil.copytree(model_versions[0], base_path / "1")
        for path in (Path(folder), *Path(folder).rglob("*")):
            path.chmod(0o755)
        wrapper = ("setpriv", "--reuid=54321", "--clear-groups")
        wrapper += ("env", f"HOME={folder}", "prlimit", "--nproc=128", "--nofile=256")
        flags = ("--model_name=colours", f"--model_base_path={base_path}")
        with (
            run_server(Path(folder) / "log", *flags, wrapper=wrapper) as server,
            silent_calls(server.target, num_connections=20) as add,
        ):
            add(400)
            # The calls that wait longer than a second make room for others.
            for _ in range(3):
                time.sleep(2)
                still_serves(server, colours)
            threads = os.listdir(f"/proc/{server.process.pid}/task")
            assert len(threads) < 128
            assert "can't start new thread" not in server.log.read_text()


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
