"""The executor of ImageExampleGen, an adapter from TFX to `ingest`."""

from __future__ import annotations

from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions
from tfx import types
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils

from graft.components.beam_jobs import num_workers
from graft.components.ingestion.ingest import OutputFolders, ingest
from graft.components.ingestion.sources.config import DataConfig
from graft.contract.split_names import SPLITS

DATA_CONFIG_KEY = "data_config"
DATA_FINGERPRINT_KEY = "data_fingerprint"
EXAMPLES_KEY = "examples"
METADATA_KEY = "metadata"
SCHEMA_KEY = "schema"
QUARANTINE_KEY = "quarantine"
_SHARDS_PER_WORKER = 4
"""Workers are seldom equally fast; several shards for each keep them all busy."""


class ImageExampleGenExecutor(base_beam_executor.BaseBeamExecutor):
    """Turn labelled images into checked examples in three splits."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Run the component.

        Args:
            input_dict: Empty.
            output_dict: By output key:
                - examples: `standard_artifacts.Examples`, whole tf.Examples.
                - metadata: `standard_artifacts.Examples`, the same without the image.
                - schema: `standard_artifacts.Schema` of one example.
                - quarantine: `ImageQuarantine`.
            exec_properties: By key:
                - data_config: JSON of `DataConfig`.
                - data_fingerprint: Changes when the data does.

        Raises:
            DataError: The data can't be used.
            UserError: The disk is full.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        config = DataConfig.model_validate_json(exec_properties[DATA_CONFIG_KEY])
        artifacts = {
            key: artifact_utils.get_single_instance(output_dict[key])
            for key in (EXAMPLES_KEY, METADATA_KEY, SCHEMA_KEY, QUARANTINE_KEY)
        }
        outputs = OutputFolders(**{key: a.uri for key, a in artifacts.items()})
        options = PipelineOptions(self._beam_pipeline_args)
        min_shards = _SHARDS_PER_WORKER * num_workers(options)
        ingest(config, outputs, self._make_beam_pipeline, min_shards)
        for key in (EXAMPLES_KEY, METADATA_KEY):
            artifact = artifacts[key]
            artifact.split_names = artifact_utils.encode_split_names(list(SPLITS))
            artifact.set_int_custom_property("span", 0)
            artifact.set_int_custom_property("version", 0)
            artifact.set_string_custom_property(
                "input_fingerprint", exec_properties[DATA_FINGERPRINT_KEY]
            )
            examples_utils.set_payload_format(
                artifact, example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE
            )
