"""Counters of a running node, for the live display.

The runner makes a `Progress` for each node and reads it. TFX's launcher builds the
executors and can't pass them a `Progress`. So a node gets its own by `current()`, which
reads a context variable of the thread that runs the node. From there it is passed on,
also into Beam's DoFns.

A Beam job may run in other processes. What they count comes back as metrics of Beam.
Flink has these only when a worker has done all its work. So each worker also writes its
counts to a file every few seconds (`graft.components.beam_jobs`).
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graft.storage import atomic, files
from graft.storage.paths import join

if TYPE_CHECKING:
    from apache_beam.utils.shared import Shared


METRICS_NAMESPACE = "graft.Progress"
"""Namespace of Beam's counters of what other processes count."""
_PROCESS = uuid.uuid4().hex
_REPORT_SECONDS = 2.0
_REPORT_ENDING = ".counts"


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
    original while the original lives. A copy in another process counts for Beam's
    metrics, and for files in the folder of `report_into`.
    """

    def __init__(self) -> None:
        """Make a set of counters."""
        # Beam takes a second to import. The terminal's display imports this module.
        from apache_beam.utils.shared import Shared

        self._shared = Shared()
        self._counters: _Counters = self._shared.acquire(_Counters)
        self._process = _PROCESS
        self._folder = ""
        self._report_name = ""
        self._next_report = 0.0

    def __getstate__(self) -> tuple[Shared, str, str]:
        return self._shared, self._process, self._folder

    def __setstate__(self, state: tuple[Shared, str, str]) -> None:
        self._shared, self._process, self._folder = state
        self._counters = self._shared.acquire(_Counters)
        self._report_name = f"{uuid.uuid4().hex}{_REPORT_ENDING}"
        self._next_report = 0.0

    def report_into(self, folder: str) -> None:
        """Name the folder for reports of copies that are made from now on.

        Args:
            folder: A folder that the workers see. `read_reports` reads it.
        """
        self._folder = folder

    def expect(self, what: str, total: int) -> None:
        """Set the counter `what`, such as "images", to 0 of `total`."""
        with self._counters.lock:
            self._counters.counts[what] = Count(0, total)

    def advance(self, what: str, by: int = 1) -> None:
        """Add `by` to the counter `what`. Without `expect` it has no total."""
        with self._counters.lock:
            count = self._counters.counts.get(what, Count(0, None))
            self._counters.counts[what] = Count(count.done + by, count.total)
        if self._process != _PROCESS:
            self._advance_elsewhere(what, by)

    def settle(self, done: Mapping[str, int]) -> None:
        """Raise counters to what other processes have counted."""
        with self._counters.lock:
            for what, number in done.items():
                count = self._counters.counts.get(what, Count(0, None))
                most = number if count.total is None else min(number, count.total)
                self._counters.counts[what] = Count(max(count.done, most), count.total)

    def read_reports(self) -> None:
        """Take over what other processes have reported so far."""
        done: Counter[str] = Counter()
        if self._folder and files.exists(self._folder):
            for name in files.list_folder(self._folder):
                if name.endswith(_REPORT_ENDING):
                    done.update(json.loads(files.read_text(join(self._folder, name))))
        self.settle(done)

    def _advance_elsewhere(self, what: str, by: int) -> None:
        from apache_beam.metrics import Metrics

        Metrics.counter(METRICS_NAMESPACE, what).inc(by)
        if self._folder and time.monotonic() >= self._next_report:
            self._next_report = time.monotonic() + _REPORT_SECONDS
            counts = {key: count.done for key, count in self.snapshot().items()}
            path = join(self._folder, self._report_name)
            # The display can do without. A full disk is told by the work itself.
            with contextlib.suppress(OSError):
                atomic.write_text(path, json.dumps(counts))

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
