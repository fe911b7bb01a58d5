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
    """Try the candidate over gRPC before anybody else does.

    It stands where TFX's InfraValidator would, which Kubeflow's compiler refuses.

    Args:
        model: The candidate.
        examples: Raw examples of ImageExampleGen.
        evaluation: Of the gate, whose answers are expected.
        blessing: Receives the file and the custom property of TFX's InfraValidator,
            which Pusher obeys, and `canary.json`, a `TrialResult`.
        canary: A `CanaryConfig` as JSON.
    """
    # gRPC and Pillow: wiring the pipeline need not wait for them.
    from graft.components.canary.executor import try_candidate

    config = CanaryConfig.model_validate_json(canary)
    try_candidate(model, examples, evaluation, blessing, config)
