"""The files of artifacts that several components read."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfx.dsl.io import fileio
from tfx.types import artifact, artifact_utils
from tfx.utils import path_utils

if TYPE_CHECKING:
    import tensorflow as tf


def split_files(examples: Sequence[artifact.Artifact], split: str) -> list[str]:
    """Return the TFRecord files of a split of `Examples` artifacts, sorted."""
    return [
        os.path.join(uri, name)
        for uri in artifact_utils.get_split_uris(list(examples), split)
        for name in sorted(fileio.listdir(uri))
    ]


def records(example_files: Sequence[str]) -> tf.data.TFRecordDataset:
    """Return the serialized examples of TFRecord files, zipped or not by their name."""
    import tensorflow as tf

    is_zipped = bool(example_files) and example_files[0].endswith(".gz")
    return tf.data.TFRecordDataset(
        list(example_files), compression_type="GZIP" if is_zipped else ""
    )


def read_json(path: str) -> Any:
    """Return what a JSON file holds; None where there is no file."""
    if not fileio.exists(path):
        return None
    with fileio.open(path, "r") as file:
        return json.load(file)


def exported_model(models: list[artifact.Artifact]) -> str:
    """Return the path of the SavedModel in a single `Model` artifact."""
    model = artifact_utils.get_single_instance(models)
    path: str = path_utils.serving_model_path(
        model.uri, path_utils.is_old_model_artifact(model)
    )
    return path
