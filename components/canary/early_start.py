"""Start the canary's server before the canary.

A new process needs seconds to import TensorFlow and to load the candidate. The Trainer
and the gate leave a processor idle. So the local runner starts the server beside them,
and the canary takes it over. It proves the same: the process is new, and all that it
gets is the folder of the exported model.

TFX's launcher builds the executors and can't pass them a server. So the canary finds it
by `take`, which reads a context variable of the thread that runs the node.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from contextvars import ContextVar
from types import TracebackType

from graft.components.canary.server_process import ServerProcess

logger = logging.getLogger(__name__)


class EarlyServer:
    """A server for the canary of a run; use it in a `with` statement.

    The end of the statement stops the server if no canary took it.

    Args:
        start_timeout_seconds: See `ServerProcess`.
    """

    def __init__(self, start_timeout_seconds: float) -> None:
        self._timeout_seconds = start_timeout_seconds
        self._server: ServerProcess | None = None

    def start(self) -> None:
        """Start the process, once. It waits for a model."""
        if self._server is not None:
            return
        server = ServerProcess(None, self._timeout_seconds)
        try:
            server.start()
        except OSError:
            # The canary tries again, and then it is an error.
            logger.warning("The canary's server did not start early", exc_info=True)
            server.stop()
            return
        self._server = server

    def give(self, model_path: str) -> None:
        """Let the process load a model, once; start the process if there is none."""
        self.start()
        if self._server is not None and self._server.model_path is None:
            self._server.give(model_path)

    def take(self, model_path: str) -> ServerProcess | None:
        """Hand over the server if it serves this model; the caller stops it."""
        server = self._server
        if server is None or server.model_path != model_path:
            return None
        self._server = None
        return server

    def __enter__(self) -> EarlyServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None


_offered: ContextVar[EarlyServer | None] = ContextVar("early_server", default=None)


@contextlib.contextmanager
def offered(early: EarlyServer | None) -> Iterator[None]:
    """Let `take` find a server inside the `with` statement, on this thread."""
    token = _offered.set(early)
    try:
        yield
    finally:
        _offered.reset(token)


def take(model_path: str) -> ServerProcess | None:
    """Return the server that was started early for a model, or None."""
    early = _offered.get()
    return None if early is None else early.take(model_path)
