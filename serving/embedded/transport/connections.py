"""Limits of descriptors, threads and connections, and a listener that keeps to them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

logger = logging.getLogger(__name__)

_MOST_CONNECTIONS = 16_384
"""For each of gRPC and REST; each connection takes memory, too."""
_MOST_DESCRIPTORS = 2**20
"""Where the hard limit is unlimited. Linux allows no more by default."""
_RESERVED_DESCRIPTORS = 128
"""For the models' files, threads and libraries."""
_THREAD_LIMITS = (
    Path("/sys/fs/cgroup/pids.max"),
    Path("/sys/fs/cgroup/pids/pids.max"),
)
"""Files of a container with its limit of threads; `pids.current` is beside each."""
_LOGGED_CHARACTERS = 200
"""Of what a client sent."""
_BACKLOG = 128
_ACCEPTS_AT_ONCE = 64
_PAUSE_SECONDS = 0.5


def raise_descriptor_limit() -> None:
    """Raise the soft limit of open files to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = _MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    except (OSError, ValueError) as error:
        logger.warning("The limit of open files stays as it is: %s", error)


def max_connections() -> int:
    """Return the most connections of gRPC, and the most of REST."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MOST_CONNECTIONS
    free = soft - min(_RESERVED_DESCRIPTORS, soft // 2)
    return max(1, min(_MOST_CONNECTIONS, free // 2))


def free_threads() -> int | None:
    """Return how many threads this process may still start; None if it has no limit.

    A limit of the user counts the threads of all processes of this user.
    """
    free = []
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    # It does not hold for root.
    if soft != resource.RLIM_INFINITY and os.geteuid():
        free.append(soft - _threads_of_user(os.geteuid()))
    for path in _THREAD_LIMITS:
        try:
            current = path.with_name("pids.current").read_text(encoding="ascii")
            free.append(int(path.read_text(encoding="ascii")) - int(current))
        except (OSError, ValueError):
            continue  # No such file, or `max`: no limit.
    return max(0, min(free)) if free else None


def _threads_of_user(user: int) -> int:
    count = 0
    for process in Path("/proc").iterdir():
        # It may have ended meanwhile.
        with contextlib.suppress(OSError):
            if process.name.isdecimal() and process.stat().st_uid == user:
                count += len(os.listdir(process / "task"))
    return count


def http_logger() -> logging.Logger:
    """Return the logger of the HTTP server: one line for what a client did wrong."""
    http = logger.getChild("http")
    http.addFilter(_without_trace)
    return http


def _without_trace(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        # aiohttp shows the bytes and marks the wrong one on further lines.
        what = error.message.partition("\n")[0].rstrip(":")[:_LOGGED_CHARACTERS]
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.args = "%s: %s", (record.getMessage(), what)
        record.exc_info = None
    return True


class RestListener:
    """Accepts connections for an HTTP server, and waits while there are too many.

    asyncio's own server logs a stack trace for each connection that it can't accept,
    and tries again at once.

    Args:
        server: Has the connections that are open.
        connect: Makes the protocol of a connection.
        limit: Most connections.
    """

    def __init__(
        self,
        server: web.Server,
        connect: Callable[[], asyncio.Protocol],
        limit: int,
    ) -> None:
        self._server = server
        self._new_protocol = connect
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._resumption: asyncio.TimerHandle | None = None

    async def start(self, host: str | None, port: int) -> None:
        """Listen.

        Args:
            host: Name or address; None for all addresses of IPv6 and IPv4.
            port: TCP port.

        Raises:
            OSError: If the port is taken or the host unknown.
        """
        # It binds, for a name to each of its addresses. We accept.
        bound = await self._loop.create_server(
            self._new_protocol, host, port, start_serving=False
        )
        self._sockets = [
            socket.socket(fileno=os.dup(s.fileno())) for s in bound.sockets
        ]
        bound.close()
        for each in self._sockets:
            each.setblocking(False)
            each.listen(_BACKLOG)
        self._resume()

    def close(self) -> None:
        """Accept no more connections."""
        self._pause(None)
        for each in self._sockets:
            each.close()
        self._sockets = []

    def _resume(self) -> None:
        self._resumption = None
        for each in self._sockets:
            self._loop.add_reader(each, self._accept, each)

    def _pause(self, seconds: float | None) -> None:
        """Accept nothing for a time, or for ever."""
        for each in self._sockets:
            self._loop.remove_reader(each)
        if self._resumption is not None:
            self._resumption.cancel()
            self._resumption = None
        if seconds is not None:
            self._resumption = self._loop.call_later(seconds, self._resume)

    def _accept(self, listening: socket.socket) -> None:
        room = self._limit - len(self._server.connections) - len(self._tasks)
        if room <= 0:
            logger.warning("%d REST connections are open; more wait", self._limit)
            self._pause(_PAUSE_SECONDS)
            return
        for _ in range(min(room, _ACCEPTS_AT_ONCE)):
            try:
                connection, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                logger.warning("A REST connection can't be accepted: %s", error)
                self._pause(_PAUSE_SECONDS)
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._connect(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self, connection: socket.socket) -> None:
        # A client that has gone again is no error.
        with contextlib.suppress(OSError):
            await self._loop.connect_accepted_socket(self._new_protocol, connection)
