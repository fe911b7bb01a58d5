"""Find an image of the test split to try the model with."""

from __future__ import annotations

import os

import tensorflow as tf

from graft.contract import example_keys, split_names
from graft.pipeline.config import PipelineConfig
from graft.storage import atomic, files, tfrecords


def sample_image(config: PipelineConfig, examples_uri: str) -> str | None:
    """Return the path of an image that the model was not trained on.

    Args:
        config: The run's config.
        examples_uri: The `Examples` artifact of ImageExampleGen.

    Returns:
        The user's file if it exists; otherwise a copy in the pipeline's folder. None if
        the test split is empty.
    """
    folder = os.path.join(examples_uri, f"Split-{split_names.TEST_SPLIT}")
    for serialized in tfrecords.dataset(files.files_below(folder)).take(1):
        feature = tf.train.Example.FromString(serialized.numpy()).features.feature

        def text(key: str, feature: object = feature) -> str:
            value: bytes = feature[key].bytes_list.value[0]  # type: ignore[index]
            return value.decode("utf-8", errors="replace")

        own = os.path.join(config.data.path, text(example_keys.FILENAME_KEY))
        if os.path.isfile(own):
            return own
        folder = os.path.join(config.pipeline_folder, "sample")
        digest = text(example_keys.CONTENT_HASH_KEY)[:8]
        path = os.path.join(folder, f"{digest}.{text(example_keys.FORMAT_KEY)}")
        atomic.write_bytes(path, feature[example_keys.IMAGE_KEY].bytes_list.value[0])
        return path
    return None
