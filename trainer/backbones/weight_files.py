"""Find a preset's own weights on this machine. No TensorFlow here."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from graft.trainer.backbones.presets import Preset


def find_local_weights(preset: Preset) -> Path | None:
    """Return the local file of the preset's own weights, or None if it is missing."""
    if preset.weights_file is None:
        return None
    if preset.source == "package":
        spec = importlib.util.find_spec(str(preset.package))
        folders = [] if spec is None else list(spec.submodule_search_locations or [])
    else:
        folders = [str(keras_cache())]
    for folder in folders:
        path = Path(folder) / preset.weights_file
        if path.is_file():
            return path
    return None


def keras_cache() -> Path:
    """Return the folder that Keras downloads weights to (`KERAS_HOME`)."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "models"
