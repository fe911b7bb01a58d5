"""What a finished run came to, read from the metadata store and the artifacts."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.dsl.io import fileio
from tfx.orchestration import metadata

from graft.components.evaluation.verdict import VERDICT_FILE, Verdict
from graft.components.publishing.executor import REASON_PROPERTY
from graft.pipeline.config import PipelineConfig
from graft.pipeline.local.latest_execution import latest_execution
from graft.pipeline.local.runner import metadata_path
from graft.pipeline.local.sample_image import sample_image


@dataclass(frozen=True)
class RunResult:
    """The outcome of the latest run.

    Attributes:
        accuracy: On the `test` split.
        num_test_images: Size of that split.
        is_blessed: The gate's verdict.
        reasons: Why the gate refused; empty when it did not.
        notes: What the gate wants to be known though it refused nothing for it.
        passed: The rules that the model passed, in words.
        pushed_path: The version folder that was pushed; None when nothing was.
        not_pushed_reason: Why nothing was pushed; None when something was.
        report_path: The report page; None where the run made none.
        sample_path: An image of the test split, to ask the model about.
    """

    accuracy: float
    num_test_images: int
    is_blessed: bool
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    passed: tuple[str, ...]
    pushed_path: str | None
    not_pushed_reason: str | None
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
    verdict = read_verdict(evaluation.uri)
    destination = reason = None
    if pushed is not None and pushed.custom_properties["pushed"].int_value:
        destination = pushed.custom_properties["pushed_destination"].string_value
    elif pushed is not None:
        reason = pushed.custom_properties[REASON_PROPERTY].string_value
    examples = latest_output(store, config.name, "ImageExampleGen", "examples")
    report = latest_output(store, config.name, "Report", "report")
    return RunResult(
        accuracy=verdict.metrics["accuracy"],
        num_test_images=int(verdict.metrics["num_test_images"]),
        is_blessed=verdict.is_blessed,
        reasons=verdict.refusals,
        notes=verdict.notes,
        passed=tuple(r.message for r in verdict.rules if r.outcome == "pass"),
        pushed_path=destination,
        not_pushed_reason=reason,
        report_path=None if report is None else report.uri,
        sample_path=None if examples is None else sample_image(config, examples.uri),
    )


def latest_output(
    store: MetadataStore, pipeline_name: str, node: str, key: str
) -> mlmd.Artifact | None:
    """Return what a node's latest finished execution put out under `key`."""
    latest = latest_execution(store, pipeline_name, node)
    if latest is None:
        return None
    outputs = [
        event.artifact_id
        for event in store.get_events_by_execution_ids([latest.id])
        if event.type == mlmd.Event.OUTPUT
        and event.path.steps
        and event.path.steps[0].key == key
    ]
    artifacts = store.get_artifacts_by_id(outputs)
    return artifacts[0] if artifacts else None


def read_verdict(evaluation_uri: str) -> Verdict:
    """Return the verdict that an evaluation artifact holds."""
    with fileio.open(os.path.join(evaluation_uri, VERDICT_FILE), "r") as file:
        return Verdict.from_json(file.read())
