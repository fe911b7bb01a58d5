"""What the canary's trial came to, as its blessing artifact holds it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

RESULT_FILE = "canary.json"
"""File of the `InfraBlessing` that holds a `TrialResult`."""


@dataclass(frozen=True)
class Check:
    """One thing that the candidate had to show.

    Attributes:
        name: Which.
        passed: Whether it did.
        message: What was seen.
    """

    name: str
    passed: bool
    message: str


@dataclass(frozen=True)
class TrialResult:
    """What the trial came to.

    Attributes:
        checks: Everything that was looked at.
        engine: Which server served.
        start_seconds: From the start of its process to the model's being available.
        latency_ms: Median time of one image.
        memory_mb: The most memory that the server held, in 10^6 bytes.
    """

    checks: tuple[Check, ...]
    engine: str
    start_seconds: float
    latency_ms: float | None = None
    memory_mb: float | None = None

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def to_json(self) -> str:
        """Return it as JSON, with `passed`."""
        return json.dumps({"passed": self.passed, **asdict(self)}, indent=1)
