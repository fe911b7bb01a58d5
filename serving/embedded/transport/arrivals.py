"""Wait for the messages of gRPC calls, and end calls whose message does not come.

A call holds a thread of grpcio from its header on, and its message takes memory before
anyone sees its size. So a call may wait for its message for a limited time only. Of
those that wait longer than a moment, only a limited number may go on. Beyond it, the
call that has waited longest is ended, so that new calls are always taken.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

logger = logging.getLogger(__name__)

MOMENT_SECONDS = 1.0
"""Longer than an honest message takes on a busy server, unless it is large or its
network is slow."""
_CHECK_SECONDS = 0.25


class Arrivals:
    """Reads the messages of calls, and cancels calls that wait too long.

    Args:
        timeout_seconds: Longest time for a message to arrive.
        max_waiting: Most calls that wait longer than `MOMENT_SECONDS`.
    """

    def __init__(self, *, timeout_seconds: float, max_waiting: int) -> None:
        self._timeout_seconds = timeout_seconds
        self._max_waiting = max_waiting
        self._lock = threading.Lock()
        # In the order in which they began to wait.
        self._waiting: dict[int, tuple[float, Any]] = {}
        self._numbers = itertools.count()
        self._is_closed = threading.Event()
        self._thread = threading.Thread(
            target=self._watch, name="grpc-arrivals", daemon=True
        )

    def start(self) -> None:
        """Begin to cancel calls that wait too long."""
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._is_closed.set()

    def read(self, messages: Iterator[bytes], context: Any) -> bytes | None:
        """Return the message of a call, or None if it ended without one.

        Args:
            messages: The call's messages, from grpcio.
            context: The call's context.

        Raises:
            grpc.RpcError: If the call was cancelled, here or by its client.
        """
        number = next(self._numbers)
        with self._lock:
            self._waiting[number] = (time.monotonic(), context)
        try:
            return next(messages, None)
        finally:
            with self._lock:
                del self._waiting[number]

    def _watch(self) -> None:
        while not self._is_closed.wait(_CHECK_SECONDS):
            ended = self._overdue(time.monotonic())
            for context in ended:
                context.cancel()
            if ended:
                logger.warning(
                    "%d gRPC calls were ended: their message did not arrive", len(ended)
                )

    def _overdue(self, now: float) -> list[Any]:
        """Return the contexts of the calls to cancel."""
        with self._lock:
            waiting = [
                (now - began, context)
                for began, context in self._waiting.values()
                if now - began > MOMENT_SECONDS
            ]
        num_excess = max(0, len(waiting) - self._max_waiting)
        return [
            context
            for place, (seconds, context) in enumerate(waiting)
            if place < num_excess or seconds > self._timeout_seconds
        ]
