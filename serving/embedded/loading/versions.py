"""Models and their versions, and which version a request means."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graft.serving.embedded.contract.status import StatusError, invalid, not_found
from graft.serving.embedded.loading.model_config import ModelConfig
from graft.serving.embedded.loading.servable import LoadedServable


class State(enum.IntEnum):
    """States of a version, numbered as TensorFlow Serving's API numbers them."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(slots=True)
class Version:
    """One version of a model that was seen in its folder."""

    number: int
    path: Path
    state: State = State.START
    error: StatusError | None = None
    servable: LoadedServable | None = None
    num_requests: int = 0
    is_gone: bool = False
    """Whether its folder disappeared since it failed or was unloaded."""
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class Model:
    """A configured model and the versions of it that were seen."""

    config: ModelConfig
    versions: dict[int, Version] = field(default_factory=dict)
    aspired: dict[int, Path] = field(default_factory=dict)
    """Versions that should be served, by the policy and the folder."""
    labels: dict[str, int] = field(default_factory=dict)
    is_removed: bool = False
    """Whether the last configuration lacks it."""

    def available(self) -> list[int]:
        """Return the numbers of the versions that answer requests."""
        return [
            number
            for number, version in self.versions.items()
            if version.state is State.AVAILABLE
        ]

    def reached(self) -> Version | None:
        """Return the newest version that is AVAILABLE or failed; None: none yet."""
        tried = (self.versions.get(number) for number in sorted(self.aspired)[::-1])
        ended = (State.AVAILABLE, State.END)
        return next((each for each in tried if each and each.state in ended), None)


def find_available(models: Mapping[str, Model], spec: Any) -> Version:
    """Return the version that a ModelSpec names.

    Raises:
        StatusError: INVALID_ARGUMENT or NOT_FOUND, in TensorFlow Serving's words.
    """
    name = spec.name
    if not name:
        raise invalid("ModelSpec has no name specified.")
    model = models.get(name)
    choice = spec.WhichOneof("version_choice")
    if choice == "version_label":
        labels = model.labels if model else {}
        if spec.version_label not in labels:
            raise invalid(f"Unrecognized servable version label: {spec.version_label}")
        number = labels[spec.version_label]
    elif choice == "version":
        number = spec.version.value
    else:
        available = model.available() if model else []
        if not available:
            raise not_found(f"Servable not found for request: Latest({name})")
        number = max(available)
    version = model.versions.get(number) if model else None
    if version is None or version.state is not State.AVAILABLE:
        raise not_found(f"Servable not found for request: Specific({name}, {number})")
    return version
