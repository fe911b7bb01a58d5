"""The memory that all requests in flight may take together."""

from __future__ import annotations

import threading
from types import TracebackType

from graft.serving.embedded.contract.status import exhausted
from graft.storage.memory import memory_limit

_SHARE_OF_MACHINE = 2
"""The default limit is the machine's memory divided by this. Models need the rest."""


def default_limit() -> int:
    """Return half of the memory of this machine, or of this container, in bytes."""
    return memory_limit() // _SHARE_OF_MACHINE


class RequestMemory:
    """Counts the memory of all requests in flight, and refuses those beyond a limit.

    Args:
        limit_bytes: Most bytes for all requests together.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._used_bytes = 0
        self._lock = threading.Lock()

    def reserve(self) -> Reservation:
        """Return the reservation of one request, empty at first. Use it in a `with`."""
        return Reservation(self)

    def add(self, num_bytes: int) -> None:
        """Count more memory.

        Raises:
            StatusError: RESOURCE_EXHAUSTED, if the limit is passed. Then nothing is
                counted.
        """
        with self._lock:
            if self._used_bytes + num_bytes <= self.limit_bytes:
                self._used_bytes += num_bytes
                return
        raise exhausted(
            "The requests in flight would take more memory than "
            f"--max_request_memory_bytes={self.limit_bytes} allows. Send the request "
            "again later, or in parts"
        )

    def release(self, num_bytes: int) -> None:
        """Count less memory."""
        with self._lock:
            self._used_bytes -= num_bytes


class Reservation:
    """The memory of one request.

    Args:
        memory: What the request takes its memory from.
    """

    def __init__(self, memory: RequestMemory) -> None:
        self._memory = memory
        self._num_bytes = 0

    def grow_to(self, num_bytes: int) -> None:
        """Raise the reservation to a number of bytes; a smaller number changes nothing.

        Raises:
            StatusError: RESOURCE_EXHAUSTED, if the limit is passed.
        """
        if num_bytes > self._num_bytes:
            self.add(num_bytes - self._num_bytes)

    def add(self, num_bytes: int) -> None:
        """Raise the reservation by a number of bytes.

        Raises:
            StatusError: RESOURCE_EXHAUSTED, if the limit is passed.
        """
        self._memory.add(num_bytes)
        self._num_bytes += num_bytes

    def __enter__(self) -> Reservation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._memory.release(self._num_bytes)
        self._num_bytes = 0
