"""Decide whether a run is needed: data, code or config changed, or drift."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graft.components.publishing.drift import DRIFT_FILE
from graft.components.publishing.production import served_version
from graft.contract.errors import UserError
from graft.pipeline.kubeflow.cluster.following import UNFINISHED
from graft.pipeline.kubeflow.cluster.submission import PipelineVersion
from graft.pipeline.kubeflow.compilation.pipeline_spec import tasks_of
from graft.pipeline.kubeflow.compilation.runtime_parameters import FINGERPRINT_PARAMETER
from graft.storage import files
from graft.storage.paths import is_remote

DRIFT_KEYS = ("has_drifted", "is_drifted", "drifted", "drift")
"""Keys of a drift report that say whether there is drift."""


class OverlapError(UserError):
    """A run of the same pipeline has not ended.

    Attributes:
        run_id: Id of that run.
    """

    def __init__(self, message: str, run_id: str) -> None:
        super().__init__(message)
        self.run_id = run_id


@dataclass(frozen=True)
class DriftReport:
    """A report that the data have drifted.

    Attributes:
        path: The file.
        written_at: When the file was written, in seconds since the epoch.
        data_fingerprint: Fingerprint of the data of the run that wrote the report; None
            if no run of graft wrote it.
        message: Text for the user; may be empty.
    """

    path: Path
    written_at: float
    data_fingerprint: str | None = None
    message: str = ""

    def is_on_same_data(self, parameters: Mapping[str, Any]) -> bool:
        """Return whether a run on the same data wrote this report.

        Another run on these data would train the same model, which was not pushed.
        """
        fingerprint = self.data_fingerprint
        return fingerprint is not None and fingerprint == parameters.get(
            FINGERPRINT_PARAMETER
        )


def reason_to_run(
    runs: list[Any],
    version: PipelineVersion,
    parameters: Mapping[str, Any],
    *,
    drift: Sequence[DriftReport] = (),
) -> str | None:
    """Return why a run is needed; None if the newest run covers the present state.

    Args:
        runs: Runs on the cluster, newest first.
        version: The version that would run; other code or config is another version.
        parameters: Parameters of the run, with the data's fingerprint.
        drift: Drift reports. Each is a reason for one run, unless a run on the same
            data wrote it.

    Returns:
        A few words, or None.

    Raises:
        OverlapError: A run of the pipeline has not ended.
    """
    runs_of_pipeline = [
        run
        for run in runs
        if run.pipeline_version_reference is not None
        and run.pipeline_version_reference.pipeline_id == version.pipeline_id
    ]
    for run in runs_of_pipeline:
        if str(run.state or "PENDING") in UNFINISHED:
            raise OverlapError(
                f"The run {run.display_name!r} is under way.", str(run.run_id)
            )
    newest = runs_of_pipeline[0] if runs_of_pipeline else None
    if newest is None:
        return "there is no run yet"
    if newest.state != "SUCCEEDED":
        return f"the last run ended as {newest.state}"
    if newest.pipeline_version_reference.pipeline_version_id != version.version_id:
        return "code or config changed"
    before = (newest.runtime_config.parameters if newest.runtime_config else None) or {}
    if before.get(FINGERPRINT_PARAMETER) != parameters.get(FINGERPRINT_PARAMETER):
        return "the data changed"
    if dict(before) != dict(parameters):
        return "the parameters changed"
    started_at = newest.created_at.timestamp() if newest.created_at else 0.0
    new = [
        report
        for report in drift
        if report.written_at > started_at and not report.is_on_same_data(parameters)
    ]
    return f"drift was reported ({new[0].path})" if new else None


def drift_report_path(
    spec: Mapping[str, Any], parameters: Mapping[str, Any]
) -> Path | None:
    """Return the path of the drift report in the model's folder.

    Args:
        spec: The compiled pipeline.
        parameters: Parameters of the run; `push_destination` replaces the spec's.

    Returns:
        The path; None if the pipeline pushes nothing, or to object storage.
    """
    for task in tasks_of(spec):
        custom_config = task.constants.get("custom_config")
        push = json.loads(custom_config).get("push") if custom_config else None
        if push is None:
            continue
        config = json.loads(push)
        store = parameters.get("push_destination", config["destination"])
        if not store or is_remote(store):
            return None
        return Path(store) / str(config["model_name"]) / DRIFT_FILE
    return None


def read_drift_report(path: Path) -> DriftReport | None:
    """Return the drift that a file reports; None if it reports none.

    JSON with one of `DRIFT_KEYS` reports drift if the value is true, or a list or an
    object that is not empty. Any other file reports drift by its existence. A report on
    another version than the served one in the same folder is ignored.

    Args:
        path: The file, which need not exist.

    Raises:
        UserError: The file exists and can't be read.
    """
    try:
        written_at = path.stat().st_mtime
        text = files.read_small_text(str(path))
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        text = ""
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise UserError(
                f"The drift report {str(path)!r} can't be read: {error.strerror}"
            ) from error
        text = ""
    try:
        report = json.loads(text)
    except (ValueError, RecursionError):
        return DriftReport(path, written_at)
    if not isinstance(report, dict):
        return DriftReport(path, written_at)
    values = [report[key] for key in DRIFT_KEYS if key in report]
    if values and not any(values):
        return None
    version = report.get("production_version")
    served = served_version(str(path.parent)) if version is not None else None
    if served is not None and served.number != version:
        return None
    return DriftReport(
        path, written_at, report.get("data_fingerprint"), str(report.get("message", ""))
    )


def compute_fingerprint(spec: Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    """Return the fingerprint of the data that a run would read.

    Args:
        spec: The compiled pipeline.
        parameters: Parameters of the run; `data_path` replaces the spec's.

    Raises:
        DataError: This machine can't read the data.
        UserError: The pipeline has no step that reads data.
    """
    from graft.components.ingestion.fingerprint import fingerprint
    from graft.components.ingestion.sources.config import DataConfig

    for task in tasks_of(spec):
        text = task.constants.get("data_config")
        if text is None:
            continue
        config = DataConfig.model_validate_json(text)
        path = parameters.get("data_path", config.path)
        return fingerprint(config.model_copy(update={"path": path}))
    raise UserError("This pipeline has no step with a `data_config`.")
