"""The declaration of ImageExampleGen."""

from __future__ import annotations

from typing import ClassVar

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from graft.components.ingestion import executor
from graft.components.ingestion.artifacts import ImageQuarantine
from graft.components.ingestion.sources.config import DataConfig


class ImageExampleGenSpec(types.ComponentSpec):
    """Inputs, outputs and execution properties of ImageExampleGen."""

    PARAMETERS: ClassVar[dict[str, component_spec.ExecutionParameter]] = {
        executor.DATA_CONFIG_KEY: component_spec.ExecutionParameter(type=str),
        executor.DATA_FINGERPRINT_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS: ClassVar[dict[str, component_spec.ChannelParameter]] = {}
    OUTPUTS: ClassVar[dict[str, component_spec.ChannelParameter]] = {
        executor.EXAMPLES_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Examples
        ),
        executor.METADATA_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Examples
        ),
        executor.SCHEMA_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Schema
        ),
        executor.QUARANTINE_KEY: component_spec.ChannelParameter(type=ImageQuarantine),
    }


class ImageExampleGen(base_beam_component.BaseBeamComponent):
    """Ingest labelled images: check them, split them, and quarantine unreadable ones.

    Component `outputs` contains:
      - `examples`: Channel of `standard_artifacts.Examples` with the splits train, eval
        and test. `graft.contract.example_keys` names the keys.
      - `metadata`: Channel of `standard_artifacts.Examples`, the same without the
        images' bytes. Statistics read it at little cost.
      - `schema`: Channel of `standard_artifacts.Schema` of one example.
      - `quarantine`: Channel of `ImageQuarantine`.

    TFX's decorator form makes one Beam pipeline per node. This node runs several: each
    needs results of the one before, for instance the groups of copies.

    Example:
        config = DataConfig(path="photos")
        gen = ImageExampleGen(config, fingerprint(config))
    """

    SPEC_CLASS = ImageExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.ImageExampleGenExecutor)

    def __init__(self, data_config: DataConfig, data_fingerprint: str) -> None:
        """Declare the component.

        Args:
            data_config: The data.
            data_fingerprint: `fingerprint(data_config)`. If it changes, the node runs
                again.
        """
        super().__init__(
            spec=ImageExampleGenSpec(
                data_config=data_config.model_dump_json(),
                data_fingerprint=data_fingerprint,
                examples=types.Channel(type=standard_artifacts.Examples),
                metadata=types.Channel(type=standard_artifacts.Examples),
                schema=types.Channel(type=standard_artifacts.Schema),
                quarantine=types.Channel(type=ImageQuarantine),
            )
        )
