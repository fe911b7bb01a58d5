"""EMULATED: the result of one step of an emulated run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from graft.pipeline.kubeflow.emulation.store import StoredArtifact

State = Literal["SUCCEEDED", "CACHED", "SKIPPED", "OMITTED", "FAILED"]


@dataclass
class StepResult:
    """The result of a step.

    Attributes:
        state: How the step ended.
        attempts: Number of containers that ran for it.
        seconds: Time from the first attempt's start to the end, in seconds.
        downloaded: Bytes that the last attempt downloaded.
        uploaded: Bytes that the last attempt uploaded.
        artifacts: Output artifacts by key.
        parameters: Output parameters by key.
        log_path: Log of its containers; None if none ran.
        message: Why it failed or did not run.
    """

    state: State
    attempts: int = 0
    seconds: float = 0.0
    downloaded: int = 0
    uploaded: int = 0
    artifacts: dict[str, StoredArtifact] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    log_path: Path | None = None
    message: str = ""
