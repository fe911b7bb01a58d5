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
    copy_into_artifact: Parameter[bool],
    beam_pipeline: BeamComponentParameter[beam.Pipeline] = None,
) -> None:
    """Run the frozen backbone over each image once.

    DataQuality reads the features of `test`, to find copies of training images, and the
    gate, see `graft.components.evaluation.answers`. Nothing is trained on them.

    Args:
        examples: Raw examples of ImageExampleGen.
        metadata: The same examples without the encoded images.
        transform_graph: From Transform; its label map is used.
        features: Receives all splits; each record holds `features`, float32 of the
            backbone's output, or its place in the store, `image/class/label` (-1 for a
            class of `test` that has no training image), `image/key` and
            `image/filename`. Its custom properties are `engine`, the numbers of images
            `from_store` and `computed`, and the number of `damaged_files` in the store.
        model: A `ModelConfig` as JSON; its head is ignored.
        preprocessing: The `PreprocessingSpec` that Transform applies, as JSON.
        engine: See `graft.trainer.backbones.feature_engine.build_engine`.
        precision: See `graft.trainer.backbones.feature_engine.build_engine`.
        cache_dir: Folder or URI of the store of features; empty for none.
        copy_into_artifact: Write features into the records, where they would otherwise
            refer to the store. Without a store it is always so.
        beam_pipeline: Made by TFX.
    """
    # Imported here, since TensorFlow is slow to import and wiring does not need it.
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
        copy_into_artifact=copy_into_artifact,
        pipeline=beam_pipeline,
    )
