"""Counts of what a running node has done, for the live display.

Beam's metrics are known only when a job ends, and a person wants to see a rate now. The
runner makes a `Progress` for each node and watches it. TFX's launcher builds the
executors itself and hands them nothing of ours, so a node finds its `Progress` with
`current()`, by a context variable of the thread that runs it. From there it is passed
on, into Beam's DoFns too.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

from apache_beam.utils.shared import Shared


@dataclass(frozen=True)
class Count:
    """A snapshot of one counter.

    Attributes:
        done: How many items are done.
        total: How many there are in all; None where nobody knows.
    """

    done: int
    total: int | None


class _Counters:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.counts: dict[str, Count] = {}


class Progress:
    """The counters of one node.

    Beam pickles it with a DoFn. A copy in the same process counts on the original's
    counters, as long as the original lives; a copy in another process counts for
    nobody, and costs nothing.
    """

    def __init__(self) -> None:
        """Make counters of its own."""
        self._shared = Shared()
        self._counters: _Counters = self._shared.acquire(_Counters)

    def __getstate__(self) -> Shared:
        return self._shared

    def __setstate__(self, shared: Shared) -> None:
        self._shared = shared
        self._counters = shared.acquire(_Counters)

    def expect(self, what: str, total: int) -> None:
        """Begin the counter `what`, a plural such as "images", anew, out of `total`."""
        with self._counters.lock:
            self._counters.counts[what] = Count(0, total)

    def advance(self, what: str, by: int = 1) -> None:
        """Add `by` to the counter `what`; one that nobody began has no total."""
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
    """Give the node that runs within a `Progress`, and yield it."""
    progress = Progress()
    token = _current.set(progress)
    try:
        yield progress
    finally:
        _current.reset(token)


def current() -> Progress:
    """Return the running node's `Progress`; one that nobody watches outside of a node.

    Ask in the thread that runs the node, and pass the answer to others.
    """
    return _current.get(None) or Progress()
