"""The live display of a run: running nodes, their progress, the time left."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from graft.components.progress import Progress

if TYPE_CHECKING:
    from graft.pipeline.local.runner import NodeEvent


class ProgressDisplay:
    """Shows a line per node; on a terminal, running nodes are animated.

    Args:
        stream: Where to write.
        animate: Whether to animate on a terminal; other streams are never animated.
    """

    def __init__(self, stream: TextIO, *, animate: bool) -> None:
        self._console = Console(file=stream, highlight=False)
        self._is_live = animate and self._console.is_terminal
        self._live: Live | None = None
        self._running: dict[str, tuple[float, Progress]] = {}
        self._message = ""
        self._lock = threading.Lock()
        self.failed_node: str | None = None

    def __enter__(self) -> ProgressDisplay:
        if self._is_live:
            self._live = Live(
                get_renderable=self._render, console=self._console, transient=True
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, message: str) -> None:
        """Show a message while no node runs."""
        self._message = message
        if not self._is_live:
            self._console.print(f"{message} …")

    def note(self, message: str) -> None:
        """Show a message that stays on the terminal."""
        self._console.print(Text(message), soft_wrap=True)

    def on_event(self, event: NodeEvent) -> None:
        """Show that a node started, finished or failed."""
        with self._lock:
            self._message = ""
            if event.state == "started":
                self._running[event.node] = time.monotonic(), event.progress
                return
            self._running.pop(event.node, None)
        counts = _describe_counts(event.progress, event.seconds)
        if event.state == "failed":
            self.failed_node = event.node
            self._console.print(Text(f"✗ {event.node} failed", style="red"))
            return
        if event.state == "cached":
            line = f"· {event.node:<20}            unchanged"
            self._console.print(Text(line, style="dim"))
            return
        line = f"✓ {event.node:<20} {event.seconds:6.1f} s"
        self._console.print(Text(f"{line}   {counts}".rstrip(), style="green"))

    def _render(self) -> Group:
        with self._lock:
            running = list(self._running.items())
        lines = [
            Spinner("dots", Text(f"{node} {self._detail(start, progress)}"))
            for node, (start, progress) in running
        ]
        if not lines:
            lines = [Spinner("dots", Text(self._message or "…"))]
        return Group(*lines)

    @staticmethod
    def _detail(start: float, progress: Progress) -> str:
        seconds = time.monotonic() - start
        return f"{seconds:.0f} s  {_describe_counts(progress, seconds)}".rstrip()


def _describe_counts(progress: Progress, seconds: float) -> str:
    """Return count, rate and time left of each progress counter."""
    parts = []
    for unit, count in progress.snapshot().items():
        if not count.done:
            continue
        rate = count.done / max(seconds, 1e-3)
        text = f"{count.done:,}"
        if count.total is not None:
            text += f" of {count.total:,}"
        text += f" {unit}, {rate:,.0f}/s"
        if count.total is not None and count.done < count.total and rate > 0:
            text += f", {(count.total - count.done) / rate:.0f} s left"
        parts.append(text)
    return "; ".join(parts)
