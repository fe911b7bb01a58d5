"""A SavedModel that loads at once."""

from __future__ import annotations

import pytest
import tensorflow as tf


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    class Doubles(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
        def double(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"y": 2 * x}

    path = str(tmp_path_factory.mktemp("model") / "export")
    module = Doubles()
    tf.saved_model.save(module, path, {"serving_default": module.double})
    return path
