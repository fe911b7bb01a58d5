"""REST byte by byte: what a client writes to the socket, and what it reads."""

from __future__ import annotations

import json
import socket
import urllib.parse

import pytest

BODY = b'{"signature_name": "line", "instances": [1]}'
REPLY = b'{"predictions": [4.0]}'
PATH = "/v1/models/colours:predict"


class Client:
    """A connection to a server's REST port."""

    def __init__(self, server, family=socket.AF_INET, host="127.0.0.1"):
        port = urllib.parse.urlsplit(server.url).port
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.settimeout(20)
        self._socket.connect((host, port))
        self._file = self._socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self._file.close()
        self._socket.close()

    def send(self, data):
        self._socket.sendall(data)

    def ask(self, target=PATH, *, method="POST", body=BODY, headers=(), version="1.1"):
        lines = [f"{method} {target} HTTP/{version}", *headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode() + (body or b""))
        return self.read()

    def read(self):
        """Return (status, headers, body) of one reply."""
        status, headers = self.read_head()
        length = int(headers.get("content-length", 0))
        return status, headers, self._file.read(length)

    def end(self):
        """Tell the server that nothing more will be sent."""
        self._socket.shutdown(socket.SHUT_WR)

    def is_closed(self):
        """Whether the server has ended the connection."""
        return self._file.read(1) == b""

    def read_head(self):
        """Return (status, headers) of a reply, and leave its body unread."""
        status = int(self._file.readline().split()[1])
        headers = {}
        while (line := self._file.readline().strip()) != b"":
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return status, headers


@pytest.fixture
def client(server):
    with Client(server) as connected:
        yield connected


HOST = "Host: localhost"


def test_a_client_that_waits_is_told_to_go_on(client):
    """curl asks this for a body above 1 MB, and Java's client for each one."""
    head = f"POST {PATH} HTTP/1.1\r\n{HOST}\r\nContent-Length: {len(BODY)}\r\n"
    client.send(f"{head}Expect: 100-continue\r\n\r\n".encode())
    assert client.read() == (100, {}, b"")
    client.send(BODY)
    status, _, body = client.read()
    assert (status, body) == (200, REPLY)
    # The connection stays usable.
    assert client.ask(headers=[HOST])[0] == 200


@pytest.mark.parametrize("expectation", ["100-Continue", "100-continue"])
def test_a_client_that_does_not_wait_is_answered(client, expectation):
    status, _, body = client.ask(headers=[HOST, f"Expect: {expectation}"])
    if status == 100:
        status, _, body = client.read()
    assert (status, body) == (200, REPLY)


@pytest.mark.parametrize("expectation", ["something", ""])
def test_another_expectation_fails(client, expectation):
    headers = [HOST, f"Expect: {expectation}"]
    assert client.ask(headers=headers, body=b"{}")[0] == 417


def test_without_a_body_nothing_is_expected(client):
    headers = [HOST, "Expect: something"]
    status, _, _ = client.ask(
        "/v1/models/colours", method="GET", headers=headers, body=None
    )
    assert status == 200


def test_a_client_that_goes_leaves_no_trace(server):
    with Client(server) as client:
        head = f"POST {PATH} HTTP/1.1\r\n{HOST}\r\nContent-Length: 1000\r\n\r\n"
        client.send(head.encode() + b"{")
    with Client(server) as client:
        assert client.ask(headers=[HOST])[0] == 200
    assert "Traceback" not in server.log.read_text()


SLOW = b'{"signature_name": "slow", "instances": [300]}'


@pytest.mark.parametrize(
    ("bodies", "last"),
    [((BODY,), REPLY), ((SLOW,), None), ((SLOW, BODY, BODY), REPLY)],
    ids=["fast", "slow", "several"],
)
def test_a_client_may_end_its_side_after_its_requests(client, bodies, last):
    for body in bodies:
        head = f"POST {PATH} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
        client.send(head.encode() + body)
    client.end()
    replies = [client.read() for _ in bodies]
    assert [status for status, _, _ in replies] == [200] * len(bodies)
    assert last in (None, replies[-1][2])
    assert client.is_closed()


@pytest.mark.parametrize(
    "sent",
    [b"", f"POST {PATH} HTTP/1.1\r\nContent-Length: 9\r\n\r\n{{".encode()],
    ids=["idle", "in-the-body"],
)
def test_a_client_that_ends_too_early_gets_no_reply(client, sent):
    client.send(sent)
    client.end()
    assert client.is_closed()


def test_http_1_0_expects_nothing(client):
    headers = [HOST, "Expect: 100-continue"]
    status, _, body = client.ask(headers=headers, version="1.0")
    assert (status, body) == (200, REPLY)


