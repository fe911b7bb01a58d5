"""What a finished run came to, read from the metadata store and the artifacts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow_model_analysis as tfma
from ml_metadata import errors as mlmd_errors
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.orchestration import metadata

from components.gate.eval_config import ACCURACY_METRIC
from pipeline.config import PipelineConfig
from pipeline.local_runner import metadata_path
from pipeline.sample_image import sample_image

_DONE = (mlmd.Execution.COMPLETE, mlmd.Execution.CACHED)


@dataclass(frozen=True)
class RunResult:
    """The outcome of the latest run.

    Attributes:
        accuracy: On the `test` split.
        num_test_images: Size of that split.
        is_blessed: The gate's verdict.
        reasons: Why the gate refused; empty when it did not.
        pushed_path: The version folder that was pushed; None when nothing was.
        report_path: The report page; None where the run made none.
        sample_path: An image of the test split, to ask the model about.
    """

    accuracy: float
    num_test_images: int
    is_blessed: bool
    reasons: tuple[str, ...]
    pushed_path: str | None
    report_path: str | None
    sample_path: str | None


def read_result(config: PipelineConfig) -> RunResult:
    """Read what the latest run of the pipeline came to.

    Raises:
        LookupError: No run got as far as the gate.
    """
    connection = metadata.sqlite_metadata_connection_config(metadata_path(config))
    store = MetadataStore(connection)
    evaluation = latest_output(store, config.name, "Evaluator", "evaluation")
    pushed = latest_output(store, config.name, "Pusher", "pushed_model")
    if evaluation is None:
        raise LookupError(f"pipeline {config.name!r} has no evaluation yet")
    metrics = tfma.load_eval_result(evaluation.uri).get_metrics_for_slice()
    validation = tfma.load_validation_result(evaluation.uri)
    reasons = tuple(
        _explain(failure)
        for per_slice in validation.metric_validations_per_slice
        for failure in per_slice.failures
    )
    destination = None
    if pushed is not None and pushed.custom_properties["pushed"].int_value:
        destination = pushed.custom_properties["pushed_destination"].string_value
    examples = latest_output(store, config.name, "ImageExampleGen", "examples")
    report = latest_output(store, config.name, "Report", "report")
    return RunResult(
        accuracy=float(metrics[ACCURACY_METRIC]["doubleValue"]),
        num_test_images=int(metrics["example_count"]["doubleValue"]),
        is_blessed=validation.validation_ok,
        reasons=reasons,
        pushed_path=destination,
        report_path=None if report is None else f"{report.uri}/report.html",
        sample_path=None if examples is None else sample_image(config, examples.uri),
    )


def latest_output(
    store: MetadataStore, pipeline_name: str, node: str, key: str
) -> mlmd.Artifact | None:
    """Return the artifact that a node's latest finished execution put out under `key`."""
    try:
        context = store.get_context_by_type_and_name("node", f"{pipeline_name}.{node}")
    except mlmd_errors.NotFoundError:
        return None
    if context is None:
        return None
    done = [
        execution
        for execution in store.get_executions_by_context(context.id)
        if execution.last_known_state in _DONE
    ]
    if not done:
        return None
    latest = max(done, key=lambda execution: execution.id)
    outputs = [
        event.artifact_id
        for event in store.get_events_by_execution_ids([latest.id])
        if event.type == mlmd.Event.OUTPUT
        and event.path.steps
        and event.path.steps[0].key == key
    ]
    artifacts = store.get_artifacts_by_id(outputs)
    return artifacts[0] if artifacts else None


def _explain(failure: Any) -> str:
    value = failure.metric_value.double_value.value
    bound = failure.metric_threshold.value_threshold.lower_bound.value
    return f"{failure.metric_key.name} is {value:.4f}, below the floor of {bound:g}"
