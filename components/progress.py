"""Counters of a running node, for the live display.

Beam reports its metrics only when a job ends, and the display needs them earlier. The
runner makes a `Progress` for each node and reads it. TFX's launcher builds the
executors and can't pass them a `Progress`. So a node gets its own by `current()`, which
reads a context variable of the thread that runs the node. From there it is passed on,
also into Beam's DoFns.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apache_beam.utils.shared import Shared


@dataclass(frozen=True)
class Count:
    """A snapshot of one counter.

    Attributes:
        done: Number of items done.
        total: Number of all items; None if unknown.
    """

    done: int
    total: int | None


class _Counters:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.counts: dict[str, Count] = {}


class Progress:
    """The counters of one node.

    Beam pickles it with a DoFn. A copy in the same process shares the counters of the
    original while the original lives. A copy in another process has counters that
    nobody reads.
    """

    def __init__(self) -> None:
        """Make a set of counters."""
        # Beam takes a second to import. The terminal's display imports this module.
        from apache_beam.utils.shared import Shared

        self._shared = Shared()
        self._counters: _Counters = self._shared.acquire(_Counters)

    def __getstate__(self) -> Shared:
        return self._shared

    def __setstate__(self, shared: Shared) -> None:
        self._shared = shared
        self._counters = shared.acquire(_Counters)

    def expect(self, what: str, total: int) -> None:
        """Set the counter `what`, such as "images", to 0 of `total`."""
        with self._counters.lock:
            self._counters.counts[what] = Count(0, total)

    def advance(self, what: str, by: int = 1) -> None:
        """Add `by` to the counter `what`. Without `expect` it has no total."""
        with self._counters.lock:
            count = self._counters.counts.get(what, Count(0, None))
            self._counters.counts[what] = Count(count.done + by, count.total)

    def snapshot(self) -> dict[str, Count]:
        """Return a copy of all counters."""
        with self._counters.lock:
            return dict(self._counters.counts)


_current: ContextVar[Progress] = ContextVar("progress")


@contextlib.contextmanager
def watched() -> Iterator[Progress]:
    """Yield a `Progress` that `current` returns inside the `with` statement."""
    progress = Progress()
    token = _current.set(progress)
    try:
        yield progress
    finally:
        _current.reset(token)


def current() -> Progress:
    """Return the running node's `Progress`, or a new one outside of a node.

    Call it in the thread that runs the node, and pass the result to other threads.
    """
    return _current.get(None) or Progress()
