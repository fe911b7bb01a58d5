"""Run one TFX executor in this process, from JSON to JSON."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def execute(
    executor_class_path: str,
    message: dict[str, Any],
    inputs_spec: Mapping[str, Any],
    step: Mapping[str, Any],
    beam_args: list[str],
    *,
    on_start: Callable[[], None],
    scratch_in: str | None = None,
) -> dict[str, Any]:
    """Run an executor and return its outputs.

    Args:
        executor_class_path: Dotted path of the executor's class.
        message: ExecutorInput with typed artifacts and local URIs.
        inputs_spec: ComponentInputsSpec of the component.
        step: `--graft_step`: `artifact_classes`, `runs_file_driver`.
        beam_args: Arguments for Beam.
        on_start: Called when all imports are done, before the executor runs.
        scratch_in: Folder for temporary files; None: the system's.

    Returns:
        ExecutorOutput as a dict, with local URIs.
    """
    # The KFP SDK imports its compiler unless it runs in a container.
    os.environ.setdefault("_KFP_RUNTIME", "true")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    from graft.pipeline.kubeflow.container import lean_imports

    lean_imports.install()
    if step.get("runs_file_driver"):
        _run_file_driver(message, inputs_spec)

    from kfp.pipeline_spec import pipeline_spec_pb2
    from tfx.orchestration.kubeflow.v2 import compiler_utils
    from tfx.orchestration.kubeflow.v2.container import (
        kubeflow_v2_entrypoint_utils as tfx_json,
    )
    from tfx.utils import import_utils

    # TFX finds the class of a custom type by its title in this table.
    compiler_utils.TITLE_TO_CLASS_PATH.update(step.get("artifact_classes", {}))
    names: dict[int, str] = {}
    parsed = _parse(message, pipeline_spec_pb2.ExecutorInput())
    spec = _parse(inputs_spec, pipeline_spec_pb2.ComponentInputsSpec())
    inputs = tfx_json.parse_raw_artifact_dict(parsed.inputs.artifacts, names)
    outputs = tfx_json.parse_raw_artifact_dict(parsed.outputs.artifacts, names)
    properties = tfx_json.parse_execution_properties(
        parsed.inputs.parameter_values, parsed.inputs.parameters, spec
    )
    executor_class = import_utils.import_class_by_path(executor_class_path)
    with tempfile.TemporaryDirectory(prefix="graft-step-", dir=scratch_in) as scratch:
        executor = executor_class(_context_for(executor_class, beam_args, scratch))
        on_start()
        executor.Do(inputs, outputs, properties)
    _tag_with_version(outputs)
    _name_models_of_blessing(outputs, names)
    return _executor_output(outputs, names, message["outputs"].get("parameters", {}))


def _parse(message: Mapping[str, Any], proto: Any) -> Any:
    from google.protobuf import json_format

    return json_format.ParseDict(dict(message), proto, ignore_unknown_fields=True)


def _context_for(executor_class: Any, beam_args: list[str], scratch: str) -> Any:
    """Return the context that TFX would give an executor of this class."""
    from tfx.dsl.components.base import base_beam_executor, base_executor

    from graft.pipeline.beam_settings import keep_beam_local

    # TFMA starts Beam in an executor that is none of Beam's.
    keep_beam_local()
    if not issubclass(executor_class, base_beam_executor.BaseBeamExecutor):
        return base_executor.BaseExecutor.Context(
            extra_flags=beam_args, unique_id="step", tmp_dir=scratch
        )
    return base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=beam_args, unique_id="step", tmp_dir=scratch
    )


def _executor_output(
    outputs: Mapping[str, list[Any]], names: Mapping[int, str], values: Iterable[str]
) -> dict[str, Any]:
    """Return an ExecutorOutput as a dict.

    Args:
        outputs: Output artifacts by key.
        names: Names of the input artifacts by TFX's id.
        values: Keys of outputs that another step takes as a parameter.
    """
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2
    from tfx.orchestration.kubeflow.v2.container import (
        kubeflow_v2_entrypoint_utils as tfx_json,
    )

    result = pipeline_spec_pb2.ExecutorOutput()
    for key, value in tfx_json.translate_executor_output(outputs, names).items():
        result.artifacts[key].CopyFrom(value)
    # TFX writes such a value to a file; Kubeflow reads it as a parameter.
    for key in values:
        json_format.ParseDict(outputs[key][0].read(), result.parameter_values[key])
    answer: dict[str, Any] = json_format.MessageToDict(result)
    return answer


def _run_file_driver(message: dict[str, Any], inputs_spec: Mapping[str, Any]) -> None:
    """Add span, version and fingerprint of files to `message`, by TFX's driver.

    Vertex AI runs this driver before the container; the open-source backend does not.
    """
    from tfx.orchestration.kubeflow.v2.file_based_example_gen import driver

    with tempfile.TemporaryDirectory(prefix="graft-driver-") as folder:
        path = os.path.join(folder, "driver_output.json")
        request = {**message, "outputs": {**message["outputs"], "outputFile": path}}
        driver.main(
            argparse.Namespace(
                json_serialized_invocation_args=json.dumps(request),
                json_serialized_inputs_spec_args=json.dumps(dict(inputs_spec)),
            )
        )
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    message["inputs"]["parameterValues"].update(found.get("parameterValues", {}))
    for key, entry in found.get("artifacts", {}).items():
        for artifact, target in zip(
            entry["artifacts"],
            message["outputs"]["artifacts"][key]["artifacts"],
            strict=True,
        ):
            known = {
                k: v for k, v in artifact.get("metadata", {}).items() if v is not None
            }
            target["metadata"] = {**target.get("metadata", {}), **known}


def _tag_with_version(outputs: Mapping[str, list[Any]]) -> None:
    """Mark artifacts with TFX's version, which decides their folder names."""
    from tfx import version
    from tfx.types import artifact_utils

    key = artifact_utils.ARTIFACT_TFX_VERSION_CUSTOM_PROPERTY_KEY
    for artifacts in outputs.values():
        for artifact in artifacts:
            if not artifact.has_custom_property(key):
                artifact.set_string_custom_property(key, version.__version__)


def _name_models_of_blessing(
    outputs: Mapping[str, list[Any]], names: Mapping[int, str]
) -> None:
    """Replace the hashed model ids of a blessing by Kubeflow's ids."""
    for artifacts in outputs.values():
        for artifact in artifacts:
            if artifact.type_name != "ModelBlessing":
                continue
            for key in ("current_model_id", "baseline_model_id"):
                if artifact.has_custom_property(key):
                    number = artifact.get_int_custom_property(key)
                    if number in names:
                        artifact.set_string_custom_property(key, names[number])
