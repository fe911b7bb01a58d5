"""Where in an artifact the files lie that several components read."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tfx.dsl.io import fileio
from tfx.types import artifact, artifact_utils
from tfx.utils import path_utils


def split_files(examples: Sequence[artifact.Artifact], split: str) -> list[str]:
    """Return the TFRecord files of a split of `Examples` artifacts, sorted."""
    return [
        os.path.join(uri, name)
        for uri in artifact_utils.get_split_uris(list(examples), split)
        for name in sorted(fileio.listdir(uri))
    ]


def exported_model(models: list[artifact.Artifact]) -> str:
    """Return the path of the SavedModel in a single `Model` artifact."""
    model = artifact_utils.get_single_instance(models)
    path: str = path_utils.serving_model_path(
        model.uri, path_utils.is_old_model_artifact(model)
    )
    return path
