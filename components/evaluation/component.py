"""Declaration of the gate.

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

from graft.components.evaluation.config import GateConfig
from graft.components.quality.artifacts import DataQualityReport


@component(use_beam=True)
def Evaluator(  # noqa: PLR0917 - TFX reads positional parameters
    examples: InputArtifact[standard_artifacts.Examples],
    model: InputArtifact[standard_artifacts.Model],
    evaluation: OutputArtifact[standard_artifacts.ModelEvaluation],
    blessing: OutputArtifact[standard_artifacts.ModelBlessing],
    gate: Parameter[str],
    cache_dir: Parameter[str] = "",
    baseline_model: InputArtifact[standard_artifacts.Model] = None,
    quality: InputArtifact[DataQualityReport] = None,
    features: InputArtifact[standard_artifacts.Examples] = None,
    beam_pipeline: BeamComponentParameter[beam.Pipeline] = None,
) -> None:
    """Evaluate the candidate on `test`, compare it with production, and decide.

    It replaces TFX's Evaluator and has the same inputs and outputs.

    Args:
        examples: Raw examples of ImageExampleGen.
        model: The candidate.
        evaluation: Receives `verdict.json` (a `Verdict`), `predictions.npz`
            (`Predictions`) and, with `gate.write_tfma_metrics`, TFMA's files.
        blessing: Receives the file and the custom properties of TFX's Evaluator, which
            Pusher reads, and `verdict.json`.
        gate: A `GateConfig` as JSON.
        cache_dir: Folder or URI of the store of features, where answers are kept, too;
            empty for none.
        baseline_model: The model in production, from `ServedModel`; it may be empty.
        quality: From DataQuality, with the profile of the data.
        features: From BottleneckFeatures, if the head was trained on stored features.
        beam_pipeline: Made by TFX. On a cluster its workers ask the models.
    """
    # Imported here, since TensorFlow is slow to import and wiring does not need it.
    from graft.components.evaluation.executor import evaluate

    evaluate(
        examples=examples,
        model=model,
        baseline_model=baseline_model,
        quality=quality,
        features=features,
        evaluation=evaluation,
        blessing=blessing,
        gate=GateConfig.model_validate_json(gate),
        cache_dir=cache_dir,
        pipeline=beam_pipeline,
    )
