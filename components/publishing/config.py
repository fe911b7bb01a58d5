"""The config of pushing: the model store, the model's name and its label."""

from __future__ import annotations

import os
from typing import Literal

from pydantic import Field

from graft.contract.strict_model import StrictModel

REASON_PROPERTY = "not_pushed_reason"
"""Custom property of the `PushedModel` that says why nothing was pushed."""
TWIN_PROPERTY = "twin_version"
"""Custom property of a `PushedModel` that was not pushed, since another run had pushed
the same candidate: the version of that one."""

KEPT_PROPERTY = "was_published"
"""Custom property of a `PushedModel`: 1 if the version was there before the push, since
the newest version has the same files."""


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
        description="Name of the served model and of its folder. Empty: on this "
        "machine the run's name; compiled `graft`.",
    )
    keep_versions: int = Field(
        5, ge=1, description="Versions to keep; older ones are removed after a push."
    )
    retry_gate: int = Field(
        1,
        ge=0,
        le=10,
        description="How often the gate is asked again if another version is in "
        "production at the push than the model was judged against. On Kubeflow the "
        "step fails instead, and the next run asks the gate.",
    )
    label: Literal["stable", "canary"] = Field(
        "stable",
        description="TensorFlow Serving's version label for a pushed model. The "
        "version labelled `stable` is in production.",
    )

    def resolved(self, output: str) -> PushConfig:
        """Return the config with a destination.

        Args:
            output: The run's output folder, which holds the store unless the user named
                one.
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
