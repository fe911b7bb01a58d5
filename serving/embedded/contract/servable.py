"""What inference needs of a loaded version; `loading` and `batching` implement it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from graft.serving.embedded.contract.tensors import Array


def _ignore(callback: Callable[[], object]) -> None:
    """Drop the callback: this caller waits until the end."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who waits for an answer: until when, and how to learn that it has gone."""

    deadline: float | None = None
    """When it stops waiting, in seconds of `time.monotonic`; None: never."""
    when_gone: Callable[[Callable[[], object]], None] = _ignore
    """Registers a function to call when the caller has gone, on any thread. If the
    caller has gone already, it is called at once."""


PATIENT = Caller()
"""A caller without a deadline."""


class Runner(Protocol):
    """Runs the graph of one version: each request alone, or several in a batch."""

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], caller: Caller
    ) -> list[Array]:
        """Run the graph and return its outputs; not on the event loop's thread."""


class Servable(Protocol):
    """One version of a model that answers requests."""

    @property
    def name(self) -> str:
        """The model's name."""

    @property
    def version(self) -> int:
        """The version's number."""

    @property
    def runner(self) -> Runner:
        """Runs the version's graph."""

    @property
    def signatures(self) -> Mapping[str, Any]:
        """SignatureDef by name."""
