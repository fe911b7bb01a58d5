"""Declaration of the DataQuality component.

No `from __future__ import annotations` here: TFX reads the types of the function.
"""

import apache_beam as beam
from tfx.dsl.component.experimental.annotations import (
    BeamComponentParameter,
    InputArtifact,
    OutputArtifact,
    Parameter,
)
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from graft.components.quality.artifacts import DataQualityReport
from graft.components.quality.config import DataQualityConfig

MEASURING_CODE = "graft.components.quality.image_statistics.measure_image"
"""The function that measures an image."""


@component(use_beam=True)
def DataQuality(  # noqa: PLR0917 - TFX reads positional parameters
    examples: InputArtifact[standard_artifacts.Examples],
    training_examples: InputArtifact[standard_artifacts.Examples],
    quality: OutputArtifact[DataQualityReport],
    checked_examples: OutputArtifact[standard_artifacts.Examples],
    config: Parameter[str],
    cache_dir: Parameter[str] = "",
    measuring_code: Parameter[str] = "",
    metadata: InputArtifact[standard_artifacts.Examples] = None,
    beam_pipeline: BeamComponentParameter[beam.Pipeline] = None,
) -> None:
    """Find leaks, copies, poor images and doubtful labels before training.

    Args:
        examples: Raw examples of ImageExampleGen.
        training_examples: The trainer's input: raw examples, or stored features.
        quality: Receives the findings.
        checked_examples: Receives the training examples. `train` lacks what a policy
            `drop` removed. Empty if no policy is `drop`.
        config: A `DataQualityConfig` as JSON.
        cache_dir: Folder or URI of the store of features, where measurements of images
            are kept, too; empty for none.
        measuring_code: A hash of the code behind `MEASURING_CODE`.
        metadata: The examples without the images. With it, images are read only if
            they have to be measured.
        beam_pipeline: Made by TFX. On a cluster its workers measure.

    Raises:
        DataError: A check whose policy is `fail` found something.
    """
    # Imported here, since TensorFlow is slow to import and wiring does not need it.
    from graft.components.quality.executor import check_data

    check_data(
        examples=examples,
        metadata=metadata,
        training_examples=training_examples,
        quality=quality,
        checked_examples=checked_examples,
        config=DataQualityConfig.model_validate_json(config),
        # Without a hash of the code nobody could tell who measured.
        cache_dir=cache_dir if measuring_code else "",
        measuring_code=measuring_code,
        pipeline=beam_pipeline,
    )
