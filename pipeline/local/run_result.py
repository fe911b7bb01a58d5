"""Read the result of the latest local run from its metadata store and artifacts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graft.components.evaluation.plain_words import in_words
from graft.components.evaluation.verdict import VERDICT_FILE, Verdict, load_verdict
from graft.components.publishing.config import (
    KEPT_PROPERTY,
    REASON_PROPERTY,
    TWIN_PROPERTY,
)
from graft.components.publishing.production import (
    describe_change,
    last_change,
    read_production,
)
from graft.components.publishing.versions import list_versions
from graft.pipeline.config import PipelineConfig
from graft.pipeline.local.data_notes import (
    read_classes,
    read_data_notes,
    read_data_problems,
)
from graft.pipeline.local.metadata_store import LocalMetadata
from graft.pipeline.local.sample_image import sample_image
from graft.storage.paths import join, name_of, parent_of

_DECIDING_NODES = ("Evaluator", "Pusher")


@dataclass(frozen=True)
class RunResult:
    """The outcome of the latest run.

    Attributes:
        accuracy: Accuracy on the `test` split.
        balanced_accuracy: Mean recall of the classes in the `test` split.
        largest_class: `Verdict.largest_class`.
        num_test_images: Number of images in the `test` split.
        is_blessed: Whether the gate blessed the model.
        reasons: Why the gate refused the model, in words; empty if it did not.
        notes: What the gate reports without refusing the model for it.
        passed: A sentence per rule that the model passed.
        classes: The classes of the data, with their numbers of images; "" if unknown.
        data_notes: What is to be known of the data, a sentence each.
        data_problems: Counts of what is wrong with the data; "" for good data.
        is_unchanged: Whether gate and push come from the cache, so that the run changed
            nothing.
        pushed_path: Folder of the pushed version; None if nothing was pushed.
        was_published: Whether that version was there before the run: the same model.
        served_instead: What is in production now, if it is not the pushed version; None
            if it is, or if the version was pushed beside production.
        not_pushed_reason: Why nothing was pushed; None if a version was pushed.
        is_refused: Whether the gate or the canary refused the model, or it was rolled
            back before. If another run has pushed the same model, it is not refused.
        is_served: Whether any version is in production, so that it can be asked.
        report_path: The report page; None if the run made none.
        sample_path: An image of the `test` split, to try the model with.
    """

    accuracy: float
    balanced_accuracy: float | None
    largest_class: dict[str, Any] | None
    num_test_images: int
    is_blessed: bool
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    passed: tuple[str, ...]
    classes: str
    data_notes: tuple[str, ...]
    data_problems: str
    is_unchanged: bool
    pushed_path: str | None
    was_published: bool
    served_instead: str | None
    not_pushed_reason: str | None
    is_refused: bool
    is_served: bool
    report_path: str | None
    sample_path: str | None

    @property
    def refusal(self) -> str:
        """Why the model was refused; "" if it was not."""
        if not self.is_refused:
            return ""
        return "; ".join(self.reasons) or self.not_pushed_reason or "refused"


def read_result(config: PipelineConfig, run_id: str) -> RunResult:
    """Read the result of a run. Others may run in the same folder at the same time.

    Raises:
        LookupError: The run has not reached the gate.
    """
    metadata = LocalMetadata(config.metadata_path)
    evaluation = metadata.output_of_run(run_id, "Evaluator", "evaluation")
    pushed = metadata.output_of_run(run_id, "Pusher", "pushed_model")
    if evaluation is None:
        raise LookupError(f"run {run_id!r} of {config.name!r} has no evaluation")
    verdict = read_verdict(evaluation.uri)
    destination = reason = None
    is_refused = False
    if pushed is not None and pushed.custom_properties["pushed"].int_value:
        destination = pushed.custom_properties["pushed_destination"].string_value
    elif pushed is not None:
        reason = pushed.custom_properties[REASON_PROPERTY].string_value
        is_refused = TWIN_PROPERTY not in pushed.custom_properties
    examples = metadata.output_of_run(run_id, "ImageExampleGen", "examples")
    report = metadata.output_of_run(run_id, "Report", "report")
    quarantine = metadata.output_of_run(run_id, "ImageExampleGen", "quarantine")
    quality = metadata.output_of_run(run_id, "DataQuality", "quality")
    anomalies = metadata.output_of_run(run_id, "ExampleValidator", "anomalies")
    quarantine_uri = None if quarantine is None else quarantine.uri
    quality_uri = None if quality is None else quality.uri
    anomalies_uri = None if anomalies is None else anomalies.uri
    states = metadata.states_of_run(run_id)
    return RunResult(
        accuracy=verdict.metrics["accuracy"],
        balanced_accuracy=verdict.metrics.get("balanced_accuracy"),
        largest_class=verdict.largest_class,
        num_test_images=int(verdict.metrics["num_test_images"]),
        is_blessed=verdict.is_blessed,
        reasons=in_words(verdict, "refuse"),
        notes=in_words(verdict, "note"),
        passed=in_words(verdict, "pass"),
        classes=read_classes(quarantine_uri),
        data_notes=tuple(read_data_notes(quarantine_uri, quality_uri, anomalies_uri)),
        data_problems=read_data_problems(quarantine_uri, quality_uri),
        is_unchanged=all(states.get(node) == "CACHED" for node in _DECIDING_NODES),
        pushed_path=destination,
        was_published=pushed is not None and KEPT_PROPERTY in pushed.custom_properties,
        served_instead=None if destination is None else _served_instead(destination),
        not_pushed_reason=reason,
        is_refused=is_refused,
        is_served=destination is not None
        and read_production(parent_of(destination)).version is not None,
        report_path=None if report is None else report.uri,
        sample_path=None if examples is None else sample_image(config, examples.uri),
    )


def _served_instead(pushed_path: str) -> str | None:
    """Describe what is served in place of a pushed version, if it is another.

    Another process may have changed production since the push, or the run's results
    came from the cache and are older than a rollback.
    """
    folder, number = parent_of(pushed_path), name_of(pushed_path)
    production = read_production(folder)
    if number in map(str, (production.version, *production.labels.values())):
        return None
    same = {
        version.files_hash
        for version in list_versions(folder)
        if str(version.number) == number and version.manifest
    }
    if production.version is not None and production.files_hash in same:
        path = join(folder, str(production.version))
        return f"{path}, which has the files of version {number}"
    change = describe_change(last_change(folder))
    if production.version is None:
        return (
            f"{production.describe()}: version {number} of this run is gone. `graft "
            "bless` publishes it again"
        )
    return f"{production.describe()}{change}, not version {number} of this run"


def read_verdict(evaluation_uri: str) -> Verdict:
    """Read the gate's verdict from an evaluation artifact."""
    return load_verdict(join(evaluation_uri, VERDICT_FILE))
