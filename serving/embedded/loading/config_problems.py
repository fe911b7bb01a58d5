"""Log why a model config file is not applied, once, and when it is worth an alert."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import grpc

from graft.serving.embedded.contract.status import StatusError

logger = logging.getLogger(__name__)

WAITING_SECONDS = 30.0
"""How long a label may wait for its version before that is an error. A push writes both
at once, and the version takes seconds to load."""


class ConfigProblems:
    """Logs each problem once, though each poll of the file meets it again.

    Args:
        clock: Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = ""
        self._since = 0.0
        self._is_logged = True

    def report(self, error: StatusError | None) -> None:
        """Log the result of a poll if it is new; None: the file was applied."""
        problem = "" if error is None else str(error)
        now = self._clock()
        if problem != self._last:
            self._last, self._since, self._is_logged = problem, now, not problem
            if error is not None and _is_waiting(error):
                logger.info(
                    "The model config file names a version that is about to load: %s",
                    problem,
                )
                return
        if self._is_logged:
            return
        is_over = now - self._since >= WAITING_SECONDS
        if error is not None and (is_over or not _is_waiting(error)):
            logger.error("The model config file was not applied: %s", problem)
            self._is_logged = True


def _is_waiting(error: StatusError) -> bool:
    """Return whether a label waits for its version to load."""
    return bool(error.code == grpc.StatusCode.FAILED_PRECONDITION)
