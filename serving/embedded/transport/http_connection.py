"""A REST connection: what it parses, and how it answers a malformed request."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from graft.serving.embedded.transport.request_parser import RequestParser

MAX_LINE_BYTES = 2**20
"""Longest line of a header; TensorFlow Serving has no limit."""
_READ_BYTES = 2**18


def page(status: int) -> web.Response:
    """Return libevent's page for an error, after which it closes the connection."""
    phrase = HTTPStatus(status).phrase
    text = (
        f"<HTML><HEAD>\n<TITLE>{status} {phrase}</TITLE>\n</HEAD><BODY>\n"
        f"<H1>{phrase}</H1>\n</BODY></HTML>\n"
    )
    response = web.Response(
        status=status,
        body=text.encode("ascii"),
        headers={"Content-Type": "text/html", "Connection": "close"},
    )
    response.force_close()
    return response


class HttpConnection(RequestHandler):
    """aiohttp's connection of a server, with our parser and libevent's error pages.

    Args:
        server: Answers the requests.
        logger: Logs what clients did wrong.
        keepalive_timeout: Seconds from the start of the connection, or the last reply,
            to the end of the next header.
    """

    __slots__ = ("_has_ended",)

    def __init__(
        self, server: web.Server, *, logger: logging.Logger, keepalive_timeout: float
    ) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(
            server,
            loop=loop,
            logger=logger,
            keepalive_timeout=keepalive_timeout,
            access_log=None,  # type: ignore[arg-type]
            read_bufsize=_READ_BYTES,
        )
        self._has_ended = False
        # aiohttp has no option for its parser. This replaces what it has just made.
        self._parser = RequestParser(
            self,
            loop,
            _READ_BYTES,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
            payload_exception=web.RequestPayloadError,
            # Bodies are decompressed on other threads, and within limits.
            auto_decompress=False,
            max_msg_queue_size=self._max_msg_queue_size,
        )

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what has arrived: a client may end its side after its last request.

        Returns:
            Whether the connection stays open.
        """
        is_idle = self._waiter is not None and not self._messages
        parser = self._parser
        if is_idle or not isinstance(parser, RequestParser) or parser.is_in_body:
            return False
        self._has_ended = True
        self._end_after_last_reply()
        return True

    def _end_after_last_reply(self) -> None:
        if self._has_ended and not self._messages:
            self.close()

    async def finish_response(
        self,
        request: web.BaseRequest,
        resp: web.StreamResponse,
        start_time: float | None,
    ) -> tuple[web.StreamResponse, bool]:
        """Send a reply; the connection ends after the last one of a client that left.

        Returns:
            The reply, and whether the client has gone.
        """
        sent = await super().finish_response(request, resp, start_time)
        self._end_after_last_reply()
        return sent

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Log an error, and return its page."""
        super().handle_error(request, status, exc, message)
        return page(status)


def http_server(handler: Any) -> web.Server:
    """Return a server whose handler gets each request as aiohttp's `BaseRequest`."""
    return web.Server(handler, request_factory=_build_request)


def _build_request(
    message: Any, payload: Any, protocol: Any, writer: Any, task: Any
) -> web.BaseRequest:
    return web.BaseRequest(
        message, payload, protocol, writer, task, asyncio.get_running_loop()
    )
