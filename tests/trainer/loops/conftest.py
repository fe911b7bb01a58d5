"""Stored features, as BottleneckFeatures writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from graft.contract import example_keys
from graft.trainer.loops.feature_source import FeatureSource


@pytest.fixture(scope="session")
def write_shards() -> Callable[..., FeatureSource]:
    """Write shards: `write_shards(folder, features, labels, num_shards=3)`."""

    def write(
        folder: Path, features: np.ndarray, labels: np.ndarray, num_shards: int = 3
    ) -> FeatureSource:
        folder.mkdir(parents=True)
        for index in range(num_shards):
            with tf.io.TFRecordWriter(str(folder / f"data-{index}")) as writer:
                for values, label in zip(
                    features[index::num_shards], labels[index::num_shards], strict=True
                ):
                    example = tf.train.Example()
                    feature = example.features.feature
                    feature[example_keys.FEATURES_KEY].float_list.value.extend(values)
                    feature[example_keys.LABEL_KEY].int64_list.value.append(int(label))
                    writer.write(example.SerializeToString())
        return FeatureSource.of([str(folder / "*")])

    return write
