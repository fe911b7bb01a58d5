"""A loaded version that answers requests, and the runner without batching."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping, Sequence
from typing import Any

from graft.serving.embedded.contract.servable import Caller, Runner
from graft.serving.embedded.contract.status import deadline_exceeded
from graft.serving.embedded.contract.tensors import Array
from graft.serving.embedded.loading.saved_model import SavedModel


class DirectRunner:
    """Runs each request alone, on the thread that calls.

    Args:
        model: The loaded model.
        on_this_thread: Whether that thread also runs the ops, at its priority, and not
            the threads that all models share.
    """

    def __init__(self, model: SavedModel, *, on_this_thread: bool = False) -> None:
        self._model = model
        self._on_this_thread = on_this_thread

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], caller: Caller
    ) -> list[Array]:
        """Run the graph.

        Raises:
            StatusError: With the code and text of the op that failed.
        """
        timeout_seconds = seconds_left(time.monotonic(), caller.deadline)
        return self._model.run(
            feeds, fetches, timeout_seconds, on_this_thread=self._on_this_thread
        )


class LoadedServable:
    """One version of a model in memory: implements `contract.servable.Servable`.

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
        # A graph's objects refer to each other: without this call they would stay
        # until Python looks at all of its memory.
        gc.collect()


def seconds_left(now: float, deadline: float | None) -> float | None:
    """Return the time until a deadline; None if there is none.

    Raises:
        StatusError: DEADLINE_EXCEEDED, if it is over.
    """
    if deadline is None:
        return None
    left = deadline - now
    if left <= 0:
        raise deadline_exceeded("Deadline Exceeded")
    return left
