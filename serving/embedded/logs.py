"""The log: one line a message, without control characters, and at a limited rate.

Messages quote names that clients chose. Such a name must not begin a new line, move a
terminal's cursor, or fill the disk.
"""

from __future__ import annotations

import logging
import threading
import time

from graft.contract.printable import escaped

BURST = 20
"""Most messages of one place in the code in a period."""
PERIOD_SECONDS = 10.0
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class LineFormatter(logging.Formatter):
    """Writes a message as one line, and a stack trace as indented lines below it."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        return escaped(super().formatMessage(record))

    def formatException(self, ei: object) -> str:
        """Return the lines of a stack trace."""
        text = super().formatException(ei)  # type: ignore[arg-type]
        return "\n".join("    " + escaped(line) for line in text.split("\n"))


class RateFilter(logging.Filter):
    """Passes at most `BURST` messages of one place in the code in `PERIOD_SECONDS`.

    The next message after that says how many were left out.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        # By place: start of the period, messages in it.
        self._counts: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write a record."""
        place = record.pathname, record.lineno
        now = time.monotonic()
        with self._lock:
            start, count = self._counts.get(place, (now, 0))
            left_out = 0
            if now - start >= PERIOD_SECONDS:
                left_out = max(0, count - BURST)
                start, count = now, 0
            self._counts[place] = start, count + 1
        if left_out:
            record.msg = f"{record.getMessage()} ({left_out} more were not logged)"
            record.args = None
        return count < BURST


def configure(level: str) -> None:
    """Write the log to standard error, from a level on."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter(_FORMAT))
    handler.addFilter(RateFilter())
    logging.basicConfig(level=level, handlers=[handler])
    # TensorFlow writes its messages itself, too, and one at each load of a model.
    tensorflow = logging.getLogger("tensorflow")
    tensorflow.handlers.clear()
    tensorflow.setLevel(logging.WARNING)
