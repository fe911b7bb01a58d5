"""Whether a run is due: data, code or config changed, or drift was reported."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graft.components.publishing.drift import DRIFT_FILE
from graft.components.publishing.files import is_remote
from graft.components.publishing.store import served_version
from graft.contract.errors import UserError
from graft.pipeline.kubeflow.cluster.submission import UNDER_WAY, Uploaded
from graft.pipeline.kubeflow.compilation.runtime_parameters import FINGERPRINT_PARAMETER

DRIFT_KEYS = ("has_drifted", "is_drifted", "drifted", "drift")
"""Keys of a drift report that say whether there is any."""


class OverlapError(UserError):
    """A run of the same pipeline is under way."""


@dataclass(frozen=True)
class DriftReport:
    """Somebody says that the data have drifted.

    Attributes:
        path: The file.
        written_at: When, in seconds since the epoch.
        data_fingerprint: Of the data that a run of ours reports on; None: not a run's.
        message: What it says, for people; may be empty.
    """

    path: Path
    written_at: float
    data_fingerprint: str | None = None
    message: str = ""

    def is_answered(self, parameters: Mapping[str, Any]) -> bool:
        """Return whether a run with these parameters is the one that reported.

        The same data, code and config would make the same model, which was not pushed.
        """
        ours = self.data_fingerprint
        return ours is not None and ours == parameters.get(FINGERPRINT_PARAMETER)


def reason_to_run(
    runs: list[Any],
    uploaded: Uploaded,
    parameters: Mapping[str, Any],
    *,
    drift: Sequence[DriftReport] = (),
) -> str | None:
    """Say why a run is due, or None where the newest one already answers.

    Args:
        runs: The pipeline's runs, the newest first.
        uploaded: The version that would run; another code or config is another version.
        parameters: The parameters that it would run with, the fingerprint among them.
        drift: Who reports drift. Each report is a reason for one run, unless it comes
            from a run on the same data.

    Returns:
        A few words, or None.

    Raises:
        OverlapError: A run of the pipeline is under way.
    """
    ours = [
        run
        for run in runs
        if run.pipeline_version_reference is not None
        and run.pipeline_version_reference.pipeline_id == uploaded.pipeline_id
    ]
    for run in ours:
        if str(run.state or "PENDING") in UNDER_WAY:
            raise OverlapError(f"The run {run.display_name!r} is under way.")
    newest = ours[0] if ours else None
    if newest is None:
        return "there is no run yet"
    if newest.state != "SUCCEEDED":
        return f"the last run ended as {newest.state}"
    if newest.pipeline_version_reference.pipeline_version_id != uploaded.version_id:
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
        if report.written_at > started_at and not report.is_answered(parameters)
    ]
    return f"drift was reported ({new[0].path})" if new else None


def drift_path(spec: Mapping[str, Any], parameters: Mapping[str, Any]) -> Path | None:
    """Return where runs of a pipeline report drift, beside the versions they push.

    Args:
        spec: The compiled pipeline.
        parameters: The run's parameters; `push_destination` among them counts.

    Returns:
        The file; None where the pipeline pushes nothing, or to object storage.
    """
    from graft.pipeline.kubeflow.compilation.post_processing import (
        all_tasks,
        constants_of,
    )

    for _, _, _, task in all_tasks(spec):
        custom_config = constants_of(task).get("custom_config")
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
    """Return what a file says about drift; None: there is none.

    JSON with one of `DRIFT_KEYS` is taken at its word: true, or a list or an object
    that is not empty, is drift. Any other file is a mark: that it is there is drift.
    A report on another version than the one that is served beside it does not count.

    Args:
        path: The file, which need not exist.

    Raises:
        UserError: It exists and can't be read.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
        written_at = path.stat().st_mtime
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(
            f"The drift report {str(path)!r} can't be read: {error.strerror}"
        ) from error
    try:
        report = json.loads(text)
    except ValueError:
        return DriftReport(path, written_at)
    if not isinstance(report, dict):
        return DriftReport(path, written_at)
    said = [report[key] for key in DRIFT_KEYS if key in report]
    if said and not any(said):
        return None
    version = report.get("production_version")
    served = served_version(str(path.parent)) if version is not None else None
    if served is not None and served.number != version:
        return None
    return DriftReport(
        path, written_at, report.get("data_fingerprint"), str(report.get("message", ""))
    )


def compute_fingerprint(spec: Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    """Return the fingerprint of the data that a run would read, from this machine.

    Args:
        spec: The compiled pipeline.
        parameters: The run's parameters; `data_path` among them counts.

    Raises:
        DataError: The data can't be read from here.
        UserError: The pipeline has no step whose data could be looked at.
    """
    from graft.components.ingestion.config import DataConfig
    from graft.components.ingestion.fingerprint import fingerprint
    from graft.pipeline.kubeflow.compilation.post_processing import (
        all_tasks,
        constants_of,
    )

    for _, _, _, task in all_tasks(spec):
        text = constants_of(task).get("data_config")
        if text is None:
            continue
        config = DataConfig.model_validate_json(text)
        path = parameters.get("data_path", config.path)
        return fingerprint(config.model_copy(update={"path": path}))
    raise UserError("This pipeline has no step with a `data_config`.")
