"""How bottleneck features are computed and kept."""

from __future__ import annotations

from pydantic import Field

from graft.contract.strict_model import StrictModel
from graft.trainer.backbones.engine_names import EngineName, Precision


class FeaturesConfig(StrictModel):
    """The engine that runs the frozen backbone, and the store of features."""

    engine: EngineName = Field(
        "auto",
        description="`auto`: TensorFlow on a GPU, OpenVINO on a CPU.",
    )
    precision: Precision = Field(
        "float32",
        description="Precision of OpenVINO. `bfloat16` is less exact, and faster on a "
        "processor that supports it.",
    )
    cache: str | None = Field(
        None,
        description="Folder or URI of the store of features; empty: `features` in the "
        "output folder; `none`: no store.",
    )
    copy_into_artifact: bool = Field(
        False,
        description="Write the features into the artifacts of each run, too, so that "
        "these can be used without the store.",
    )