def test_the_content_type_has_no_parameters(client):
    assert client.ask(headers=[HOST])[1]["content-type"] == "application/json"
    status, headers, _ = client.ask(headers=[HOST], body=b"")
    assert (status, headers["content-type"]) == (400, "application/json")


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        (f"http://localhost:8501{PATH}", [HOST]),
        (f"HTTP://proxy{PATH}", [HOST]),
        (PATH, [HOST, "Authorization: Bearer " + "j" * 9000]),
        (PATH, [HOST, "Cookie: " + "c" * 100_000]),
    ],
    ids=["absolute", "absolute-upper", "token", "long-cookie"],
)
def test_targets_and_headers_that_clients_send(client, target, headers):
    status, _, body = client.ask(target, headers=headers)
    assert (status, body) == (200, REPLY)


def test_no_host_is_needed(client):
    status, _, body = client.ask()
    assert (status, body) == (200, REPLY)


def test_no_host_twice_on_one_connection(client):
    """A body of one request and the head of the next one come in one packet."""
    head = f"POST {PATH} HTTP/1.1\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
    client.send(head + BODY + head + BODY)
    assert [client.read()[::2] for _ in range(2)] == [(200, REPLY)] * 2


@pytest.mark.parametrize(
    "headers",
    [
        ["Host: a", "Host: b"],
        [HOST, "Content-Type: text/plain", "content-type: application/json"],
        [HOST, "User-Agent: a", "User-Agent: b"],
        [HOST, "X-Note: first", "  second", "\tthird: x"],
    ],
    ids=["hosts", "types", "agents", "folded"],
)
def test_headers_that_libevent_takes(client, headers):
    status, _, body = client.ask(headers=headers)
    assert (status, body) == (200, REPLY)


def test_a_folded_header_is_one_value(client):
    """It is the encoding that counts here: without it, the body would be no JSON."""
    import gzip

    headers = [HOST, "Content-Encoding:", " gzip"]
    status, _, body = client.ask(headers=headers, body=gzip.compress(BODY))
    assert (status, body) == (200, REPLY)


def error_page(status, phrase):
    return (
        f"<HTML><HEAD>\n<TITLE>{status} {phrase}</TITLE>\n</HEAD><BODY>\n"
        f"<H1>{phrase}</H1>\n</BODY></HTML>\n"
    ).encode()


@pytest.mark.parametrize(
    "line",
    [
        "GET /v1/models/a|b HTTP/1.1",
        "GET /v1/models/%zz HTTP/1.1",
        "GET /v1/models/%4 HTTP/1.1",
        "GET /v1/models/\u00e4 HTTP/1.1",
        "GET /v1/models/a b HTTP/1.1",
        "GET 1:models HTTP/1.1",
        "GET http://h:70000/v1/models/colours HTTP/1.1",
        "GET http://[::g]/v1/models/colours HTTP/1.1",
        "GET /v1/models/colours HTTP/2.0",
        "GET /v1/models/colours HTTP/1.x",
        "GET /v1/models/colours",
        "CONNECT a^b HTTP/1.1",
        "\x1b[2J / HTTP/1.1",
    ],
)
def test_a_malformed_first_line(client, line):
    client.send(f"{line}\r\n{HOST}\r\n\r\n".encode())
    status, headers, body = client.read()
    assert (status, body) == (400, error_page(400, "Bad Request"))
    assert headers["content-type"] == "text/html"
    assert headers["connection"] == "close"
    assert client.is_closed()


@pytest.mark.parametrize(
    "lines",
    [
        ["no colon"],
        [" folded: first"],
        ["Content-Length: -1"],
        ["Content-Length: 1x"],
        # Here the binary is not as strict.
        ["Content-Length: +1"],
        ["Content-Length: 1", "Content-Length: 2"],
        ["Content-Length: 1", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: identity"],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: chunked, chunked"],
        ["Two Words: x"],
        ["Host : x"],
        ["X: \x00"],
    ],
)
def test_malformed_headers(client, lines):
    head = "\r\n".join([f"POST {PATH} HTTP/1.1", *lines, "", ""])
    client.send(head.encode() + b"x")
    status, _, body = client.read()
    assert (status, body) == (400, error_page(400, "Bad Request"))
    assert client.is_closed()


def test_a_chunk_may_have_an_extension(client):
    """A difference from the binary, which wants a blank before it."""
    head = f"POST {PATH} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x;a=b\r\n%s\r\n" % (len(BODY), BODY)
    client.send(head.encode() + chunk + b"0\r\n\r\n")
    status, _, body = client.read()
    assert (status, body) == (200, REPLY)


