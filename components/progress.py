"""Counts of what a running node has done, for the live display.

Beam's metrics are known only when a job ends, and a person wants to see a rate now. A
Beam worker that runs in the command line's own process (the default) shares these
counters with it; in any other process they count for nobody, and cost nothing.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Count:
    """A snapshot of one counter.

    Attributes:
        done: How many items are done.
        total: How many there are in all; None where nobody knows.
    """

    done: int
    total: int | None


_lock = threading.Lock()
_counts: dict[str, Count] = {}


def expect(what: str, total: int) -> None:
    """Begin the counter `what`, a plural such as "images", anew, out of `total`."""
    with _lock:
        _counts[what] = Count(0, total)


def advance(what: str, by: int = 1) -> None:
    """Add `by` to the counter `what`; a counter that nobody began has no total."""
    with _lock:
        count = _counts.get(what, Count(0, None))
        _counts[what] = Count(count.done + by, count.total)


def snapshot() -> dict[str, Count]:
    """Return a copy of all counters."""
    with _lock:
        return dict(_counts)


def reset() -> None:
    """Forget all counters; called between nodes."""
    with _lock:
        _counts.clear()
