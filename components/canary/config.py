"""The config of the canary."""

from __future__ import annotations

from pydantic import Field

from graft.contract.strict_model import StrictModel


class CanaryConfig(StrictModel):
    """Requests and limits of the trial."""

    enabled: bool = Field(True, description="Try the candidate before it is pushed.")
    num_images: int = Field(
        32, ge=1, description="Images of `test` to ask about, spread over the split."
    )
    tolerance: float = Field(
        1e-5,
        gt=0,
        description="Greatest difference of a probability from the evaluation's.",
    )
    max_latency_ms: float | None = Field(
        None,
        gt=0,
        description="Greatest 95th percentile of one image's time over gRPC, in "
        "milliseconds.",
    )
    max_memory_mb: float | None = Field(
        None, gt=0, description="Greatest memory of the server, in 10^6 bytes."
    )
    start_timeout_seconds: float = Field(
        180, gt=0, description="Time to load the model and answer the first request."
    )
    request_timeout_seconds: float = Field(
        120,
        gt=0,
        description="Greatest time of one request. A good model on a busy machine "
        "must stay below it.",
    )
