"""Declaration of the BottleneckFeatures component."""

from __future__ import annotations

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from graft.components.features import executor
from graft.trainer.backbones.engine_names import EngineName, Precision
from graft.trainer.config import ModelConfig


class BottleneckFeaturesSpec(component_spec.ComponentSpec):
    """Inputs, outputs and execution properties; see the executor for their meaning."""

    PARAMETERS = {  # noqa: RUF012 - TFX's interface
        executor.MODEL_KEY: component_spec.ExecutionParameter(type=str),
        executor.PREPROCESSING_KEY: component_spec.ExecutionParameter(type=str),
        executor.ENGINE_KEY: component_spec.ExecutionParameter(type=str),
        executor.PRECISION_KEY: component_spec.ExecutionParameter(type=str),
        executor.CACHE_DIR_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        executor.EXAMPLES_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Examples
        ),
        executor.METADATA_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Examples
        ),
        executor.TRANSFORM_GRAPH_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.TransformGraph
        ),
    }
    OUTPUTS = {  # noqa: RUF012
        executor.FEATURES_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Examples
        ),
    }


class BottleneckFeatures(base_beam_component.BaseBeamComponent):
    """Run the frozen backbone over each image once."""

    SPEC_CLASS = BottleneckFeaturesSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        *,
        examples: channel.BaseChannel,
        metadata: channel.BaseChannel,
        transform_graph: channel.BaseChannel,
        model: ModelConfig,
        preprocessing: str,
        engine: EngineName,
        precision: Precision,
        cache_dir: str,
    ) -> None:
        """Declare the node.

        Args:
            examples: Raw `Examples` of ImageExampleGen.
            metadata: The same `Examples` without the images' bytes.
            transform_graph: The `TransformGraph`, for its label map.
            model: Preset, weights, cut and pooling; the head is not looked at.
            preprocessing: The `PreprocessingSpec` of Transform, as JSON.
            engine: See `graft.trainer.backbones.feature_engine.build_engine`.
            precision: See `graft.trainer.backbones.feature_engine.build_engine`.
            cache_dir: Folder or URI of the store of features; empty for none.
        """
        super().__init__(
            spec=BottleneckFeaturesSpec(
                **{
                    executor.EXAMPLES_KEY: examples,
                    executor.METADATA_KEY: metadata,
                    executor.TRANSFORM_GRAPH_KEY: transform_graph,
                    executor.MODEL_KEY: model.model_dump_json(
                        exclude={"head", "output"}
                    ),
                    executor.PREPROCESSING_KEY: preprocessing,
                    executor.ENGINE_KEY: engine,
                    executor.PRECISION_KEY: precision,
                    executor.CACHE_DIR_KEY: cache_dir,
                    executor.FEATURES_KEY: channel.Channel(
                        type=standard_artifacts.Examples
                    ),
                }
            )
        )
