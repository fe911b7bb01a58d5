"""A loaded version that answers requests: its signatures, and a way to run them."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, Protocol

from serving.embedded.saved_model import SavedModel
from serving.embedded.status import deadline_exceeded
from serving.embedded.tensors import Array


class Runner(Protocol):
    """Something that runs a graph for one request: at once, or gathered with others."""

    async def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], deadline: float | None
    ) -> list[Array]:
        """Run the graph; `deadline` is a time of the event loop's clock, in seconds."""


class DirectRunner:
    """Runs each request by itself, on a thread of a pool.

    Args:
        model: The loaded model.
        pool: Threads that wait for the session.
        computes_on_pool: Whether they also compute, at their priority; else the threads
            that all models share do.
    """

    def __init__(
        self, model: SavedModel, pool: Executor, *, computes_on_pool: bool = False
    ) -> None:
        self._model = model
        self._pool = pool
        self._computes_on_pool = computes_on_pool

    async def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], deadline: float | None
    ) -> list[Array]:
        """Run the graph.

        Raises:
            StatusError: With the code and text of the op that failed.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._pool, self._compute, feeds, fetches, deadline
        )

    def _compute(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], deadline: float | None
    ) -> list[Array]:
        # The event loop's clock; waiting for a thread counts.
        timeout_seconds = seconds_left(time.monotonic(), deadline)
        return self._model.run(
            feeds, fetches, timeout_seconds, on_this_thread=self._computes_on_pool
        )


class Servable:
    """A version of a model in memory.

    Args:
        name: The model's name.
        version: The version's number.
        model: The loaded model.
        runner: Runs it.
    """

    def __init__(
        self, name: str, version: int, model: SavedModel, runner: Runner
    ) -> None:
        self.name = name
        self.version = version
        self.runner: Runner = runner
        self._model = model

    @property
    def signatures(self) -> Mapping[str, Any]:
        """SignatureDef by name."""
        return self._model.signatures

    def close(self) -> None:
        """Free the model."""
        self._model.close()
        # A graph's objects refer to each other: by themselves they would stay, 13 MB a
        # version of EfficientNet-Lite0, until Python looks at all of its memory.
        gc.collect()


def seconds_left(now: float, deadline: float | None) -> float | None:
    """Return the time until a deadline, None for none.

    Raises:
        StatusError: DEADLINE_EXCEEDED, if it is over.
    """
    if deadline is None:
        return None
    left = deadline - now
    if left <= 0:
        raise deadline_exceeded("Deadline Exceeded")
    return left
