"""Find and read the files of artifacts, for all components."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from tfx.types import artifact, artifact_utils
from tfx.utils import path_utils

from graft.storage import files


def split_files(examples: Sequence[artifact.Artifact], split: str) -> list[str]:
    """Return the TFRecord files of a split of `Examples` artifacts, sorted."""
    return [
        os.path.join(uri, name)
        for uri in artifact_utils.get_split_uris(list(examples), split)
        for name in files.list_folder(uri)
    ]


def read_json(path: str) -> Any:
    """Return the content of a JSON file, or None if the file does not exist."""
    return json.loads(files.read_text(path)) if files.exists(path) else None


def exported_model(models: list[artifact.Artifact]) -> str:
    """Return the path of the SavedModel in a single `Model` artifact."""
    model = artifact_utils.get_single_instance(models)
    path: str = path_utils.serving_model_path(
        model.uri, path_utils.is_old_model_artifact(model)
    )
    return path
