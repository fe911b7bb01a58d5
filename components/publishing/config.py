"""Where blessed models go."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from graft.contract.strict_model import StrictModel


class PushConfig(StrictModel):
    """The model store that TensorFlow Serving polls."""

    destination: str | None = Field(
        None,
        description="Folder or URI above the models' folders; empty: `serving` in the "
        "output folder.",
    )
    model_name: str = Field(
        "graft",
        pattern="^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="Name under which the model is served, and of its folder.",
    )
    keep_versions: int = Field(
        5, ge=1, description="Versions to keep; older ones are removed after a push."
    )
    label: Literal["stable", "canary"] = Field(
        "stable",
        description="Version label of TensorFlow Serving that a pushed model gets; "
        "production is what is labelled `stable`.",
    )
