"""Declaration of the BottleneckFeatures component.

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


@component(use_beam=True)
def BottleneckFeatures(  # noqa: PLR0917 - TFX reads positional parameters
    examples: InputArtifact[standard_artifacts.Examples],
    metadata: InputArtifact[standard_artifacts.Examples],
    transform_graph: InputArtifact[standard_artifacts.TransformGraph],
    features: OutputArtifact[standard_artifacts.Examples],
    model: Parameter[str],
    preprocessing: Parameter[str],
    engine: Parameter[str],
    precision: Parameter[str],
    cache_dir: Parameter[str],
    beam_pipeline: BeamComponentParameter[beam.Pipeline] = None,
) -> None:
    """Run the frozen backbone over each image once.

    The features of `test` are for DataQuality alone, which looks for copies of training
    images: nothing is trained on them, and the gate asks the exported model.

    Args:
        examples: Raw examples of ImageExampleGen.
        metadata: The same without the images' bytes.
        transform_graph: Of Transform, for its label map.
        features: Receives all splits; each record holds `features`, float32 of the
            backbone's output, `image/class/label` (-1 for a class of `test` that has
            no training image), `image/key` and `image/filename`. Its custom properties
            tell the `engine`, the numbers of images `from_store` and `computed`, and of
            the store's `damaged_files`.
        model: A `ModelConfig` as JSON; its head is not looked at.
        preprocessing: The `PreprocessingSpec` that Transform applies, as JSON.
        engine: See `graft.trainer.backbones.feature_engine.build_engine`.
        precision: See `graft.trainer.backbones.feature_engine.build_engine`.
        cache_dir: Folder or URI of the store of features; empty for none.
        beam_pipeline: Made by TFX.
    """
    # TensorFlow: wiring the pipeline need not wait for it.
    from graft.components.features.executor import store_features

    store_features(
        examples=examples,
        metadata=metadata,
        transform_graph=transform_graph,
        features=features,
        model_json=model,
        preprocessing_json=preprocessing,
        engine=engine,
        precision=precision,
        cache_dir=cache_dir,
        pipeline=beam_pipeline,
    )
