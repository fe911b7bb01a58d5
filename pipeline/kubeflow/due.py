"""Whether a run is due: data, code or config changed, or drift was reported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.kubeflow.runtime_parameters import FINGERPRINT_PARAMETER
from pipeline.kubeflow.submission import UNDER_WAY, Uploaded
from trainer.errors import UserError

DRIFT_KEYS = ("has_drifted", "is_drifted", "drifted", "drift")
"""Keys of a drift report that say whether there is any."""


class OverlapError(UserError):
    """A run of the same pipeline is under way."""


def reason_to_run(
    runs: list[Any],
    uploaded: Uploaded,
    parameters: Mapping[str, Any],
    *,
    drift_reported_at: float | None = None,
) -> str | None:
    """Say why a run is due, or None where the newest one already answers.

    Args:
        runs: The pipeline's runs, the newest first.
        uploaded: The version that would run; another code or config is another version.
        parameters: The parameters that it would run with, the fingerprint among them.
        drift_reported_at: When drift was reported last, in seconds since the epoch.

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
    has_drifted = drift_reported_at is not None and drift_reported_at > started_at
    return "drift was reported" if has_drifted else None


def drift_reported_at(path: Path | None) -> float | None:
    """Return when a file reported drift, in seconds since the epoch; None: no drift.

    JSON with one of `DRIFT_KEYS` is taken at its word: true, or a list or an object
    that is not empty, is drift. Any other file is a mark: that it is there is drift.

    Args:
        path: The file, which need not exist.

    Raises:
        UserError: It exists and can't be read.
    """
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
        written_at = path.stat().st_mtime
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(
            f"`--drift-report` can't be read: {str(path)!r}: {error.strerror}"
        ) from error
    try:
        report = json.loads(text)
    except ValueError:
        return written_at
    if isinstance(report, dict):
        said = [report[key] for key in DRIFT_KEYS if key in report]
        if said and not any(said):
            return None
    return written_at


def compute_fingerprint(spec: Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    """Return the fingerprint of the data that a run would read, from this machine.

    Args:
        spec: The compiled pipeline.
        parameters: The run's parameters; `data_path` among them counts.

    Raises:
        DataError: The data can't be read from here.
        UserError: The pipeline has no step whose data could be looked at.
    """
    from components.image_example_gen.config import DataConfig
    from components.image_example_gen.fingerprint import fingerprint
    from pipeline.kubeflow.post_processing import all_tasks, constants_of

    for _, _, _, task in all_tasks(spec):
        text = constants_of(task).get("data_config")
        if text is None:
            continue
        config = DataConfig.model_validate_json(text)
        path = parameters.get("data_path", config.path)
        return fingerprint(config.model_copy(update={"path": path}))
    raise UserError("This pipeline has no step with a `data_config`.")
