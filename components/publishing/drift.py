"""`drift.json`: whether the data have drifted from those of the model in production.

Every run that compares its data writes this file, even if its model is refused. Another
monitor of the model may write it, too. `graft submit --if-changed` reads it
(`graft.pipeline.kubeflow.cluster.run_triggers`). Keys:

    has_drifted         bool: the data have drifted since production was trained
    production_version  number of the version in production
    compared_with       number of the version that the run compared its data with
    data_fingerprint    identifies the data; absent if no run wrote the file
    properties          the shifts: `name`, `divergence`, `value`, `before`, `after`
    message             the same for people
    written_at          UTC, ISO 8601
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Any

from graft.components.evaluation.verdict import Verdict
from graft.components.publishing.production import served_version
from graft.components.publishing.store_files import write_text

DRIFT_FILE = "drift.json"
_KEYS = ("name", "divergence", "value", "before", "after")


def write_drift(
    model_folder: str,
    verdict: Verdict | None,
    *,
    is_production: bool,
    data_fingerprint: str | None,
) -> dict[str, Any] | None:
    """Write `drift.json` atomically, with what the gate found.

    Args:
        model_folder: `<store>/<model name>`.
        verdict: The gate's verdict, if any.
        is_production: Whether the run's own model is in production now. Then there is
            no drift.
        data_fingerprint: Identifies the run's data.

    Returns:
        The content of the file; None without a verdict or a served version.
    """
    served = served_version(model_folder)
    if verdict is None or served is None:
        return None
    moved = [
        {key: shift[key] for key in _KEYS}
        for shift in verdict.drift
        if shift["is_drifted"]
    ]
    before = verdict.baseline["version"] if verdict.baseline else None
    report: dict[str, Any] = {
        "has_drifted": bool(moved) and not is_production,
        "production_version": served.number,
        "compared_with": before,
        "data_fingerprint": data_fingerprint,
        "properties": moved,
        "message": _message(moved, before, is_production),
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path = os.path.join(model_folder, DRIFT_FILE)
    write_text(path, json.dumps(report, indent=1, allow_nan=False))
    return report


def _message(
    moved: list[dict[str, Any]], before: int | None, is_production: bool
) -> str:
    if not moved:
        return "No drift was found."
    names = ", ".join(f"{shift['name']} {shift['divergence']:.2f}" for shift in moved)
    end = "was pushed" if is_production else "is not in production: see its report"
    return (
        f"The data have drifted from those of version {before} ({names}); the model "
        f"that learned from them {end}."
    )
