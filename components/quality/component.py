"""Declaration of the DataQuality component.

No `from __future__ import annotations` here: TFX reads the types of the function.
"""

from tfx.dsl.component.experimental.annotations import (
    InputArtifact,
    OutputArtifact,
    Parameter,
)
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from graft.components.quality.artifacts import DataQualityReport
from graft.components.quality.config import DataQualityConfig


@component
def DataQuality(
    examples: InputArtifact[standard_artifacts.Examples],
    training_examples: InputArtifact[standard_artifacts.Examples],
    quality: OutputArtifact[DataQualityReport],
    checked_examples: OutputArtifact[standard_artifacts.Examples],
    config: Parameter[str],
) -> None:
    """Find leaks, copies, poor images and doubtful labels before training.

    Args:
        examples: Raw examples of ImageExampleGen.
        training_examples: The trainer's input: raw examples, or stored features.
        quality: Receives the findings.
        checked_examples: Receives the training examples. `train` lacks what a policy
            `drop` removed. Empty if no policy is `drop`.
        config: A `DataQualityConfig` as JSON.

    Raises:
        DataError: A check whose policy is `fail` found something.
    """
    # Imported here, since TensorFlow is slow to import and wiring does not need it.
    from graft.components.quality.executor import check_data

    check_data(
        examples,
        training_examples,
        quality,
        checked_examples,
        DataQualityConfig.model_validate_json(config),
    )
