"""The features that Transform's analysis reads."""

import tensorflow as tf
import tensorflow_transform as tft

from graft.components.transform import PREPROCESSING_KEY, preprocessing_fn
from graft.contract import example_keys
from graft.trainer.preprocessing.spec import PreprocessingSpec

SPEC = PreprocessingSpec(height=8, width=8, scaling="lite")


def columns_to_analyse() -> list[str]:
    specs = {
        key: tf.TensorSpec([None], tf.string)
        for key in (example_keys.IMAGE_KEY, example_keys.CLASS_NAME_KEY)
    }
    return tft.get_analyze_input_columns(
        lambda inputs: preprocessing_fn(inputs, {PREPROCESSING_KEY: SPEC.to_json()}),
        specs,
    )


def test_the_analysis_decodes_no_image() -> None:
    assert columns_to_analyse() == [example_keys.CLASS_NAME_KEY]
