"""The result of the canary's trial, and its JSON form."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

RESULT_FILE = "canary.json"
"""File of the `InfraBlessing` that holds a `TrialResult`."""


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        name: Name of the check.
        passed: Whether the candidate passed it.
        message: What was observed, for people.
    """

    name: str
    passed: bool
    message: str


@dataclass(frozen=True)
class TrialResult:
    """The result of a trial.

    Attributes:
        checks: The results of all checks.
        engine: The server: `tensorflow_model_server` or `embedded`.
        start_seconds: Time until the model is available. It counts from the moment when
            the process has started and the model is there.
        latency_ms: Median time of one image.
        memory_mb: Peak memory of the server, in 10^6 bytes.
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
