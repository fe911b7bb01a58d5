"""The `preprocessing_fn` of TFX's Transform: label map, decode, resize, normalise.

Its graph is the one definition of preprocessing that feature extraction, training,
evaluation and the exported model share. Decoded pixels are not materialised: they are
much larger than the encoded image. The analysis needs only class names. It decodes no
image, because no image operation has state (see
`graft.trainer.decoding.graph_code.checked`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform import beam as tft_beam

from graft.contract import example_keys
from graft.contract.label_map import NO_LABEL, LabelMap
from graft.storage import atomic
from graft.trainer.preprocessing.image_preprocessing import preprocess_images
from graft.trainer.preprocessing.spec import PreprocessingSpec

PREPROCESSING_KEY = "preprocessing"
"""Key of `custom_config` that holds a `PreprocessingSpec` as JSON."""


class SortedNames(tft_beam.experimental.PTransformAnalyzer):
    """Write the distinct class names to an asset file, sorted, one a line.

    tft.vocabulary sorts by frequency. With it, new images could renumber the classes.
    """

    def expand(self, batches: beam.PCollection[tuple[np.ndarray]]) -> Any:
        """Map batches of string arrays to the path of the file, a scalar string."""
        folder = self.base_temp_dir
        path = os.path.join(folder, example_keys.CLASS_NAMES_VOCABULARY)

        def write(names: Iterable[bytes]) -> np.ndarray:
            atomic.write_text(path, LabelMap.of(names).to_text())
            return np.array(path.encode())

        return (
            batches
            | "DistinctOfBatch" >> beam.FlatMap(lambda batch: set(batch[0].ravel()))
            | "Distinct" >> beam.Distinct()
            | "ToList" >> beam.combiners.ToList()
            | "Write" >> beam.Map(write)
        )


@tf.autograph.experimental.do_not_convert
def preprocessing_fn(
    inputs: dict[str, tf.Tensor], custom_config: dict[str, Any]
) -> dict[str, tf.Tensor]:
    """Build the Transform graph.

    Args:
        inputs: A batch of raw examples: `image/encoded` and `image/class/text`, string
            (N,) or (N, 1).
        custom_config: `PREPROCESSING_KEY` holds the spec.

    Returns:
        `image/pixels` float32 (N, H, W, 3) and `image/class/label` int64 (N,),
        `NO_LABEL` for a class name that no training image has.
    """
    spec = PreprocessingSpec.from_json(custom_config[PREPROCESSING_KEY])
    encoded = tf.reshape(inputs[example_keys.IMAGE_KEY], [-1])
    names = tf.reshape(inputs[example_keys.CLASS_NAME_KEY], [-1])
    (path,) = tft.experimental.ptransform_analyzer(
        inputs=[names],
        ptransform=SortedNames(),
        output_dtypes=[tf.string],
        output_shapes=[[]],
        output_asset_default_values=[b"graft: not analysed yet"],
        name=example_keys.CLASS_NAMES_VOCABULARY,
    )
    tft.annotate_asset(
        example_keys.CLASS_NAMES_VOCABULARY, example_keys.CLASS_NAMES_VOCABULARY
    )
    labels = tft.apply_vocabulary(names, path, default_value=NO_LABEL)
    return {
        example_keys.PIXELS_KEY: preprocess_images(encoded, spec),
        example_keys.LABEL_KEY: tf.cast(labels, tf.int64),
    }
