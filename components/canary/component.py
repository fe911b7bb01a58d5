"""Declaration of the Canary component."""

from __future__ import annotations

from typing import ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from graft.components.canary import executor
from graft.components.canary.config import CanaryConfig


class CanarySpec(component_spec.ComponentSpec):
    """Inputs, outputs and execution properties; see the executor for their meaning."""

    PARAMETERS: ClassVar[dict[str, component_spec.ExecutionParameter]] = {
        executor.CANARY_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS: ClassVar[dict[str, component_spec.ChannelParameter]] = {
        executor.MODEL_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Model
        ),
        executor.EXAMPLES_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Examples
        ),
        executor.EVALUATION_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.ModelEvaluation
        ),
    }
    OUTPUTS: ClassVar[dict[str, component_spec.ChannelParameter]] = {
        executor.BLESSING_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.InfraBlessing
        ),
    }


class Canary(base_component.BaseComponent):
    """Try the candidate over gRPC before anybody else does.

    It stands where TFX's InfraValidator would, which Kubeflow's compiler refuses.
    Component `outputs` contains:
      - `blessing`: Channel of `standard_artifacts.InfraBlessing`, which Pusher obeys.
    """

    SPEC_CLASS = CanarySpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        *,
        model: channel.BaseChannel,
        examples: channel.BaseChannel,
        evaluation: channel.BaseChannel,
        canary: CanaryConfig,
    ) -> None:
        """Declare the node.

        Args:
            model: The candidate, a `Model`.
            examples: Raw `Examples` of ImageExampleGen.
            evaluation: The gate's `ModelEvaluation`, with the answers to expect.
            canary: Requests and limits.
        """
        super().__init__(
            spec=CanarySpec(
                **{
                    executor.MODEL_KEY: model,
                    executor.EXAMPLES_KEY: examples,
                    executor.EVALUATION_KEY: evaluation,
                    executor.CANARY_KEY: canary.model_dump_json(),
                    executor.BLESSING_KEY: channel.Channel(
                        type=standard_artifacts.InfraBlessing
                    ),
                }
            )
        )
