"""Settings of a profile: how often a failed step is tried again."""

from __future__ import annotations

from pydantic import Field, model_validator

from graft.contract.strict_model import StrictModel
from graft.pipeline.kubeflow.compilation.kubernetes_values import MAX_SECONDS


class Retry(StrictModel):
    """How failed attempts are repeated."""

    attempts: int = Field(
        2, ge=0, le=10, description="Retries after the first attempt."
    )
    backoff_seconds: int = Field(
        60, ge=1, le=86_400, description="Wait before the first retry."
    )
    backoff_factor: float = Field(
        2.0, ge=1, le=100, allow_inf_nan=False, description="Growth of the wait."
    )

    @model_validator(mode="after")
    def _waits_end(self) -> Retry:
        if self.seconds_of_waits() > MAX_SECONDS:
            raise ValueError(
                f"the waits must be at most {MAX_SECONDS} seconds together: lower "
                "`attempts`, `backoff_seconds` or `backoff_factor`. Received: "
                f"{self.seconds_of_waits():.0f}"
            )
        return self

    def seconds_of_waits(self) -> float:
        """Return the seconds of all waits together."""
        return sum(
            self.backoff_seconds * self.backoff_factor**attempt
            for attempt in range(self.attempts)
        )
