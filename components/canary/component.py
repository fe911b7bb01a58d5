"""Declaration of the Canary component.

No `from __future__ import annotations` here: TFX reads the types of the function.
"""

from tfx.dsl.component.experimental.annotations import (
    InputArtifact,
    OutputArtifact,
    Parameter,
)
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from graft.components.canary.config import CanaryConfig


@component
def Canary(
    model: InputArtifact[standard_artifacts.Model],
    examples: InputArtifact[standard_artifacts.Examples],
    evaluation: InputArtifact[standard_artifacts.ModelEvaluation],
    blessing: OutputArtifact[standard_artifacts.InfraBlessing],
    canary: Parameter[str],
) -> None:
    """Serve the candidate, send requests over gRPC, and bless it if it passes.

    It replaces TFX's InfraValidator, which Kubeflow's compiler does not support.

    Args:
        model: The candidate.
        examples: Raw examples of ImageExampleGen.
        evaluation: From the gate. The server must return the same predictions.
        blessing: Receives the file and the custom property of TFX's InfraValidator,
            which Pusher reads, and `canary.json`, a `TrialResult`.
        canary: A `CanaryConfig` as JSON.
    """
    # Imported here, since TensorFlow is slow to import and wiring does not need it.
    from graft.components.canary.executor import try_candidate

    config = CanaryConfig.model_validate_json(canary)
    try_candidate(model, examples, evaluation, blessing, config)
