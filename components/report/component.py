"""Declaration of the Report component."""

from __future__ import annotations

from typing import ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from graft.components.ingestion.artifacts import ImageQuarantine
from graft.components.quality.artifacts import DataQualityReport
from graft.components.report import executor
from graft.components.report.artifacts import ModelCard, RunReport


class ReportSpec(component_spec.ComponentSpec):
    """Inputs, outputs and execution properties; see the executor for their meaning."""

    PARAMETERS: ClassVar[dict[str, component_spec.ExecutionParameter]] = {
        executor.CONFIG_KEY: component_spec.ExecutionParameter(type=str),
        executor.DATA_FINGERPRINT_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS: ClassVar[dict[str, component_spec.ChannelParameter]] = {
        executor.EXAMPLES_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Examples
        ),
        executor.EVALUATION_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.ModelEvaluation
        ),
        executor.MODEL_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Model
        ),
        executor.MODEL_RUN_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.ModelRun
        ),
        executor.PUSHED_MODEL_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.PushedModel
        ),
        executor.INFRA_BLESSING_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.InfraBlessing, optional=True
        ),
        executor.QUARANTINE_KEY: component_spec.ChannelParameter(type=ImageQuarantine),
        executor.ANOMALIES_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.ExampleAnomalies
        ),
        executor.QUALITY_KEY: component_spec.ChannelParameter(
            type=DataQualityReport, optional=True
        ),
        executor.FEATURES_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Examples, optional=True
        ),
    }
    OUTPUTS: ClassVar[dict[str, component_spec.ChannelParameter]] = {
        executor.REPORT_KEY: component_spec.ChannelParameter(type=RunReport),
        executor.CARD_KEY: component_spec.ChannelParameter(type=ModelCard),
    }


class Report(base_component.BaseComponent):
    """Write down what came of a run and why, for people.

    Component `outputs` contains:
      - `report`: Channel of `RunReport`, one HTML file.
      - `model_card`: Channel of `ModelCard`, one Markdown file.
    """

    SPEC_CLASS = ReportSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        *,
        config_json: str,
        data_fingerprint: str,
        **inputs: channel.BaseChannel | None,
    ) -> None:
        """Declare the node.

        Args:
            config_json: The run's config.
            data_fingerprint: Identifies the data.
            **inputs: `examples`, `evaluation`, `model`, `model_run`, `pushed_model`,
                `quarantine`, `anomalies`, and, if there are any, `infra_blessing`,
                `quality` and `features`.
        """
        super().__init__(
            spec=ReportSpec(
                **{key: each for key, each in inputs.items() if each is not None},
                **{
                    executor.CONFIG_KEY: config_json,
                    executor.DATA_FINGERPRINT_KEY: data_fingerprint,
                    executor.REPORT_KEY: channel.Channel(type=RunReport),
                    executor.CARD_KEY: channel.Channel(type=ModelCard),
                },
            )
        )
