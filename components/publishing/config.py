"""Where blessed models go."""

from __future__ import annotations

import os
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

    def resolved(self, output: str) -> PushConfig:
        """Return the config with a destination.

        Args:
            output: The run's output folder; the store is in it if the user named none.
        """
        destination = self.destination or os.path.join(output, "serving")
        return self.model_copy(update={"destination": destination})

    @property
    def model_folder(self) -> str:
        """Folder of the model's versions.

        Raises:
            ValueError: The config is not `resolved`.
        """
        if self.destination is None:
            raise ValueError("`push.destination` must be resolved before the run")
        return os.path.join(self.destination, self.model_name)
