"""Declaration of the gate."""

from __future__ import annotations

import json
from typing import ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from graft.components.evaluation import executor
from graft.components.evaluation.config import GateConfig
from graft.components.quality.artifacts import DataQualityReport
from graft.contract import split_names


class EvaluatorSpec(component_spec.ComponentSpec):
    """Inputs, outputs and execution properties; see the executor for their meaning."""

    PARAMETERS: ClassVar[dict[str, component_spec.ExecutionParameter]] = {
        executor.GATE_KEY: component_spec.ExecutionParameter(type=str),
        executor.EXAMPLE_SPLITS_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS: ClassVar[dict[str, component_spec.ChannelParameter]] = {
        executor.EXAMPLES_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Examples
        ),
        executor.MODEL_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Model
        ),
        executor.BASELINE_MODEL_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Model, optional=True
        ),
        executor.QUALITY_KEY: component_spec.ChannelParameter(
            type=DataQualityReport, optional=True
        ),
    }
    OUTPUTS: ClassVar[dict[str, component_spec.ChannelParameter]] = {
        executor.EVALUATION_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.ModelEvaluation
        ),
        executor.BLESSING_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.ModelBlessing
        ),
    }


class Evaluator(base_component.BaseComponent):
    """Evaluate the candidate on `test`, compare it with production, and decide.

    It stands where TFX's Evaluator does and has its inputs and outputs. Component
    `outputs` contains:
      - `evaluation`: Channel of `standard_artifacts.ModelEvaluation`: `verdict.json`,
        `predictions.npz` and, with `gate.write_tfma_metrics`, TFMA's files.
      - `blessing`: Channel of `standard_artifacts.ModelBlessing`, which Pusher obeys.
    """

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        *,
        examples: channel.BaseChannel,
        model: channel.BaseChannel,
        gate: GateConfig,
        baseline_model: channel.BaseChannel | None = None,
        quality: channel.BaseChannel | None = None,
    ) -> None:
        """Declare the node.

        Args:
            examples: Raw `Examples` of ImageExampleGen.
            model: The candidate, a `Model`.
            gate: What is demanded of it.
            baseline_model: What production serves, from `ServedModel`.
            quality: What DataQuality found, with the data's profile.
        """
        inputs = {executor.EXAMPLES_KEY: examples, executor.MODEL_KEY: model}
        if baseline_model is not None:
            inputs[executor.BASELINE_MODEL_KEY] = baseline_model
        if quality is not None:
            inputs[executor.QUALITY_KEY] = quality
        super().__init__(
            spec=EvaluatorSpec(
                **inputs,
                **{
                    executor.GATE_KEY: gate.model_dump_json(),
                    executor.EXAMPLE_SPLITS_KEY: json.dumps([split_names.TEST_SPLIT]),
                    executor.EVALUATION_KEY: channel.Channel(
                        type=standard_artifacts.ModelEvaluation
                    ),
                    executor.BLESSING_KEY: channel.Channel(
                        type=standard_artifacts.ModelBlessing
                    ),
                },
            )
        )
