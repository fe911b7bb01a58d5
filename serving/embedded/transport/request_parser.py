"""Parse the head of an HTTP request as TensorFlow Serving does, which uses libevent.

aiohttp's parser keeps closer to the standard. Where that changes what a client sees,
this module reads a head first. What decides where a request ends (`Content-Length`,
`Transfer-Encoding`, line ends) stays as strict as in aiohttp.
"""

from __future__ import annotations

import ipaddress
import re

from aiohttp.http_exceptions import BadHttpMessage, BadStatusLine
from aiohttp.http_parser import HttpRequestParserPy, RawRequestMessage

_PATH = r"(?:[\w.~!$&'()*+,;=:@/-]|%[0-9a-fA-F]{2})*"
_QUERY = r"(?:[\w.~!$&'()*+,;=:@/?-]|%[0-9a-fA-F]{2})*"
_TARGET = re.compile(
    r"(?:(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*):)?(?://(?P<authority>[^/?#]*))?"
    rf"(?P<path>{_PATH})(?P<query>\?{_QUERY})?(?P<fragment>#{_QUERY})?",
    re.ASCII,
)
"""A reference to a resource (RFC 3986)."""
_AUTHORITY = re.compile(
    r"(?:(?:[\w.~!$&'()*+,;=:-]|%[0-9a-fA-F]{2})*@)?"
    r"(?:\[(?P<address>[0-9a-fA-F:.]+)\]|(?:[\w.~!$&'()*+,;=-]|%[0-9a-fA-F]{2})*)"
    r"(?::(?P<port>[0-9]*))?",
    re.ASCII,
)
_MAX_PORT = 65_535
_FIRST_COUNTS = frozenset((b"host", b"content-type", b"user-agent"))
"""Of several headers with one of these names libevent reads the first."""


def path_of(target: str) -> str:
    """Return the path of a request's target, with its query and fragment.

    Raises:
        ValueError: If it is no reference by RFC 3986.
    """
    match = _TARGET.fullmatch(target)
    if match is None:
        raise ValueError("not a URI")
    scheme, authority, path = match["scheme"], match["authority"], match["path"]
    if authority is not None:
        _check_authority(authority)
        if path and not path.startswith("/"):
            raise ValueError("the path does not begin with a slash")
    elif path.startswith("//"):
        raise ValueError("no authority")
    if scheme is None and ":" in path.partition("/")[0]:
        raise ValueError("the first part of the path has a colon")
    return path + (match["query"] or "") + (match["fragment"] or "")


def _check_authority(authority: str) -> None:
    match = _AUTHORITY.fullmatch(authority)
    if match is None or int(match["port"] or 0) > _MAX_PORT:
        raise ValueError("not a host and a port")
    if match["address"] is not None:
        ipaddress.IPv6Address(match["address"])


class RequestParser(HttpRequestParserPy):
    """aiohttp's parser, which also takes what libevent takes.

    - HTTP/1.1 without a Host header
    - several Host, Content-Type or User-Agent headers
    - folded header lines
    - blanks after the version

    A message's path is the path of its target with query and fragment. Its method is
    as it was sent: `get` is not `GET`.
    """

    @property
    def is_in_body(self) -> bool:
        """Whether a part of the body is still to come."""
        return self._payload_parser is not None

    def parse_message(self, lines: list[bytes]) -> RawRequestMessage:
        """Return the head in these lines, of which the last one is empty.

        Raises:
            BadHttpMessage: If it is malformed.
        """
        request_line = lines[0].rstrip(b" ").decode("utf-8", "surrogateescape")
        method, _, rest = request_line.partition(" ")
        target, _, version = rest.rpartition(" ")
        is_connect = method == "CONNECT"
        try:
            if is_connect:
                # Its target is a host. No method but this one has such a target.
                _check_authority(target)
                path = target
            else:
                path = path_of(target)
        except ValueError:
            raise BadHttpMessage(f"The target is no URI: {target}") from None
        # The target is checked: aiohttp, whose rules differ, sees another one.
        line = f"{method} {'localhost:80' if is_connect else '/'} {version}"
        message = super().parse_message(
            [line.encode("utf-8", "surrogateescape"), *_headers(lines[1:])]
        )
        if message.version.major > 1:
            raise BadStatusLine(request_line)
        encodings = message.headers.getall("Transfer-Encoding", ["chunked"])
        if [each.strip().lower() for each in encodings] != ["chunked"]:
            raise BadHttpMessage(f"Transfer-Encoding: {', '.join(encodings)}")
        return message._replace(method=method, path=path)


def _headers(lines: list[bytes]) -> list[bytes]:
    """Return header lines as aiohttp takes them: unfolded, and each of some names once.

    Without a Host header, an empty one is added: aiohttp demands it for HTTP/1.1.
    """
    found: list[bytes] = []
    for line in lines:
        if found and line[:1] in (b" ", b"\t"):
            found[-1] += b" " + line.strip(b" \t")
        else:
            found.append(line)
    seen: set[bytes] = set()
    kept: list[bytes] = []
    for line in found:
        name = line.partition(b":")[0].lower()
        if name not in _FIRST_COUNTS or name not in seen:
            kept.append(line)
        seen.add(name)
    return kept if b"host" in seen else [b"Host:", *kept]