def test_the_body_of_a_head_request_is_left_out(client):
    """A difference from the binary, which reads it as the next request."""
    client.send(b"HEAD /v1/models/colours HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody")
    assert client.read_head()[0] == 400
    assert client.ask("/v1/models/colours", method="GET", body=None)[0] == 200


def test_line_ends_need_a_carriage_return(client):
    """A difference from the binary."""
    client.send(b"GET /v1/models/colours HTTP/1.1\n\n")
    assert client.read()[0] == 400


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "LINK", "get"])
def test_other_methods_are_not_implemented(client, method):
    target = "localhost:80" if method == "CONNECT" else "/v1/models/colours"
    status, headers, body = client.ask(target, method=method, body=None)
    assert (status, body) == (501, error_page(501, "Not Implemented"))
    assert headers["connection"] == "close"
    assert client.is_closed()


@pytest.mark.parametrize("target", ["/v2/x", "v1/models/colours", "*", "//v1/models"])
def test_other_paths_are_not_found(client, target):
    status, headers, body = client.ask(target, method="GET", body=None)
    assert (status, body) == (404, error_page(404, "Not Found"))
    assert headers["content-type"] == "text/html"


def test_a_head_request_gets_no_body(client):
    client.send(b"HEAD /v1/models/colours HTTP/1.1\r\n\r\n")
    client.send(b"GET /v1/models/colours HTTP/1.1\r\n\r\n")
    assert client.read_head()[0] == 400
    assert client.read()[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([f"X-{number}: x" for number in range(125)], 200),
        ([f"X-{number}: x" for number in range(126)], 400),
        (["X: " + "x" * (2**20 - 3)], 200),
        (["X: " + "x" * (2**20 - 2)], 400),
    ],
    ids=["many", "too-many", "long", "too-long"],
)
def test_limits_of_headers(client, headers, status):
    """One more is the length of the body."""
    assert client.ask(headers=headers)[0] == status


def test_a_body_over_its_limit_is_not_waited_for(client):
    head = f"POST {PATH} HTTP/1.1\r\nContent-Length: {2**28 + 1}\r\n\r\n"
    client.send(head.encode())
    status, _, body = client.read()
    assert (status, body) == (
        413,
        b'{"error": "The body is larger than 268435456 bytes"}',
    )


def test_the_server_is_named(client):
    """A difference from the binary, which sends no such header."""
    assert "aiohttp" in client.ask()[1]["server"]


def test_a_long_target_is_read(client):
    target = f"/v1/models/{'m' * 20_000}"
    status, _, body = client.ask(target, method="GET", headers=[HOST], body=None)
    assert status == 404
    assert b"Could not find any versions of model mmm" in body


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (["Origin: https://example.org"], 200),
        (["Origin: null"], 400),
        ([], 400),
    ],
)
def test_preflight(client, headers, status):
    found, replied, body = client.ask(
        method="OPTIONS", headers=[HOST, *headers], body=None
    )
    assert (found, body) == (status, b"")
    # Not allowed unless the flag says so.
    assert not [name for name in replied if name.startswith("access-control")]


def test_other_methods_are_malformed(client):
    status, _, body = client.ask(method="PUT", headers=[HOST])
    assert status == 400
    assert json.loads(body)["error"] == f"Malformed request: PUT {PATH}"


def test_metrics_take_no_query(client):
    path = "/monitoring/prometheus/metrics"
    assert client.ask(path, method="GET", headers=[HOST], body=None)[0] == 200
    status, headers, body = client.ask(
        f"{path}?x", method="GET", headers=[HOST], body=None
    )
    assert status == 400
    assert body == f"Unexpected path: {path}?x. Should be {path}".encode()
    assert headers["content-type"].startswith("text/plain")


def test_cors_headers_and_ipv6(run_server, tmp_path, publish):
    publish(tmp_path / "colours", 1)
    flags = (
        "--host=0.0.0.0",
        "--model_name=colours",
        f"--model_base_path={tmp_path / 'colours'}",
        "--rest_api_enable_cors_support",
    )
    with run_server(tmp_path / "log", *flags) as running, Client(running) as client:
        headers = client.ask(headers=[HOST])[1]
        assert headers["access-control-allow-origin"] == "*"
        headers = client.ask("/v1/models/m", method="GET", headers=[HOST], body=None)[1]
        assert headers["access-control-allow-methods"] == "POST, GET"
        origin = "Origin: http://localhost:3000"
        status, headers, _ = client.ask(
            method="OPTIONS", headers=[HOST, origin], body=None
        )
        assert (status, headers["access-control-allow-headers"]) == (
            200,
            "Content-Type",
        )
        with Client(running, socket.AF_INET6, "::1") as other:
            assert other.ask(headers=[HOST])[0] == 200
