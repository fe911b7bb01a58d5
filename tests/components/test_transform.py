"""What Transform's analysis has to read."""

import tensorflow as tf
import tensorflow_transform as tft

from components.transform import PREPROCESSING_KEY, preprocessing_fn
from trainer import features
from trainer.preprocessing import PreprocessingSpec

SPEC = PreprocessingSpec(height=8, width=8, scaling="lite")


def columns_to_analyse() -> list[str]:
    specs = {
        key: tf.TensorSpec([None], tf.string)
        for key in (features.IMAGE_KEY, features.CLASS_NAME_KEY)
    }
    return tft.get_analyze_input_columns(
        lambda inputs: preprocessing_fn(inputs, {PREPROCESSING_KEY: SPEC.to_json()}),
        specs,
    )


def test_the_analysis_decodes_no_image() -> None:
    assert columns_to_analyse() == [features.CLASS_NAME_KEY]
