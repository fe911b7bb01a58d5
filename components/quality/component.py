"""Declaration of the DataQuality component."""

from __future__ import annotations

from typing import ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from graft.components.quality import executor
from graft.components.quality.artifacts import DataQualityReport
from graft.components.quality.config import DataQualityConfig


class DataQualitySpec(component_spec.ComponentSpec):
    """Inputs, outputs and execution properties; see the executor for their meaning."""

    PARAMETERS: ClassVar[dict[str, component_spec.ExecutionParameter]] = {
        executor.CONFIG_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS: ClassVar[dict[str, component_spec.ChannelParameter]] = {
        executor.EXAMPLES_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Examples
        ),
        executor.TRAINING_EXAMPLES_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Examples
        ),
    }
    OUTPUTS: ClassVar[dict[str, component_spec.ChannelParameter]] = {
        executor.QUALITY_KEY: component_spec.ChannelParameter(type=DataQualityReport),
        executor.CHECKED_EXAMPLES_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Examples
        ),
    }


class DataQuality(base_component.BaseComponent):
    """Find leaks, copies, poor images and doubtful labels before training.

    Component `outputs` contains:
      - `quality`: Channel of `DataQualityReport`.
      - `checked_examples`: Channel of `standard_artifacts.Examples`: the training
        examples without what a policy `drop` took out of `train`; empty if no policy is
        `drop`, for then nothing changes.
    """

    SPEC_CLASS = DataQualitySpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        *,
        examples: channel.BaseChannel,
        training_examples: channel.BaseChannel,
        config: DataQualityConfig,
    ) -> None:
        """Declare the node.

        Args:
            examples: Raw `Examples` of ImageExampleGen.
            training_examples: What the trainer would read: the same, or features.
            config: A policy per check.
        """
        super().__init__(
            spec=DataQualitySpec(
                **{
                    executor.EXAMPLES_KEY: examples,
                    executor.TRAINING_EXAMPLES_KEY: training_examples,
                    executor.CONFIG_KEY: config.model_dump_json(),
                    executor.QUALITY_KEY: channel.Channel(type=DataQualityReport),
                    executor.CHECKED_EXAMPLES_KEY: channel.Channel(
                        type=standard_artifacts.Examples
                    ),
                }
            )
        )
