"""How bottleneck features are computed and kept."""

from __future__ import annotations

from pydantic import Field

from graft.contract.strict_model import StrictModel
from graft.trainer.backbones.engine_names import EngineName, Precision


class FeaturesConfig(StrictModel):
    """The engine that runs the frozen backbone, and the store of its results."""

    engine: EngineName = Field(
        "auto",
        description="`auto`: TensorFlow on a GPU, OpenVINO on a CPU.",
    )
    precision: Precision = Field(
        "float32",
        description="Of OpenVINO's arithmetic; `bfloat16` is faster where the "
        "processor has it, and less exact.",
    )
    cache: str | None = Field(
        None,
        description="Folder or URI of the store of features; empty: `features` in the "
        "output folder; `none`: no store.",
    )
